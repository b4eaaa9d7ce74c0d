"""Ranges of numbers, from which searches draw and of which grids take points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SIGNIFICANT_DIGITS = 6
"""Of numbers that are drawn or spaced: a name that shows one shows all of it."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
      low: the least number.
      high: the greatest number.
      log: whether numbers are evenly spread by their logarithms.
      whole: whether only whole numbers belong to it.
      points: how many a grid takes; None where no grid is meant.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    points: int | None = None

    @property
    def num_values(self) -> float:
        """How many values there are; infinitely many unless they are whole."""
        return self.high - self.low + 1 if self.whole else math.inf

    def value_at(self, share: float) -> int | float:
        """Return the value below which a given share, in [0, 1), of the range lies."""
        # A whole number stands for everything up to the next one.
        high = self.high + 1 if self.whole else self.high
        if self.log:
            # Not by their ratio, which can overflow.
            low, high = math.log(self.low), math.log(high)
            value = math.exp(low + share * (high - low))
        else:
            value = self.low + share * (high - self.low)
        return self._clip(math.floor(value) if self.whole else value)

    def spaced(self, points: int) -> list[int | float]:
        """Return `points` evenly spread values, both ends included; some may repeat."""
        spread = np.geomspace if self.log else np.linspace
        values = spread(self.low, self.high, points).tolist()
        return [self._clip(round(v) if self.whole else v) for v in values]

    def _clip(self, value: float) -> int | float:
        if not self.whole:
            value = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        return min(max(value, self.low), self.high)
