"""Differences summed over tasks, whichever configuration is the best on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class SumOverTasks:
    """The sum over tasks of the least mean difference of any configuration.

    Attributes:
      mean: the sum; the least of means and the largest of variances are below and
        above those of the best configurations, whichever these are.
      error: its standard error, tasks being independent.
      freedom: its degrees of freedom (Welch & Satterthwaite).
    """

    mean: float
    error: float
    freedom: float

    @property
    def t(self) -> float:
        """Return Student's t; without any spread 0, or infinite of the mean's sign."""
        if self.error:
            return self.mean / self.error
        return float(np.copysign(np.inf, self.mean)) if self.mean else 0.0

    def needed(self, level: float) -> float:
        """Return the t that is exceeded with a probability of `level` by chance."""
        return -float(special.stdtrit(self.freedom, level))

    def p_value(self) -> float:
        """Return how likely so large a sum would be by chance."""
        return float(special.stdtr(self.freedom, -self.t))

    def lower_bound(self, level: float) -> float:
        """Return what the true sum is below with a probability of `level`."""
        return self.mean - self.needed(level) * self.error if self.error else self.mean


def sum_over_tasks(
    differences: Sequence[np.ndarray], tolerance: float = 0.0
) -> SumOverTasks:
    """Return the sum over tasks of differences, of the configurations nearest.

    Args:
      differences: per task, `[configs, n]`, n of at least 2; n may differ.
      tolerance: added to every difference.
    """
    mean, variance, weight = 0.0, 0.0, 0.0
    # Squares of 1e-300 are 0: sum in units of the largest.
    scale = max(float(np.abs(x).max()) for x in differences) or 1.0
    for x in differences:
        x, count = x / scale, x.shape[1]
        part = float(x.var(axis=1, ddof=1).max()) / count
        # Equal numbers may differ from their mean by rounding.
        if np.ptp(x, axis=1).max() == 0.0:
            part = 0.0
        mean += float(x.mean(axis=1).min()) + tolerance / scale
        variance += part
        weight += part**2 / (count - 1)
    if not variance:
        return SumOverTasks(mean * scale, 0.0, 1.0)
    freedom = variance**2 / weight
    return SumOverTasks(mean * scale, float(np.sqrt(variance)) * scale, freedom)
