"""Sets with names, compared by one look at all their seeds (`stats.one_look`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats

LEVEL = 0.95
"""Confidence of every interval, and of the verdict."""

TOLERANCE = 0.01
"""Share of what the reference improves that does not matter, by default."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One look at sets that have names.

    Attributes:
      set_names: of the sets, in the order that `look` numbers them.
      look: what was found.
    """

    set_names: tuple[str, ...]
    look: stats.OneLook

    def of(self, set_name: str) -> stats.SetStanding:
        """Return how a set stands."""
        return self.look.standings[self.set_names.index(set_name)]

    def pair(self, a: str, b: str) -> stats.PairVerdict:
        """Return what is said of two sets."""
        return self.look.pair(self.set_names.index(a), self.set_names.index(b))

    def name(self, set_index: int) -> str:
        """Return the name of a set."""
        return self.set_names[set_index]

    @property
    def num_seeds(self) -> int:
        """Seeds that were compared, the fewest of any set."""
        return min(standing.num_seeds for standing in self.look.standings)

    @property
    def says_something(self) -> bool:
        """Whether any set has enough seeds for a verdict."""
        return not np.isnan([s.p_value for s in self.look.standings]).all()

    def family_wise(self) -> tuple[stats.PairVerdict, ...]:
        """Return the pairs that are told apart even if all are one family (Holm)."""
        p_of_each = [pair.p_value for pair in self.look.pairs]
        adjusted = stats.holm(np.nan_to_num(p_of_each, nan=1.0))
        both = zip(self.look.pairs, adjusted, strict=True)
        return tuple(pair for pair, p in both if p < self.look.alpha)


def compare_losses(
    tasks: Sequence[stats.TaskLosses], set_names: Sequence[str], tolerance: float
) -> Comparison | None:
    """Return a comparison of sets; None of fewer than two.

    Args:
      tasks: losses on each task, of the sets in the order of their names.
      set_names: the sets.
      tolerance: difference that does not matter, in the unit of the losses.
    """
    if len(set_names) < 2 or not tasks:
        return None
    look = stats.one_look(tasks, tolerance, 1 - LEVEL)
    return Comparison(tuple(set_names), look)


def mean_interval(values: np.ndarray) -> stats.Interval:
    """Return the mean over seeds with Student's interval.

    Args:
      values: float `[n]`, of what earlier seeds choose. The ends are NaN for fewer
        than 3 of them, which are of 4 seeds.
    """
    nan = float("nan")
    if not np.isfinite(values).all():
        return stats.Interval(float("inf"), nan, nan, LEVEL)
    if len(values) < 3:
        return stats.Interval(float(values.mean()), nan, nan, LEVEL)
    return stats.mean_interval(values, LEVEL)
