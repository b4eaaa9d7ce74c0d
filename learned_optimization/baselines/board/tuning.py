"""What a set scores that is tuned less than task by task: few tries, one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.losses import (
    Ceilings,
    ceilings_of,
    clipped,
)
from learned_optimization.baselines.analysis.scores import improvement
from learned_optimization.baselines.analysis.set_results import SetResult, of_set

TRIES = (1, 3, 14)
"""Numbers of configurations tried, of which the board says what is expected."""


def after_tries(
    results: Sequence[Sequence[SetResult]], set_name: str, reference: str
) -> tuple[float, ...]:
    """Return expected scores of the best of `TRIES` configurations drawn at random.

    Losses are means over seeds, clipped at the one before training, as everywhere in
    the comparison.

    Args:
      results: for each task one per set.
      set_name: the set.
      reference: the set that scores refer to.

    Returns:
      One for each of `TRIES` that is no more than the set has configurations.
    """
    scores = []
    for row in results:
        ceilings = ceilings_of(row)
        result = of_set(row, set_name)
        losses = [
            _means(result, split, ceilings) for split in (result.select, result.report)
        ]
        ks = [k for k in TRIES if k <= len(losses[1])]
        expected = stats.best_after(*losses, ks=ks).expected
        gained = ceilings[result.report] - expected
        scores.append(gained / improvement(row, reference))
    return tuple(np.mean(scores, axis=0).tolist())


@dataclass(frozen=True)
class ForAllTasks:
    """What a set scores with one configuration for all tasks, and with one for each.

    All seeds choose, and all are scored: what luck in choosing adds is in both.

    Attributes:
      one: of the one configuration that is the best over all tasks.
      each: of the best configuration for each task.
    """

    one: float
    each: float


def for_all_tasks(
    results: Sequence[Sequence[SetResult]], set_name: str, reference: str
) -> ForAllTasks:
    """Return what a set scores with one configuration for all tasks.

    It is chosen by the mean over tasks of the improvement on the selecting split, in
    units of what the best configuration of the reference improves there.

    Args:
      results: for each task one per set, its configurations the same on all tasks.
      set_name: the set.
      reference: the set that scores refer to.
    """
    chosen_by, scores = [], []
    for row in results:
        ceilings = ceilings_of(row)
        result, base = of_set(row, set_name), of_set(row, reference)
        select, report = result.select, result.report
        unit = ceilings[select] - _means(base, select, ceilings).min()
        chosen_by.append((ceilings[select] - _means(result, select, ceilings)) / unit)
        gained = ceilings[report] - _means(result, report, ceilings)
        scores.append(gained / improvement(row, reference))
    best = int(np.argmax(np.mean(chosen_by, axis=0)))
    each = [
        score[np.argmax(chosen)]
        for chosen, score in zip(chosen_by, scores, strict=True)
    ]
    return ForAllTasks(float(np.mean(scores, axis=0)[best]), float(np.mean(each)))


def _means(result: SetResult, split: str, ceilings: Ceilings) -> np.ndarray:
    """Return the mean loss over seeds of each configuration, float64 `[configs]`."""
    return clipped(result, split, ceilings).mean(axis=1)
