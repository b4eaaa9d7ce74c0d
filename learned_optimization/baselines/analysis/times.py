"""How soon sets reach a target, and how many times sooner than the reference.

A configuration is chosen for being fast, and as losses are: seed t is reported for the
one that the seeds before it choose, by the time at which its loss on the selecting
split is at the target.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.losses import seed_ids, seed_order
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.smoothing import smooth, spacings
from learned_optimization.baselines.stats.chains import chain

EMA_OF_TIMES = 0.9
"""Smoothing, per evaluation, of the curves that times are read from.

So one lucky batch does not count as reaching the target.
"""

FEWEST_SEEDS = 4
"""With fewer, no interval is given: the first seed only chooses."""

# A trial that never reaches the target counts as twice its length where it chooses
# (the penalized average runtime of algorithm configuration).
_PENALTY = 2.0


@dataclass(frozen=True, eq=False)
class Times:
    """Updates until a target, of what earlier seeds choose for being fast.

    Attributes:
      steps: float64 `[seeds - 1]`, at least 1, inf where it is never reached; of a
        single seed, which both chooses and is reported, `[1]`.
      places: int64, for each of these the place of its seed among those in order.
      num_steps: length of a trial.
    """

    steps: np.ndarray
    places: np.ndarray
    num_steps: int

    @property
    def median(self) -> float:
        """Median over seeds."""
        return float(np.median(self.steps))

    @property
    def censored(self) -> float:
        """Share of the seeds that never get there."""
        return float(np.isinf(self.steps).mean())

    def logs(self) -> np.ndarray:
        """Return logarithms, of the whole length where the target is not reached."""
        return np.log(np.minimum(self.steps, max(self.num_steps, 1)))


class Bound(enum.Flag):
    """Which way a speed-up is wrong where times are those of whole trials instead."""

    AT_MOST = enum.auto()
    """The set misses a target: it is no faster than that."""
    AT_LEAST = enum.auto()
    """The reference misses its own target: the set is no slower than that."""

    @property
    def sign(self) -> str:
        """What stands before the number: nothing where no target is missed."""
        signs = {Bound.AT_MOST: "≤ ", Bound.AT_LEAST: "≥ "}
        return signs.get(self, "~ " if self else "")


EXACT = Bound(0)
"""Every seed reaches every target."""


def bound_of(times: Times, its_times: Times) -> Bound:
    """Return which way a speed-up is wrong on one task.

    Args:
      times: of the set.
      its_times: of the reference; the same object where the set is the reference,
        which is exactly as fast as itself.
    """
    if times is its_times:
        return EXACT
    misses = Bound.AT_MOST if times.censored else EXACT
    return misses | (Bound.AT_LEAST if its_times.censored else EXACT)


def smoothed(losses: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """Return smoothed curves; inf from where one diverges.

    Args:
      losses: float `[..., num_evals]`.
      xs: int `[num_evals]`, number of the update of each evaluation.
    """
    curves, gaps = losses.reshape(-1, losses.shape[-1]), spacings(xs)
    timed = np.full(curves.shape, np.inf)
    # A loss that overflows before training does not end a run.
    starts = np.argmax(np.isfinite(curves), axis=1)
    for start in np.unique(starts):
        here = starts == start
        timed[here, start:] = smooth(curves[here, start:], EMA_OF_TIMES, gaps[start:])
    return stats.mark_diverged(timed).reshape(losses.shape)


def lowest(result: SetResult) -> float:
    """Return the lowest smoothed loss of the best configuration, median over seeds.

    Of an even number it is the upper one, so that at least half get there.
    """
    each = smoothed(result.best_curves(), result.curves.xs).min(axis=-1)
    return float(np.quantile(each, 0.5, method="higher"))


def times_to(result: SetResult, target: float) -> Times:
    """Return how soon a set is at a target.

    Args:
      result: the set on a task.
      target: a loss.
    """
    order = seed_order(result)
    select, report = (
        # There is no cost below that of one update.
        np.maximum(
            stats.steps_to_target(
                smoothed(result.curves.losses[split], result.curves.xs),
                result.curves.xs,
                target,
            ),
            1.0,
        )[:, order]
        for split in (result.select, result.report)
    )
    penalty = _PENALTY * max(result.num_steps, 1)
    costs = np.where(np.isinf(select), penalty, select)
    if result.num_seeds == 1:
        steps, places = report[np.argmin(costs[:, 0])], np.zeros(1, np.int64)
    else:
        steps, places = chain(costs, report).test, np.arange(1, result.num_seeds)
    return Times(steps, places, result.num_steps)


def log_speedups(
    result: SetResult, times: Times, reference: SetResult, its_times: Times
) -> np.ndarray:
    """Return logarithms of how many times sooner a set is, seed by seed.

    Args:
      result: the set.
      times: of it.
      reference: what it is compared with.
      its_times: of that.

    Returns:
      Float64 `[seeds]`: those that both share; where they share none, as many as both
      have, the k-th against the k-th.
    """
    ids, its_ids = (
        np.sort(x)[t.places]
        for x, t in zip(seed_ids([result, reference]), (times, its_times), strict=True)
    )
    shared, own, its = np.intersect1d(ids, its_ids, return_indices=True)
    if not len(shared):
        own = its = np.arange(min(len(ids), len(its_ids)))
    return its_times.logs()[its] - times.logs()[own]


def speedup(logs: Sequence[np.ndarray], level: float) -> stats.Interval:
    """Return the geometric mean over tasks of speed-ups, with its interval over seeds.

    Args:
      logs: per task, `log_speedups`.
      level: of Student's interval, with Welch's degrees of freedom over tasks; its
        ends are NaN where a task has fewer than 4 seeds.
    """
    nan = float("nan")
    if not logs or not all(map(len, logs)):
        return stats.Interval(nan, nan, nan, level)
    mean = float(np.mean([x.mean() for x in logs]))
    if min(map(len, logs)) < FEWEST_SEEDS - 1:
        return stats.Interval(float(np.exp(mean)), nan, nan, level)
    parts = np.asarray([x.var(ddof=1) / len(x) for x in logs])
    freedom = np.asarray([len(x) - 1 for x in logs])
    half = 0.0
    if parts.any():
        welch = parts.sum() ** 2 / (parts**2 / freedom).sum()
        t = -float(special.stdtrit(welch, (1 - level) / 2))
        half = t * float(np.sqrt(parts.sum())) / len(logs)
    low, middle, high = np.exp([mean - half, mean, mean + half]).tolist()
    return stats.Interval(low=low, estimate=middle, high=high, level=level)
