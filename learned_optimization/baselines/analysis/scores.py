"""Scores that mean the same on every task: the share of a reference's improvement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.errors import LoptError

TARGET_SHARE = 0.99
"""Share of the reference's improvement that times are taken to.

All of it would take the reference its whole run, whatever the others do.
"""


def improvement(reference: SetResult) -> float:
    """Return how much lower than the initial loss a set ends on a task, at least 0."""
    gained = reference.initial_loss - float(reference.reported.mean())
    return max(gained, 0.0) if np.isfinite(gained) else 0.0


def choose_reference(results: Sequence[Sequence[SetResult]]) -> str:
    """Return the set others are measured by.

    Adam's learning rates if they are there and improve on the initial loss of every
    task, or else the first set that does.

    Args:
      results: for each task one result per set, the same sets in the same order.

    Raises:
      LoptError: if no set does.
    """
    names = [result.set_name for result in results[0]]
    order = sorted(names, key=lambda name: not name.startswith("AdamLR_"))
    for name in order:
        index = names.index(name)
        if all(_is_usable(row[index]) for row in results):
            return name
    raise LoptError(
        "no set improves on the initial loss of every task, so there is nothing to "
        f"measure by: {', '.join(names)}."
    )


def check_reference(results: Sequence[Sequence[SetResult]], reference: str) -> None:
    """Refuse a reference that nothing can be measured by.

    Args:
      results: as in `choose_reference`.
      reference: name of the set.

    Raises:
      LoptError: if it is none of the sets, or does not improve on a task.
    """
    names = [result.set_name for result in results[0]]
    if reference not in names:
        raise LoptError(
            f"the reference {reference} is none of the sets: {', '.join(names)}."
        )
    for row in results:
        result = row[names.index(reference)]
        if not _is_usable(result):
            raise LoptError(
                f"the reference {reference} does not improve on the initial loss of "
                f"{result.task_name}: its seeds diverged, or end no lower. Choose "
                "another, as reference=SET."
            )


def _is_usable(result: SetResult) -> bool:
    return improvement(result) > 0 and np.isfinite(result.lowest())


def target_of(reference: SetResult) -> float:
    """Return the loss that times on a task are taken to.

    The median seed of the reference reaches it: it is `TARGET_SHARE` of the way from
    the initial loss to that seed's lowest smoothed one.
    """
    start = reference.initial_loss
    return start - TARGET_SHARE * (start - reference.lowest())


def scores(
    results: Sequence[Sequence[SetResult]], index: int, reference: int
) -> np.ndarray:
    """Return the scores of a set: 1 is as good as the reference, 0 as not trained.

    Args:
      results: as in `choose_reference`.
      index: place of the set.
      reference: place of the reference.

    Returns:
      Float64 `[runs, tasks]`, as many runs as every task has.
    """
    columns = [
        (row[reference].initial_loss - row[index].reported)
        / improvement(row[reference])
        for row in results
    ]
    runs = min(map(len, columns))
    return np.stack([np.maximum(column[:runs], 0.0) for column in columns], axis=1)


def score_of_runs(scores: np.ndarray) -> np.ndarray:
    """Return the interquartile mean over tasks: `[..., runs, tasks]` to `[..., runs]`.

    Of up to three tasks it is their mean.
    """
    return stats.iqm(scores, axis=-1)
