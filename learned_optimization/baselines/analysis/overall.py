"""Sets compared over several tasks: scores, ranks and speed-ups."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import (
    LEVEL,
    Comparison,
    compare_losses,
    mean_interval,
)
from learned_optimization.baselines.analysis.losses import (
    ceilings_of,
    reported,
    task_losses,
)
from learned_optimization.baselines.analysis.scores import improvement, scores
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import (
    TaskVerdict,
    difference_of,
)
from learned_optimization.baselines.analysis.times import EXACT, Bound, speedup
from learned_optimization.baselines.stats.chains import LOW_SCORE
from learned_optimization.baselines.stats.pooled import pooled_iqm

MAX_RATIO = 4.0
"""Profiles reach to four times the cost of the fastest, as AlgoPerf's."""

FEWEST_TASKS_OF_PROFILE = 3
"""With fewer, a performance profile shows no more than the tables."""

FEWEST_TASKS = 5
"""With fewer, intervals over tasks mean little: with two they hold half of the time."""

_Scores = Sequence[np.ndarray]
"""For each task `[runs]`."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A set that has less than half of the reference's improvement on a task.

    Attributes:
      task_name: the task.
      set_name: the set.
      score: its score there, below 0.5.
    """

    task_name: str
    set_name: str
    score: float


@dataclass(frozen=True, eq=False)
class Overall:
    """How a set stands over all tasks.

    Attributes:
      set_name: the set.
      score: the share of the reference's improvement over the initial loss: 1 is as
        good as the reference, 0 as not trained; mean over tasks and runs. Sets are
        ranked and compared by it.
      iqm: interquartile mean of the same, of all runs of all tasks together.
      iqm_over_tasks: the same with an interval for other tasks like these; None for
        fewer than `FEWEST_TASKS`.
      median: median over tasks of the mean score.
      optimality_gap: by how much scores fall short of 1, on average.
      improvement: probability that a run of it is better than one of the reference.
      mean_rank: over tasks, 1 for the best.
      profile_score: area under its performance profile in updates, at most 1; NaN
        where no task has a target.
      speedup: geometric mean over seeds and tasks of how many times fewer updates than
        the reference it needs to the target; NaN where no task has a target.
      bound: which way the speed-up is wrong where a target is missed.
      p_value: as `Standing.p_value`, of the score.
      difference: how much lower its score is than that of the best other set, as
        `Standing.difference`.
    """

    set_name: str
    score: stats.Interval
    iqm: stats.Interval
    iqm_over_tasks: stats.Interval | None
    median: float
    optimality_gap: float
    improvement: float
    mean_rank: float
    profile_score: float
    speedup: stats.Interval
    bound: Bound
    p_value: float
    difference: stats.Interval

    @property
    def is_out(self) -> bool:
        """Whether some other set is better beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class OverTasks:
    """Sets over those tasks where all of them can be measured by one reference.

    Attributes:
      sets: one per set, those that are out last, the highest score first; none if
        there is no such task or set.
      comparison: of them, by the mean over tasks of scores; None of fewer than two.
      failures: sets that fail on a task, of several tasks.
      task_names: the tasks of the scores.
      timed: those of them that have a target.
      ratios: float `[num_sets, num_timed]`, cost of the target in updates over that
        of the fastest set, in the order of `sets`.
      critical_difference: of mean ranks (Nemenyi); NaN for fewer than two tasks.
      friedman_p: that all sets rank alike; NaN where it cannot be computed.
    """

    sets: tuple[Overall, ...] = ()
    comparison: Comparison | None = None
    failures: tuple[Failure, ...] = ()
    task_names: tuple[str, ...] = ()
    timed: tuple[str, ...] = ()
    ratios: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    critical_difference: float = float("nan")
    friedman_p: float = float("nan")


def over_tasks(
    results: Sequence[Sequence[SetResult]],
    tasks: Sequence[TaskVerdict],
    set_names: Sequence[str],
    reference: str,
    tolerance: float,
    seed: int,
) -> OverTasks:
    """Compare sets over tasks.

    Args:
      results: for each task one result per set that is there; the reference improves
        on every task.
      tasks: the verdict on each of these tasks.
      set_names: the sets that are on all of them.
      reference: the set that scores and speed-ups refer to.
      tolerance: share of what the reference improves that does not matter.
      seed: of the bootstrap.
    """
    names = list(set_names)
    all_scores = {name: scores(results, name, reference) for name in names}
    comparison = compare_losses(
        [_scaled(row, names, reference) for row in results],
        names,
        tolerance,
    )
    losses = np.asarray(
        [[task.standing(name).loss.estimate for task in tasks] for name in names]
    )
    ranks = dict(zip(names, stats.mean_ranks(losses), strict=True))
    costs = _Costs(tasks, names)
    several = len(tasks) > 1 and len(names) > 1

    def overall(name: str) -> Overall:
        of_set = all_scores[name]
        found = comparison.of(name) if comparison else None
        nan = float("nan")
        return Overall(
            set_name=name,
            score=_score(of_set, found),
            iqm=pooled_iqm(of_set, over=("runs",), level=LEVEL, seed=seed),
            iqm_over_tasks=pooled_iqm(
                of_set, over=("runs", "tasks"), level=LEVEL, seed=seed
            )
            if len(tasks) >= FEWEST_TASKS
            else None,
            median=float(np.median([x.mean() for x in of_set])),
            optimality_gap=float(
                np.mean([stats.optimality_gap(x[:, None]) for x in of_set])
            ),
            improvement=_improvement(of_set, all_scores[reference]),
            mean_rank=float(ranks[name]),
            profile_score=float(costs.areas[name]),
            speedup=speedup(
                [t.log_speedups[name] for t in tasks if t.has_target], LEVEL
            ),
            bound=functools.reduce(
                operator.or_, (t.standing(name).bound for t in tasks), EXACT
            ),
            p_value=found.p_adjusted if found else nan,
            difference=difference_of(found)
            if found
            else stats.Interval(nan, nan, nan, LEVEL),
        )

    by_name = {name: overall(name) for name in names}
    if len(tasks) == 1:
        # Sets that end no lower than they began all score 0: as the task ranks them.
        order = [s.set_name for s in tasks[0].standings if s.set_name in by_name]
    else:
        order = sorted(
            names,
            key=lambda n: (by_name[n].is_out, -by_name[n].score.estimate, n),
        )
    return OverTasks(
        sets=tuple(by_name[name] for name in order),
        comparison=comparison,
        failures=_failures(all_scores, order, tasks) if len(tasks) > 1 else (),
        task_names=tuple(task.task_name for task in tasks),
        timed=costs.task_names,
        ratios=costs.ratios[[names.index(name) for name in order]],
        critical_difference=stats.critical_difference(len(names), len(tasks))
        if several
        else float("nan"),
        friedman_p=stats.friedman_p(losses) if several else float("nan"),
    )


def _scaled(
    row: Sequence[SetResult], names: Sequence[str], reference: str
) -> stats.TaskLosses:
    """Return losses of sets where 0 is the reference's, and 1 the initial one."""
    by_name, ceilings = {r.set_name: r for r in row}, ceilings_of(row)
    return task_losses(
        [by_name[name] for name in names],
        ceilings,
        reference=float(reported(by_name[reference], ceilings).mean()),
        scale=improvement(row, reference),
    )


