"""Data sets as a compiled program sees them, whatever they come from."""

from __future__ import annotations

from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.training.iterated import IteratedPool, IteratedReader
from learned_optimization.training.trial_data import ArrayPool, ArrayReader

Pool = ArrayPool | IteratedPool
Reader = ArrayReader | IteratedReader


def pool_of(datasets: Datasets | None) -> Pool:
    """Return a data set as a compiled program sees it; loads data in arrays.

    Raises:
      DataNotFoundError: if the data is not available.
    """
    if datasets is None:
        return ArrayPool(None, 0)
    data = datasets.load()
    if data is None:
        return IteratedPool(datasets)
    return ArrayPool(data, datasets.batch_size)
