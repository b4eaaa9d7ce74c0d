"""Optimizer Baselines: find out which optimizer is really better.

The modules on the pages of the API are public: their names stay as they are, or the
changelog says what changed. Every other module is internal and may change at any time.

Most users need three functions: `baselines.sweeps.sweep.run_sweep`,
`baselines.load_archive` and `baselines.vis.plot_tasks_and_sets`.
"""
