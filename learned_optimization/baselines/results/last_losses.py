"""Where the losses that compare trials are read from: whole splits, or last batches."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Protocol, Self, TypeVar

import numpy as np

from learned_optimization.baselines.results.format import Result
from learned_optimization.eval_training import EVAL_SPLITS

WHOLE_KEYS = tuple(f"final/{split}/loss" for split in EVAL_SPLITS)
"""Losses over whole splits, behind the last update."""


def has_whole(keys: Container[str]) -> bool:
    """Return whether there are losses over whole splits.

    Results of tasks without finite data have none, nor have those of earlier versions
    and of the published system.

    Args:
      keys: the keys of a result file or an archive, or what it holds.
    """
    return all(key in keys for key in WHOLE_KEYS)


def last_losses(arrays: Result, split: str, whole: bool) -> np.ndarray:
    """Return the losses that a trial, or each trial of an archive, ends with.

    What is compared must be read alike: `whole` is for sets that all have losses over
    whole splits.

    Args:
      arrays: what a result file or an archive holds.
      split: one of `train`, `outer_valid`, `test`.
      whole: whether over the whole split, behind the last update; else it is the last
        evaluation of the curve, over some batches.

    Returns:
      Float `[]`, or `[num_configs, num_seeds]` of an archive; not finite where a trial
      diverged.
    """
    if whole:
        return arrays[f"final/{split}/loss"]
    return arrays[f"eval/{split}/loss"][..., -1]


class Measured(Protocol):
    """Final losses that are over whole splits, and may be had without."""

    @property
    def is_of_whole(self) -> bool:
        """Whether they are over whole splits, not some batches."""
        ...

    def of_last_evaluation(self) -> Self:
        """Return the same with the losses of the last evaluation."""
        ...


_Measured = TypeVar("_Measured", bound=Measured)


def measured_alike(each: Iterable[_Measured]) -> list[_Measured]:
    """Return final losses that are compared, all measured in the same way.

    They are over whole splits where all have these, or else those of the last
    evaluations.

    Args:
      each: the losses of trials or of sets, on one task.
    """
    each = list(each)
    if all(one.is_of_whole for one in each):
        return each
    return [one.of_last_evaluation() for one in each]
