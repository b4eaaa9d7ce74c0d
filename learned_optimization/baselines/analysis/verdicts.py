"""Sets compared over several tasks, and on each of them (`standings`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.scores import (
    check_reference,
    choose_reference,
    score_of_runs,
    scores,
)
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import (
    LEVEL,
    TaskVerdict,
    p_values,
    task_verdict,
)
from learned_optimization.errors import LoptError

MAX_RATIO = 4.0
"""Profiles reach to four times the cost of the fastest, as AlgoPerf's."""

FEWEST_TASKS = 5
"""With fewer, intervals over tasks mean little: with two they hold half of the time."""

_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Overall:
    """How a set stands over all tasks.

    Attributes:
      set_name: the set.
      score: the share of the reference's improvement over the initial loss: 1 is as
        good as the reference, 0 as not trained; interquartile mean over tasks, mean
        over runs.
      score_over_tasks: the same with an interval for other tasks like these; None
        for fewer than `FEWEST_TASKS`.
      median: median over tasks of the mean score.
      optimality_gap: by how much scores fall short of 1, on average.
      improvement: probability that a run of it is better than one of the reference.
      mean_rank: over tasks, 1 for the best.
      profile_score: area under its performance profile in updates, at most 1.
      speedup: geometric mean over tasks of how many times fewer updates than the
        reference it needs to the target.
      is_bound: it misses a target, so that its speed-up is no more than that.
      p_value: as `Standing.p_value`, of the score.
    """

    set_name: str
    score: stats.Interval
    score_over_tasks: stats.Interval | None
    median: float
    optimality_gap: float
    improvement: float
    mean_rank: float
    profile_score: float
    speedup: float
    is_bound: bool
    p_value: float

    @property
    def is_told_apart(self) -> bool:
        """Whether some other set is better beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class Verdict:
    """Sets on tasks.

    Attributes:
      tasks: one per task.
      overall: one per set, best first.
      reference: the set that scores and speed-ups refer to.
      ratios: float `[num_sets, num_tasks]`, cost of the target in updates over that
        of the fastest set, in the order of `overall`.
      critical_difference: of mean ranks (Nemenyi); NaN for fewer than two tasks.
      friedman_p: that all sets rank alike; NaN where it cannot be computed.
    """

    tasks: tuple[TaskVerdict, ...]
    overall: tuple[Overall, ...]
    reference: str
    ratios: np.ndarray
    critical_difference: float
    friedman_p: float

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Other sets than the first that may be the best one."""
        return tuple(s.set_name for s in self.overall[1:] if not s.is_told_apart)


def verdict(
    results: Sequence[Sequence[SetResult]],
    reference: str | None = None,
    seed: int = 0,
) -> Verdict:
    """Compare sets on tasks.

    Args:
      results: for each task one result per set, the same sets in the same order.
      reference: the set that scores and speed-ups refer to; `choose_reference` if
        None.
      seed: of the bootstrap.

    Raises:
      LoptError: if there is no result, tasks do not have the same sets, or there is
        no reference to measure by.
    """
    if not results or not results[0]:
        raise LoptError("a comparison needs at least one task and one set.")
    names = [result.set_name for result in results[0]]
    for row in results[1:]:
        if [result.set_name for result in row] != names:
            raise LoptError(
                f"{row[0].task_name} and {results[0][0].task_name} do not have the "
                "same sets; a comparison over tasks needs all sets on all tasks."
            )
    reference = reference or choose_reference(results)
    check_reference(results, reference)
    tasks = tuple(task_verdict(row, reference) for row in results)
    base = names.index(reference)
    all_scores = [scores(results, i, base) for i in range(len(names))]
    of_runs = [score_of_runs(s) for s in all_scores]
    p_of_each = p_values(
        [[row[i] for row in results] for i in range(len(names))], [-s for s in of_runs]
    )
    order = sorted(range(len(names)), key=lambda i: (-of_runs[i].mean(), names[i]))
    if len(tasks) == 1:
        # Sets that end no lower than they began all score 0; their losses still differ.
        order = [names.index(standing.set_name) for standing in tasks[0].standings]

    by_set = [[task.standing(name) for task in tasks] for name in names]
    steps = np.asarray([[s.steps for s in row] for row in by_set])
    losses = np.asarray([[s.loss.estimate for s in row] for row in by_set])
    budgets = np.asarray(
        [[row[i].num_steps for row in results] for i in range(len(names))]
    )
    ratios = stats.performance_ratios(steps)
    areas = stats.integrated_profile(ratios, MAX_RATIO)
    ranks = stats.mean_ranks(losses)
    overall = tuple(
        Overall(
            set_name=names[i],
            score=stats.mean_interval(of_runs[i], LEVEL, nested=True),
            score_over_tasks=_interval_over_tasks(all_scores[i], seed),
            median=float(stats.median(all_scores[i])),
            optimality_gap=float(stats.optimality_gap(all_scores[i])),
            improvement=float(
                stats.probability_of_improvement(all_scores[i], all_scores[base])
            ),
            mean_rank=float(ranks[i]),
            profile_score=float(areas[i]),
            speedup=_speedup(steps[i], steps[base], budgets[i]),
            is_bound=bool(np.isinf(steps[i]).any()),
            p_value=float(p_of_each[i]),
        )
        for i in order
    )
    several = len(tasks) > 1 and len(names) > 1
    return Verdict(
        tasks=tasks,
        overall=overall,
        reference=reference,
        ratios=ratios[order],
        critical_difference=stats.critical_difference(len(names), len(tasks))
        if several
        else float("nan"),
        friedman_p=stats.friedman_p(losses) if several else float("nan"),
    )


def _interval_over_tasks(scores: np.ndarray, seed: int) -> stats.Interval | None:
    runs, tasks = scores.shape
    if tasks < FEWEST_TASKS or runs < 2:
        return None
    return stats.bootstrap(
        lambda scores: score_of_runs(scores).mean(axis=-1),
        scores,
        num_resamples=_RESAMPLES,
        level=LEVEL,
        seed=seed,
    )


def _speedup(steps: np.ndarray, baseline: np.ndarray, budgets: np.ndarray) -> float:
    # The reference reaches every target. A set that does not takes longer than it ran.
    return float(
        stats.geometric_mean_speedup(
            np.where(np.isinf(steps), budgets, steps), baseline
        )
    )