def _score(scores: _Scores, found: stats.SetStanding | None) -> stats.Interval:
    """Return the mean over tasks of the mean score, with the interval of its loss."""
    shortest = min(map(len, scores))
    # By seed: the tasks' seeds of a place count together.
    by_seed = mean_interval(np.mean([x[:shortest] for x in scores], axis=0))
    has_ends, nan = np.isfinite(by_seed.low), float("nan")
    if found is None or not np.isfinite(found.loss.estimate):
        center = float(np.mean([x.mean() for x in scores]))
        half = (by_seed.high - by_seed.low) / 2
        return stats.Interval(center, center - half, center + half, LEVEL)
    loss = found.loss
    return stats.Interval(
        1 - loss.estimate,
        1 - loss.high if has_ends else nan,
        1 - loss.low if has_ends else nan,
        LEVEL,
    )


def _improvement(of_set: _Scores, of_reference: _Scores) -> float:
    both = zip(of_set, of_reference, strict=True)
    of_tasks = [
        stats.probability_of_improvement(x[:, None], y[:, None]) for x, y in both
    ]
    return float(np.mean(of_tasks))


def _failures(
    all_scores: Mapping[str, _Scores],
    names: Sequence[str],
    tasks: Sequence[TaskVerdict],
) -> tuple[Failure, ...]:
    means = {name: [float(x.mean()) for x in all_scores[name]] for name in names}
    return tuple(
        Failure(task.task_name, name, score)
        for name in names
        for task, score in zip(tasks, means[name], strict=True)
        if score < LOW_SCORE
    )


class _Costs:
    """Updates to the target on the tasks that have one, over those of the fastest."""

    def __init__(self, tasks: Sequence[TaskVerdict], names: Sequence[str]):
        timed = [task for task in tasks if task.has_target]
        self.task_names = tuple(task.task_name for task in timed)
        steps = np.asarray(
            [[task.standing(name).steps for task in timed] for name in names]
        )
        self.ratios, areas = steps, np.full(len(names), np.nan)
        if timed:
            self.ratios = stats.performance_ratios(steps)
            areas = stats.integrated_profile(self.ratios, MAX_RATIO)
        self.areas = dict(zip(names, areas, strict=True))
