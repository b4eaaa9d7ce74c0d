"""Which sets may be the best: p-values of sets, NaN where unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult

LEVEL = 0.95
"""Confidence of every interval."""


def share_seeds(a: Sequence[SetResult], b: Sequence[SetResult]) -> bool:
    """Return whether two sets were trained with the same seeds on each of some tasks.

    Args:
      a: one result per task.
      b: of the other set, in the same order.
    """
    return all(
        x.seeds is not None and y.seeds is not None and np.array_equal(x.seeds, y.seeds)
        for x, y in zip(a, b, strict=True)
    )


def p_values(
    sets: Sequence[Sequence[SetResult]], losses: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the p-value of each set being the best, as `stats.p_values_of_being_best`.

    Args:
      sets: for each set one result per task.
      losses: for each set float `[seeds]`, nested, lower is better.

    Returns:
      Float64 `[num_sets]`; NaN where seeds are too few.
    """
    matrix = np.full((len(sets), len(sets)), np.nan)
    for i, a in enumerate(losses):
        for j, b in enumerate(losses):
            if i != j:
                paired = len(a) == len(b) and share_seeds(sets[i], sets[j])
                matrix[i, j] = stats.p_value_of_worse(a, b, paired=paired, nested=True)
    return stats.p_values_of_being_best(matrix)
