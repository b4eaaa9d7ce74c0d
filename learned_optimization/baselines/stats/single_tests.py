"""The test of a single look: is a set worse than others, whichever its best is?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from learned_optimization.baselines.stats.looks import FIRST_LOOK, SEEDS_OF_A_VERDICT
from learned_optimization.baselines.stats.opponents import Judged, Pairing
from learned_optimization.baselines.stats.student_hall import (
    critical_t,
    lower_bound_of_mean,
    seeds_needed,
    smaller_t,
)
from learned_optimization.baselines.stats.sums import (
    SumOverTasks,
    lower_bound_of_sum,
    sum_over_tasks,
)

_SHARE_OF_FEW = 0.5
"""Of the level, for fewer than 8 seeds.

With exponential differences, one set being tight and the other very skewed, a test at
2.5% finds the tight one worse in 8.4% of 5 seeds, and at 1.25% in 5.3%; from 8 seeds on
it is at most 7.0% (benchmarks/verdict_simulation.py).
"""

# Of the level, on several tasks: for configurations, and for sets.
_SHARE_OF_CONFIGS, _SHARE_OF_SETS = 0.1, 0.9


def p_value_of(judged: Sequence[Judged], tolerance: float = 0.0) -> float:
    """Return how likely a set would look so much worse if it were not.

    Args:
      judged: the set against others, one per task.
      tolerance: how much worse the others may be.

    Returns:
      The p value, that of the configuration nearest to the others; NaN if there are
      fewer than 4 seeds.
    """
    share = _share(judged)
    if share == 0.0:
        return float("nan")
    if len(judged) == 1:
        x = judged[0].differences
        t = float(smaller_t(x, tolerance).min())
        p_value = float(special.stdtr(x.shape[1] - 1, -t))
    else:
        p_value = _sum(judged, tolerance).p_value()
    return min(p_value / share, 1.0)


def set_lower_bound(judged: Sequence[Judged], level: float) -> float:
    """Return how much worse a set is at least, on the mean of tasks.

    Args:
      judged: the set against others, one per task.
      level: how likely that may be wrong.

    Returns:
      The bound, the test inverted; NaN if there are fewer than 4 seeds.
    """
    level *= _share(judged)
    if level == 0.0:
        return float("nan")
    if len(judged) == 1:
        x = judged[0].differences
        return float(lower_bound_of_mean(x, critical_t(level, x.shape[1])).min())
    return lower_bound_of_sum([j.differences for j in judged], level) / len(judged)


def seeds_to_find(
    judged: Sequence[Judged], tolerance: float, alpha: float
) -> tuple[int | None, int | None]:
    """Return how many seeds would tell two sets apart, or show them equivalent.

    Args:
      judged: one set against the other, one per task.
      tolerance: difference that does not matter.
      alpha: of the two-sided test of one pair.

    Returns:
      Seeds in all, about, for either; None if more would not.
    """
    num_now = min(j.differences.shape[1] for j in judged)
    if len(judged) == 1:
        x = judged[0].differences
        x = x[int(smaller_t(x).argmin())]
        mean, sd = float(x.mean()), float(x.std(ddof=1))
    else:
        total = _sum(judged, 0.0)
        mean, sd = total.mean, total.error * float(np.sqrt(num_now))
    margin = tolerance * len(judged) - abs(mean)
    is_one_task = len(judged) == 1
    tell = _seeds_to_pass(mean, sd, alpha / 2, num_now, is_one_task)
    same = _seeds_to_pass(margin, sd, alpha, num_now, is_one_task)
    return tell, same


def _seeds_to_pass(
    mean: float, sd: float, level: float, num_now: int, is_one_task: bool
) -> int | None:
    """Return how many seeds a test needs, at the share of the level they may spend."""
    num_seeds = num_now + 1
    while True:
        share = _share_of(num_seeds, is_one_task)
        needed = seeds_needed(mean, sd, share * level, at_least=num_seeds - 1)
        if needed is None or _share_of(needed + 1, is_one_task) == share:
            return None if needed is None else needed + 1
        num_seeds = SEEDS_OF_A_VERDICT


def without_worse_configs(pairings: Sequence[Pairing], alpha: float) -> None:
    """Leave out configurations that are worse than their own set's chain.

    Never against another set's, which may be worse on other tasks. It has a tenth of
    alpha, over all sets and tasks; one configuration always stays.
    """
    for pairing in pairings:
        for a in range(len(pairing.chains)):
            judged = pairing.judged_by_itself(a)
            if (share := _share([judged])) == 0.0:
                continue
            level = share * alpha * _SHARE_OF_CONFIGS
            level /= len(pairing.chains) * len(pairings)
            t = smaller_t(judged.differences)
            kept = t <= critical_t(level, judged.differences.shape[1])
            kept[int(np.argmin(t))] = True
            pairing.configs[a] = np.flatnonzero(kept).tolist()


def share_of_level(num_seeds: int) -> float:
    """Return which share of a level so many seeds may spend: none of fewer than 4."""
    if num_seeds < FIRST_LOOK:
        return 0.0
    return _SHARE_OF_FEW if num_seeds < SEEDS_OF_A_VERDICT else 1.0


def _share(judged: Sequence[Judged]) -> float:
    num_seeds = 1 + min(j.differences.shape[1] for j in judged)
    return _share_of(num_seeds, is_one_task=len(judged) == 1)


def _share_of(num_seeds: int, is_one_task: bool) -> float:
    return share_of_level(num_seeds) * (1.0 if is_one_task else _SHARE_OF_SETS)


def _sum(judged: Sequence[Judged], tolerance: float) -> SumOverTasks:
    return sum_over_tasks([j.differences for j in judged], tolerance)
