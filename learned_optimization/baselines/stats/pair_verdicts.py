"""Two of several sets, over the seeds both have: better, equivalent or undecided."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.stats.divergence import (
    DivergenceComparison,
    compare_divergence,
)
from learned_optimization.baselines.stats.opponents import Judged, Pairing
from learned_optimization.baselines.stats.single_tests import (
    p_value_of,
    seeds_to_find,
    set_lower_bound,
)

_MOST_TIMES_MORE = 10
"""More than so many times the seeds there are is not proposed."""


class PairOutcome(enum.Enum):
    """What can be said of two sets; the value is a sentence to fill in."""

    BETTER = "{better} is better than {worse}"
    EQUIVALENT = "{a} and {b} are equivalent within {tolerance}"
    UNDECIDED = "{a} and {b} are not told apart"
    TOO_FEW_SEEDS = "{a} and {b} share {seeds}: nothing is said of fewer than 4"


@dataclass(frozen=True)
class PairVerdict:
    """Two sets, over the seeds both have; every pair at its own alpha.

    Attributes:
      a: a set.
      b: the other one.
      outcome: what can be said.
      better: the better one where there is one.
      difference: mean difference of what earlier seeds choose, a minus b.
      low: the difference of their best configurations is above it, ...
      high: ... and below this, at `1 - alpha` together, by the test inverted.
      p_a_better: that a is no better, one-sided.
      p_b_better: that b is no better.
      num_seeds: seeds compared, the fewest of any task.
      seeds_to_decide: seeds in all, about, that would tell them apart or show them
        equivalent; None if decided, or more than ten times as many would not.
      would_tell: whether these would tell them apart, rather than show them
        equivalent.
      divergence: per task, how often seeds of a and of b diverge, each of the
        configuration that all its seeds choose.
    """

    a: int
    b: int
    outcome: PairOutcome
    better: int | None
    difference: float
    low: float
    high: float
    p_a_better: float
    p_b_better: float
    num_seeds: int
    seeds_to_decide: int | None
    would_tell: bool
    divergence: tuple[DivergenceComparison, ...]

    @property
    def p_value(self) -> float:
        """That neither is better, two-sided; NaN for too few seeds."""
        return float(np.minimum(1.0, 2 * np.minimum(self.p_a_better, self.p_b_better)))

    @property
    def more_seeds(self) -> int | None:
        """How many more seeds would decide, at least 1; None as `seeds_to_decide`."""
        if self.seeds_to_decide is None:
            return None
        return max(self.seeds_to_decide - self.num_seeds, 1)


def pair_verdict(
    pairings: Sequence[Pairing], a: int, b: int, tolerance: float, alpha: float
) -> PairVerdict:
    """Return what can be said of sets a and b (`PairVerdict`)."""
    # Whether a is worse, and whether b is.
    of_a = [p.against_set(b, a) for p in pairings]
    of_b = [p.against_set(a, b) for p in pairings]
    p_a_better, p_b_better = p_value_of(of_b), p_value_of(of_a)
    num_seeds = min(num_compared(of_a), num_compared(of_b))
    outcome, better = PairOutcome.UNDECIDED, None
    if np.isnan(p_a_better) or np.isnan(p_b_better):
        outcome = PairOutcome.TOO_FEW_SEEDS
    # Two one-sided tests: each at half the level.
    elif min(p_a_better, p_b_better) < alpha / 2:
        outcome, better = PairOutcome.BETTER, a if p_a_better < p_b_better else b
    elif max(p_value_of(of_a, tolerance), p_value_of(of_b, tolerance)) < alpha:
        outcome = PairOutcome.EQUIVALENT
    needed, would_tell = None, False
    if outcome is PairOutcome.UNDECIDED:
        finds = [seeds_to_find(x, tolerance, alpha) for x in (of_a, of_b)]
        found = [(n, i == 0) for pair in finds for i, n in enumerate(pair) if n]
        found = [x for x in found if x[0] <= _MOST_TIMES_MORE * num_seeds]
        if found:
            needed, would_tell = min(found, key=lambda x: (x[0], not x[1]))
    return PairVerdict(
        a=a,
        b=b,
        outcome=outcome,
        better=better,
        difference=chain_difference(of_a),
        low=set_lower_bound(of_a, alpha / 2),
        high=0.0 - set_lower_bound(of_b, alpha / 2),
        p_a_better=p_a_better,
        p_b_better=p_b_better,
        num_seeds=num_seeds,
        seeds_to_decide=needed,
        would_tell=would_tell,
        divergence=tuple(
            compare_divergence(*p.num_diverged(a), *p.num_diverged(b)) for p in pairings
        ),
    )


def num_compared(judged: Sequence[Judged]) -> int:
    """Return how many seeds were compared: the first only chooses."""
    return min(len(j.opponents) for j in judged) + 1


def chain_difference(judged: Sequence[Judged]) -> float:
    """Return how much worse a set's chain is, on the mean of tasks."""
    means = []
    for of_task in judged:
        x = of_task.own - of_task.theirs
        x = x[~np.isnan(x)]
        means.append(float(x.mean()) if len(x) else np.nan)
    return float(np.mean(means))
