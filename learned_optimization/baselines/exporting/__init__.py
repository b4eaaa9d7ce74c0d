"""Archived results for other tools: tables, files, and what TensorBoard reads.

Each part imports what it needs (pyarrow, pandas, polars, tensorboard) only when it
is used; the extras `frames` and `tensorboard` install it.
"""

from learned_optimization.baselines.exporting.frames import to_frame

__all__ = ["to_frame"]
