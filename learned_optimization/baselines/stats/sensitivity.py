"""How exactly a learning rate has to be tuned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.baselines.stats.checks import checked_array
from learned_optimization.errors import LoptError


@dataclass(frozen=True)
class Sensitivity:
    """The range of learning rates that are nearly as good as the best.

    Attributes:
      decades: width of the range, `log10(high / low)`: 1 is a factor of 10. Larger
        is easier to tune.
      low: lowest learning rate of the range.
      high: highest learning rate of the range.
      best: learning rate of the lowest loss.
      at_edge: the range reaches the lowest or the highest learning rate tried: it may
        be wider than it says.
    """

    decades: float
    low: float
    high: float
    best: float
    at_edge: bool


def sensitivity_width(
    learning_rates: ArrayLike, losses: ArrayLike, tolerance: float = 0.05
) -> Sensitivity:
    """Return how far the learning rate may be off for a loss at most 5% above the best.

    The range is the one around the best learning rate: a second valley behind a worse
    one does not count. Between two learning rates the loss is taken to be linear in
    the logarithm of the rate; where the outer one diverged, the range ends at the
    inner one.

    Args:
      learning_rates: `[configs]`, above 0, in any order, none twice.
      losses: `[configs]`, final losses, e.g. mean over seeds; `+inf` is diverged.
      tolerance: how far above the best a loss may be, relative to it.

    Raises:
      LoptError: on NaN or `-inf`, learning rates that are not above 0 or come twice,
        if every learning rate diverged, or if the lowest loss is not above 0, so that
        there is no percentage of it.
    """
    rates = checked_array("learning rates", learning_rates, "[configs]")
    losses = checked_array("losses", losses, "[configs]", infinities="+")
    if rates.shape != losses.shape:
        raise LoptError(
            "there must be a loss for each learning rate, got "
            f"{len(losses)} losses for {len(rates)} rates."
        )
    if rates.min() <= 0 or len(np.unique(rates)) < len(rates):
        raise LoptError(
            f"learning rates must be above 0, each one once, got {rates.tolist()}."
        )
    if not 0 <= tolerance < np.inf:
        raise LoptError(f"tolerance must be at least 0 and finite, got {tolerance!r}.")
    order = np.argsort(rates)
    logs, losses = np.log10(rates[order]), losses[order]
    best = int(np.argmin(losses))
    if not 0 < losses[best] < np.inf:
        raise LoptError(
            "the lowest loss must be above 0 and finite, for a range within a "
            f"percentage of it, got {losses[best]}: there is no such range."
        )
    allowed = (1 + tolerance) * losses[best]
    low, low_open = _border(logs, losses, best, -1, allowed)
    high, high_open = _border(logs, losses, best, +1, allowed)
    return Sensitivity(
        decades=high - low,
        low=float(10**low),
        high=float(10**high),
        best=float(rates[order][best]),
        at_edge=low_open or high_open,
    )


def _border(
    logs: np.ndarray, losses: np.ndarray, best: int, step: int, allowed: float
) -> tuple[float, bool]:
    """Return where the loss exceeds the allowed one, and whether the grid ends."""
    inside = best
    while True:
        outside = inside + step
        if not 0 <= outside < len(losses):
            return float(logs[inside]), True
        if losses[outside] > allowed:
            break
        inside = outside
    # Beside an infinite loss the share is 0: the border is the last one inside.
    share = (allowed - losses[inside]) / (losses[outside] - losses[inside])
    return float(logs[inside] + share * (logs[outside] - logs[inside])), False
