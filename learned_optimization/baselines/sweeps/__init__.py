"""Sets are trained: trials, grids of them, shards, checkpoints, estimates, replay."""
