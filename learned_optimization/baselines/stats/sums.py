"""Differences summed over tasks, whichever configuration is the best on each.

A set is worse over tasks if that is so of every combination of its configurations, one
on each task: one of these combinations is its best. Each is tested by Welch's t, the
seeds of different tasks being independent (B. L. Welch 1938, "The significance of the
difference between two means when the population variances are unequal", Biometrika
29); the one that is hardest to refuse decides, and no correction is needed for how many
there are (R. L. Berger 1982, "Multiparameter hypothesis testing and acceptance
sampling", Technometrics 24).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

# How far means are lowered by standard errors where the search starts.
_STARTS = np.asarray([-8.0, -1.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0])


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means of differences, and what they are known to, per task and configuration.

    Attributes:
      mean: `[tasks, configs]`, inf where a task has fewer configurations.
      variance: of the mean, the same shape.
      weight: square of that over its degrees of freedom.
    """

    mean: np.ndarray
    variance: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, differences: Sequence[np.ndarray], tolerance: float) -> _Moments:
        shape = len(differences), max(len(x) for x in differences)
        made = cls(np.full(shape, np.inf), np.zeros(shape), np.zeros(shape))
        for q, x in enumerate(differences):
            count = x.shape[1]
            variance = x.var(axis=1, ddof=1) / count
            # Equal numbers may differ from their mean by rounding.
            variance[np.ptp(x, axis=1) == 0.0] = 0.0
            made.mean[q, : len(x)] = x.mean(axis=1) + tolerance
            made.variance[q, : len(x)] = variance
            made.weight[q, : len(x)] = variance**2 / (count - 1)
        return made

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.mean, self.variance, self.weight


@dataclass(frozen=True)
class SumOverTasks:
    """The sum over tasks of the mean differences of one combination of configurations.

    Attributes:
      mean: the sum.
      error: its standard error, tasks being independent.
      freedom: its degrees of freedom (Welch & Satterthwaite).
      configs: the place of the configuration on each task.
    """

    mean: float
    error: float
    freedom: float
    configs: tuple[int, ...] = ()

    @property
    def t(self) -> float:
        """Return Student's t; without any spread 0, or infinite of the mean's sign."""
        return float(_t(np.asarray(self.mean), np.asarray(self.error)))

    def needed(self, level: float) -> float:
        """Return the t that is exceeded with a probability of `level` by chance."""
        return -float(special.stdtrit(self.freedom, level))

    def p_value(self) -> float:
        """Return how likely so large a sum would be by chance."""
        return float(special.stdtr(self.freedom, -self.t))


def sum_over_tasks(
    differences: Sequence[np.ndarray], tolerance: float = 0.0
) -> SumOverTasks:
    """Return the sum of the combination of configurations with the largest p value.

    Args:
      differences: per task, `[configs, n]`, n of at least 2; n may differ.
      tolerance: added to every difference.
    """
    scale = _scale(differences)

    def p_value(mean: np.ndarray, error: np.ndarray, freedom: np.ndarray) -> np.ndarray:
        return special.stdtr(freedom, -_t(mean, error))

    moments = _Moments.of([x / scale for x in differences], tolerance / scale)
    mean, error, freedom, configs = _most(moments, p_value)
    return SumOverTasks(mean * scale, error * scale, freedom, configs)


def lower_bound_of_sum(differences: Sequence[np.ndarray], level: float) -> float:
    """Return what the true sum of no combination is below but with a probability.

    Args:
      differences: as of `sum_over_tasks`, whose test it inverts.
      level: that probability, one-sided.
    """
    scale = _scale(differences)

    def minus_bound(
        mean: np.ndarray, error: np.ndarray, freedom: np.ndarray
    ) -> np.ndarray:
        return -special.stdtrit(freedom, level) * error - mean

    moments = _Moments.of([x / scale for x in differences], 0.0)
    mean, error, freedom, _ = _most(moments, minus_bound)
    return float(-minus_bound(*map(np.asarray, (mean, error, freedom)))) * scale


def _scale(differences: Sequence[np.ndarray]) -> float:
    # Squares of 1e-300 are 0: sum in units of the largest.
    return max(float(np.abs(x).max()) for x in differences) or 1.0


def _t(mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    # Not sign * inf: 0 * inf is NaN.
    flat = np.where(mean == 0.0, 0.0, np.copysign(np.inf, mean))
    return np.where(error > 0.0, mean / np.where(error > 0.0, error, 1.0), flat)


def _most(
    moments: _Moments, score: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> tuple[float, float, float, tuple[int, ...]]:
    """Return mean, error, freedom and places of the combination of the highest score.

    From several combinations, the one configuration that raises the score most is
    exchanged, until none does: of few configurations this finds what trying all of
    them finds (a test).
    """
    rows = np.arange(len(moments.mean))
    others = 1.0 - np.eye(len(rows))
    lowered = moments.mean - _STARTS[:, None, None] * np.sqrt(moments.variance)
    places = lowered.argmin(axis=2)
    best = np.full(len(places), -np.inf)
    while True:
        totals = [
            (part[rows, places] @ others)[..., None] + part for part in moments.parts()
        ]
        scores = np.where(np.isfinite(moments.mean), score(*_summed(*totals)), -np.inf)
        scores = scores.reshape(len(places), -1)
        change = scores.argmax(axis=1)
        found = scores[np.arange(len(places)), change]
        if not (found > best).any():
            break
        task, config = np.divmod(change, moments.mean.shape[1])
        better = found > best
        places[better, task[better]] = config[better]
        best = np.maximum(best, found)
    at = places[int(best.argmax())]
    mean, error, freedom = _summed(*(part[rows, at].sum() for part in moments.parts()))
    return float(mean), float(error), float(freedom), tuple(at.tolist())


def _summed(
    mean: np.ndarray, variance: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # A variance of 1e-170 has a square of 0.
    has_spread = weight > 0.0
    freedom = np.where(has_spread, variance**2 / np.where(has_spread, weight, 1.0), 1.0)
    return mean, np.where(has_spread, np.sqrt(variance), 0.0), freedom
