"""Sets compared: on one task, and over all tasks, each with what cannot be told.

Losses compared are nested: a seed is reported for the configuration that the other
seeds select, so that choosing and reporting do not share luck (`stats.selection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.significance import (
    LEVEL,
    holm_of_known,
    mean_interval,
    p_value,
    p_value_of_scores,
    score_interval,
)
from learned_optimization.errors import LoptError

MAX_RATIO = 4.0
"""Profiles reach to four times the cost of the fastest, as AlgoPerf's."""


@dataclass(frozen=True, eq=False)
class Standing:
    """How a set stands on one task.

    Attributes:
      set_name: the set.
      loss: mean nested loss over seeds with its interval; infinite if a seed of
        what was selected diverged.
      p_value: that it is no worse than the best set of the task, by chance alone,
        adjusted for the number of sets (Holm); NaN for the best and where seeds
        are too few.
      steps: median number of updates over seeds until the target; inf if never.
      seconds: the same in seconds of training; NaN if unknown.
      censored: share of seeds that never reach the target.
    """

    set_name: str
    loss: stats.Interval
    p_value: float
    steps: float
    seconds: float
    censored: float

    @property
    def is_told_apart(self) -> bool:
        """Whether it is worse than the best set beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class TaskVerdict:
    """Sets on one task, best first.

    Attributes:
      task_name: the task.
      standings: one a set.
      reference: the set that decides the target.
      target: the smoothed loss that at least half of its seeds reach, which times
        are taken to.
    """

    task_name: str
    standings: tuple[Standing, ...]
    reference: str
    target: float

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Sets that cannot be told apart from the best one, which is left out."""
        return tuple(s.set_name for s in self.standings[1:] if not s.is_told_apart)


@dataclass(frozen=True, eq=False)
class Overall:
    """How a set stands over all tasks.

    Attributes:
      set_name: the set.
      score: interquartile mean over runs and tasks of the share of the reference's
        improvement over the initial loss: 1 is as good as the reference, 0 no
        better than the beginning.
      score_over_tasks: the same where tasks are resampled too; None for one task.
      median: median over tasks of the mean score.
      optimality_gap: by how much scores fall short of 1, on average.
      improvement: probability that a run of it is better than one of the reference.
      mean_rank: over tasks, 1 for the best.
      profile_score: area under its performance profile in updates, at most 1.
      speedup: geometric mean over tasks of how many times fewer updates than the
        reference it needs to the target; NaN if it never reaches one.
      p_value: as `Standing.p_value`, of the mean score over these tasks.
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
    p_value: float

    @property
    def is_told_apart(self) -> bool:
        """Whether it is worse than the best set beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class Verdict:
    """Sets on tasks.

    Attributes:
      tasks: one a task.
      overall: one a set, best first.
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
        """Sets that cannot be told apart from the best one, which is left out."""
        return tuple(s.set_name for s in self.overall[1:] if not s.is_told_apart)


def choose_reference(set_names: Sequence[str]) -> str:
    """The set others are measured by: Adam's learning rates, or else the first."""
    return next((n for n in set_names if n.startswith("AdamLR_")), set_names[0])


def task_verdict(results: Sequence[SetResult], reference: str) -> TaskVerdict:
    """Compares sets on one task.

    Args:
      results: one a set, of the same task.
      reference: name of one of the sets.

    Raises:
      LoptError: if the reference is none of them, or diverged.
    """
    by_name = {result.set_name: result for result in results}
    if reference not in by_name:
        raise LoptError(
            f"the reference {reference} is none of the sets: {', '.join(by_name)}."
        )
    target = by_name[reference].reached()
    if not np.isfinite(target):
        raise LoptError(
            f"the reference {reference} diverged on {results[0].task_name}, so there "
            "is no target to be timed to. Choose another as --reference."
        )
    intervals = {name: mean_interval(r.nested.report) for name, r in by_name.items()}
    order = sorted(by_name, key=lambda name: (intervals[name].estimate, name))
    best = by_name[order[0]]
    p_values = [p_value(by_name[name], best) for name in order[1:]]
    adjusted = [float("nan"), *holm_of_known(p_values)]
    standings = []
    for name, adjusted_p in zip(order, adjusted, strict=True):
        # There is no cost below that of one update.
        steps = np.maximum(by_name[name].steps_to(target), 1.0)
        median = float(np.median(steps))
        standings.append(
            Standing(
                set_name=name,
                loss=intervals[name],
                p_value=adjusted_p,
                steps=median,
                seconds=median * by_name[name].seconds_per_step,
                censored=float(np.isinf(steps).mean()),
            )
        )
    return TaskVerdict(best.task_name, tuple(standings), reference, target)


