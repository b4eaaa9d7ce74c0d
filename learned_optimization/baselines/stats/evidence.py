"""How much differences say that their mean is above 0, and how much is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.baselines.stats.student_hall import critical_t, smaller_t


class Evidence(Protocol):
    """A test of a mean being above 0."""

    def of(self, differences: ArrayLike, shift: float = 0.0) -> np.ndarray:
        """Return the evidence of differences `[..., n]`, plus a shift."""
        ...

    def needed(self, level: float, share: float, num_differences: int) -> float:
        """Return what evidence has to exceed.

        Args:
          level: of all looks together.
          share: of the level, of this look.
          num_differences: looked at.
        """
        ...


@dataclass(frozen=True)
class SmallerT:
    """The smaller of Student's and Hall's t (`smaller_t`), at the level of a look."""

    def of(self, differences: ArrayLike, shift: float = 0.0) -> np.ndarray:
        """Return the t of differences `[..., n]`, plus a shift."""
        return smaller_t(differences, shift)

    def needed(self, level: float, share: float, num_differences: int) -> float:
        """Return the critical t of a share of the level."""
        return float(critical_t(level * share, num_differences))


@dataclass(frozen=True)
class EProcess:
    """A t test that holds at any time: looks may be anywhere, and of any number.

    The evidence is the logarithm of the e-value. An e-value is the
    likelihood of the differences, up to their scale, were their mean `|z| * spread`
    standard deviations with z standard normal, over that with a mean of 0. By Ville's
    inequality it ever exceeds `1 / alpha` with a probability of at most alpha, for
    normal differences. See Wang & Ramdas 2025, "Anytime-valid t-tests and confidence
    sequences for Gaussian means with unknown variance", Sequential Analysis.

    Attributes:
      spread: of the mixture over effects, in standard deviations of a difference.
    """

    spread: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a spread that is no positive number."""
        check_between("spread", self.spread, 0, np.inf)

    def of(self, differences: ArrayLike, shift: float = 0.0) -> np.ndarray:
        """Return the log e-value of differences `[..., n]`, plus a shift."""
        x = checked_array("differences", differences, "[..., seeds]") + shift
        return log_e_values(x, self.spread)[..., -1]

    def needed(self, level: float, share: float, num_differences: int) -> float:
        """Return `log(1 / level)`, whatever the look."""
        del share, num_differences
        return -float(np.log(level))


def log_e_values(differences: ArrayLike, spread: float = 1.0) -> np.ndarray:
    """Return the log e-value of the first 1, 2 ... differences (`EProcess`).

    With n differences of sum S and sum of squares V, `a = n + 1 / spread^2` and
    `W = V - S^2 / a`, it is `2 / (spread sqrt(a)) (V / W)^(n/2) F(S sqrt(n / (a W)))`,
    F being the distribution of Student's t with n degrees of freedom.

    Args:
      differences: `[..., n]`, finite.
      spread: of the mixture over effects.

    Returns:
      float64 `[..., n]`; 0 as long as all differences are 0.
    """
    x = checked_array("differences", differences, "[..., seeds]")
    largest = np.abs(x).max(axis=-1, keepdims=True)
    x = x / np.where(largest > 0.0, largest, 1.0)
    n = np.arange(1, x.shape[-1] + 1)
    total, squares = np.cumsum(x, axis=-1), np.cumsum(x**2, axis=-1)
    a = n + 1 / spread**2
    rest = squares - total**2 / a
    is_nothing = squares == 0.0
    rest = np.where(is_nothing, 1.0, rest)
    share = special.stdtr(n, total * np.sqrt(n / (a * rest)))
    log_e = (
        np.log(2 / spread)
        - np.log(a) / 2
        + n / 2 * np.log(np.where(is_nothing, 1.0, squares) / rest)
        + np.log(np.maximum(share, np.finfo(np.float64).tiny))
    )
    return np.where(is_nothing, 0.0, log_e)
