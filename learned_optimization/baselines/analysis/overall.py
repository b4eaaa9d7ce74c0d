"""Sets compared over several tasks: scores, ranks and speed-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.scores import score_of_runs, scores
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import (
    LEVEL,
    TaskVerdict,
    p_values,
)

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
      profile_score: area under its performance profile in updates, at most 1; NaN
        where no task has a target.
      speedup: geometric mean over tasks of how many times fewer updates than the
        reference it needs to the target; NaN where no task has a target.
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
class OverTasks:
    """Sets over those tasks where all of them can be measured by one reference.

    Attributes:
      sets: one per set, best first; none if there is no such task or set.
      task_names: the tasks of the scores.
      timed: those of them that have a target.
      ratios: float `[num_sets, num_timed]`, cost of the target in updates over that
        of the fastest set, in the order of `sets`.
      critical_difference: of mean ranks (Nemenyi); NaN for fewer than two tasks.
      friedman_p: that all sets rank alike; NaN where it cannot be computed.
    """

    sets: tuple[Overall, ...] = ()
    task_names: tuple[str, ...] = ()
    timed: tuple[str, ...] = ()
    ratios: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    critical_difference: float = float("nan")
    friedman_p: float = float("nan")


def over_tasks(
    results: Sequence[Sequence[SetResult]],
    tasks: Sequence[TaskVerdict],
    reference: str,
    seed: int,
) -> OverTasks:
    """Compare sets over tasks.

    Args:
      results: for each task one result per set, the same sets in the same order, the
        reference among them; it improves on every task.
      tasks: the verdict on each of these tasks, perhaps with further sets.
      reference: the set that scores and speed-ups refer to.
      seed: of the bootstrap.
    """
    names = [result.set_name for result in results[0]]
    base = names.index(reference)
    all_scores = [scores(results, i, base) for i in range(len(names))]
    of_runs = [score_of_runs(s) for s in all_scores]
    p_of_each = p_values(
        [[row[i] for row in results] for i in range(len(names))], [-s for s in of_runs]
    )
    order = sorted(range(len(names)), key=lambda i: (-of_runs[i].mean(), names[i]))
    if len(tasks) == 1:
        # Sets that end no lower than they began all score 0; their losses still differ.
        ranked = [standing.set_name for standing in tasks[0].standings]
        order = sorted(range(len(names)), key=lambda i: ranked.index(names[i]))

    losses = np.asarray(
        [[task.standing(name).loss.estimate for task in tasks] for name in names]
    )
    ranks = stats.mean_ranks(losses)
    costs = _Costs(results, tasks, names, base)
    several = len(tasks) > 1 and len(names) > 1
    return OverTasks(
        sets=tuple(
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
                profile_score=float(costs.areas[i]),
                speedup=float(costs.speedups[i]),
                is_bound=bool(np.isinf(costs.steps[i]).any()),
                p_value=float(p_of_each[i]),
            )
            for i in order
        ),
        task_names=tuple(task.task_name for task in tasks),
        timed=costs.task_names,
        ratios=costs.ratios[order],
        critical_difference=stats.critical_difference(len(names), len(tasks))
        if several
        else float("nan"),
        friedman_p=stats.friedman_p(losses) if several else float("nan"),
    )


class _Costs:
    """Updates to the target on the tasks that have one, `[num_sets, num_timed]`."""

    def __init__(
        self,
        results: Sequence[Sequence[SetResult]],
        tasks: Sequence[TaskVerdict],
        names: Sequence[str],
        base: int,
    ):
        timed = [i for i, task in enumerate(tasks) if task.has_target]
        self.task_names = tuple(tasks[i].task_name for i in timed)
        self.steps = np.asarray(
            [[tasks[i].standing(name).steps for i in timed] for name in names]
        )
        if not timed:
            self.ratios = self.steps
            self.areas = self.speedups = np.full(len(names), np.nan)
            return
        self.ratios = stats.performance_ratios(self.steps)
        self.areas = stats.integrated_profile(self.ratios, MAX_RATIO)
        # The reference reaches every target. A set that does not takes longer than it
        # ran.
        budgets = [
            [max(row[s].num_steps, 1) for row in results] for s in range(len(names))
        ]
        ran = np.asarray(budgets)[:, timed]
        self.speedups = stats.geometric_mean_speedup(
            np.where(np.isinf(self.steps), ran, self.steps),
            np.broadcast_to(self.steps[base], self.steps.shape),
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