def verdict(
    results: Sequence[Sequence[SetResult]],
    reference: str | None = None,
    seed: int = 0,
) -> Verdict:
    """Compares sets on tasks.

    Args:
      results: for each task one result a set, the same sets in the same order.
      reference: the set that scores and speed-ups refer to; `choose_reference` if
        None.
      seed: of the bootstrap.

    Raises:
      LoptError: if there is no result, or tasks do not have the same sets.
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
    reference = reference or choose_reference(names)
    tasks = tuple(task_verdict(row, reference) for row in results)
    scores = {
        name: _scores(results, i, names.index(reference))
        for i, name in enumerate(names)
    }
    means = {name: float(np.mean(s)) for name, s in scores.items()}
    iqms = {name: score_interval(s, ("runs",), seed) for name, s in scores.items()}
    many = len(results) > 1
    # One task has one order, that of its losses.
    order = (
        sorted(names, key=lambda name: (-iqms[name].estimate, -means[name], name))
        if many
        else [standing.set_name for standing in tasks[0].standings]
    )
    losses = np.asarray(
        [[_of(task, name).loss.estimate for task in tasks] for name in order]
    )
    steps = np.asarray([[_of(task, name).steps for task in tasks] for name in order])
    ratios = stats.performance_ratios(steps)
    profile_scores = stats.integrated_profile(ratios, MAX_RATIO)
    ranks = stats.mean_ranks(losses)
    p_values = [p_value_of_scores(scores[order[0]], scores[name]) for name in order[1:]]
    adjusted = [float("nan"), *holm_of_known(p_values)]
    overall = tuple(
        Overall(
            set_name=name,
            score=iqms[name],
            score_over_tasks=score_interval(scores[name], ("runs", "tasks"), seed)
            if many
            else None,
            median=float(stats.median(scores[name])),
            optimality_gap=float(stats.optimality_gap(scores[name])),
            improvement=float(
                stats.probability_of_improvement(scores[name], scores[reference])
            ),
            mean_rank=float(ranks[i]),
            profile_score=float(profile_scores[i]),
            speedup=_speedup(steps[i], steps[order.index(reference)]),
            p_value=adjusted[i],
        )
        for i, name in enumerate(order)
    )
    return Verdict(
        tasks=tasks,
        overall=overall,
        reference=reference,
        ratios=ratios,
        critical_difference=stats.critical_difference(len(names), len(tasks))
        if many and len(names) > 1
        else float("nan"),
        friedman_p=stats.friedman_p(losses)
        if many and len(names) > 2
        else float("nan"),
    )


def _of(task: TaskVerdict, set_name: str) -> Standing:
    return next(s for s in task.standings if s.set_name == set_name)


def _scores(
    results: Sequence[Sequence[SetResult]], index: int, reference: int
) -> np.ndarray:
    """Share of the reference's improvement, `[runs, tasks]`, at least 0."""
    columns = []
    for row in results:
        first = row[reference].initial_loss
        gained = first - float(row[reference].nested.report.mean())
        if not np.isfinite(gained) or gained <= 0:
            raise LoptError(
                f"the reference {row[reference].set_name} does not improve on the "
                f"initial loss of {row[reference].task_name}, so no other set can be "
                "scored by it. Choose another as --reference."
            )
        # A diverged run is no better than one that has not begun.
        score = (first - row[index].nested.report) / gained
        columns.append(np.maximum(score, 0.0))
    runs = min(map(len, columns))
    return np.stack([column[:runs] for column in columns], axis=1)


def _speedup(steps: np.ndarray, baseline: np.ndarray) -> float:
    both = np.isfinite(steps) & np.isfinite(baseline)
    if not both.all():
        return float("nan")
    return float(stats.geometric_mean_speedup(steps, baseline))
