"""Sets compared on one task: which may be the best, and how fast each is.

Losses compared are nested: a seed is reported for the configuration that the other
seeds select, so that choosing and reporting do not share luck (`stats.selection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.scores import target_of
from learned_optimization.baselines.analysis.set_results import SetResult

LEVEL = 0.95
"""Confidence of every interval."""


@dataclass(frozen=True, eq=False)
class Standing:
    """How a set stands on one task.

    Attributes:
      set_name: the set.
      loss: mean nested loss over seeds with its interval; a seed that diverged counts
        as not trained (`SetResult.reported`); inf where it cannot
        (`SetResult.has_loss`).
      num_diverged: seeds that did.
      p_value: that it is the best set (`stats.p_values_of_being_best`); NaN where
        seeds are too few.
      steps: median number of updates over seeds until the target; inf if never, NaN
        if there is no target.
      seconds: the same in seconds of training; NaN if unknown.
      censored: share of seeds that never reach the target; NaN if there is none.
    """

    set_name: str
    loss: stats.Interval
    num_diverged: int
    p_value: float
    steps: float
    seconds: float
    censored: float

    @property
    def has_loss(self) -> bool:
        """Whether it has a loss to compare."""
        return bool(np.isfinite(self.loss.estimate))

    @property
    def is_told_apart(self) -> bool:
        """Whether some other set is better beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class TaskVerdict:
    """Sets on one task, best first.

    Attributes:
      task_name: the task.
      standings: one per set.
      reference: the set that decides the target; empty if there is none.
      target: the smoothed loss that times are taken to, see `target_of`; NaN if there
        is none.
      is_paired: whether all sets share their seeds.
    """

    task_name: str
    standings: tuple[Standing, ...]
    reference: str
    target: float
    is_paired: bool

    @property
    def has_target(self) -> bool:
        """Whether times compare anything here."""
        return bool(self.reference)

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Other sets than the first that may be the best one, of those with a loss."""
        return tuple(
            s.set_name for s in self.standings[1:] if s.has_loss and not s.is_told_apart
        )

    def standing(self, set_name: str) -> Standing:
        """Return how a set of that name stands."""
        return next(s for s in self.standings if s.set_name == set_name)


def task_verdict(results: Sequence[SetResult], reference: str | None) -> TaskVerdict:
    """Compare sets on one task.

    Args:
      results: one per set, of the same task.
      reference: name of one of the sets, which improves on the initial loss; None if
        times compare nothing.
    """
    by_name = {result.set_name: result for result in results}
    target = float("nan") if reference is None else target_of(by_name[reference])
    p_of_each = p_values([[r] for r in results], [r.reported for r in results])
    standings = [
        _standing(result, float(p_value), target)
        for result, p_value in zip(results, p_of_each, strict=True)
    ]
    return TaskVerdict(
        task_name=results[0].task_name,
        standings=tuple(sorted(standings, key=lambda s: (s.loss.estimate, s.set_name))),
        reference=reference or "",
        target=target,
        is_paired=all(share_seeds([r], [results[0]]) for r in results),
    )


def _standing(result: SetResult, p_value: float, target: float) -> Standing:
    nan = float("nan")
    median = censored = nan
    if not np.isnan(target):
        # There is no cost below that of one update.
        steps = np.maximum(result.steps_to(target), 1.0)
        median, censored = float(np.median(steps)), float(np.isinf(steps).mean())
    return Standing(
        set_name=result.set_name,
        loss=stats.mean_interval(result.reported, LEVEL, nested=True)
        if result.has_loss
        else stats.Interval(float("inf"), nan, nan, LEVEL),
        num_diverged=result.num_diverged,
        p_value=p_value,
        steps=median,
        seconds=median * result.seconds_per_step,
        censored=censored,
    )


def share_seeds(a: Sequence[SetResult], b: Sequence[SetResult]) -> bool:
    """Return whether two sets were trained with the same seeds on each of some tasks.

    Under different configurations of jax, the same seed stands for other numbers.

    Args:
      a: one result per task.
      b: of the other set, in the same order.
    """
    return all(
        x.seeds is not None
        and y.seeds is not None
        and np.array_equal(x.seeds, y.seeds)
        and x.jax_config == y.jax_config
        for x, y in zip(a, b, strict=True)
    )


def p_values(
    sets: Sequence[Sequence[SetResult]], losses: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the p-value of each set being the best, as `stats.p_values_of_being_best`.

    Args:
      sets: for each set one result per task.
      losses: for each set float `[seeds]`, nested, lower is better; a set with one
        that is not finite is compared with none.

    Returns:
      Float64 `[num_sets]`; NaN where seeds are too few.
    """
    matrix = np.full((len(sets), len(sets)), np.nan)
    for i, a in enumerate(losses):
        for j, b in enumerate(losses):
            if i != j and np.isfinite(a).all() and np.isfinite(b).all():
                paired = len(a) == len(b) and share_seeds(sets[i], sets[j])
                matrix[i, j] = stats.p_value_of_worse(a, b, paired=paired, nested=True)
    return stats.p_values_of_being_best(matrix)
