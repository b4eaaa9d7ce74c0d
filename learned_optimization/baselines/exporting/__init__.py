"""Archived results for other tools: tables, files, and runs for experiment trackers.

Each part imports what it needs (pyarrow, pandas, polars, tensorboard, mlflow, wandb)
only when it is used; the extras `frames`, `tensorboard`, `mlflow` and `wandb` install
it.
"""

from learned_optimization.baselines.exporting.frames import to_frame

__all__ = ["to_frame"]
