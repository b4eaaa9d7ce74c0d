"""Which of several sets is best, by one look at all seeds there are (docs/race.md).

The rules are those of a race with one look that has the whole of alpha: what a report
says. Seeds need not be the same list for every set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.stats.best import mean_interval
from learned_optimization.baselines.stats.chains import LOW_SCORE, TaskLosses, prepared
from learned_optimization.baselines.stats.checks import check_between
from learned_optimization.baselines.stats.luck import WinnersLuck, winners_luck
from learned_optimization.baselines.stats.opponents import (
    Judged,
    Pairing,
    against_best,
)
from learned_optimization.baselines.stats.pair_verdicts import (
    PairVerdict,
    chain_difference,
    num_compared,
    pair_verdict,
)
from learned_optimization.baselines.stats.pairs import holm
from learned_optimization.baselines.stats.resampling import Interval
from learned_optimization.baselines.stats.single_tests import (
    p_value_of,
    set_lower_bound,
    without_worse_configs,
)
from learned_optimization.errors import LoptError


@dataclass(frozen=True)
class SetStanding:
    """How a set stands among all.

    Attributes:
      set_index: the set.
      loss: mean loss of what earlier seeds choose, with Student's interval; on several
        tasks the mean of scaled losses.
      is_out: some other set is better; the best is out with a probability of at most
        alpha, whatever the number of sets. If all would be out, one stays: that with
        the largest p value.
      p_value: that no other set is better, of this set alone; NaN for too few seeds.
      p_adjusted: the same among all sets (Holm): `is_out` where it is below alpha. It
        is 1 for the one that stays if all would be out.
      lost_to: sets that it was compared with, and on how many seeds, most first.
      difference: mean difference of its chain to those of these sets.
      low: how much worse it is than the best other set at least, and ...
      high: ... at most. All `low` hold together with a probability of `1 - alpha`, and
        all `high` do. Below 0 it is better; NaN for too few seeds.
      num_seeds: seeds compared, the fewest of any task.
      chosen: per task, the configuration that all its seeds choose.
      num_diverged: per task, seeds of that which diverged.
      num_all_seeds: per task, its seeds.
    """

    set_index: int
    loss: Interval
    is_out: bool
    p_value: float
    p_adjusted: float
    lost_to: tuple[tuple[int, int], ...]
    difference: float
    low: float
    high: float
    num_seeds: int
    chosen: tuple[int, ...]
    num_diverged: tuple[int, ...]
    num_all_seeds: tuple[int, ...]


@dataclass(frozen=True)
class OneLook:
    """Sets compared by one look at all their seeds.

    Attributes:
      standings: one per set, in the order given.
      order: the sets, those that are out last, the lowest loss first.
      pairs: one per two sets.
      luck: how much the first set owes to being chosen; None for too few seeds that
        all sets share.
      low_scores: task, set and score of each set that has less than half of the
        reference's improvement on a task; of several tasks only.
      alpha: the level.
      tolerance: difference that does not matter.
    """

    standings: tuple[SetStanding, ...]
    order: tuple[int, ...]
    pairs: tuple[PairVerdict, ...]
    luck: WinnersLuck | None
    low_scores: tuple[tuple[int, int, float], ...]
    alpha: float
    tolerance: float

    @property
    def left(self) -> tuple[int, ...]:
        """Sets that may be the best, the lowest loss first."""
        return tuple(a for a in self.order if not self.standings[a].is_out)

    def pair(self, a: int, b: int) -> PairVerdict:
        """Return what is said of two sets, in whichever order they are given."""
        return next(p for p in self.pairs if {p.a, p.b} == {a, b})


def one_look(
    tasks: Sequence[TaskLosses] | TaskLosses,
    tolerance: float = 0.0,
    alpha: float = 0.05,
) -> OneLook:
    """Compare sets by all the seeds there are.

    Args:
      tasks: losses on each task, of the same sets in the same order; or on one.
      tolerance: difference in loss that does not matter; on several tasks in the mean
        over tasks of scaled losses. With 0 nothing is ever equivalent.
      alpha: how likely a truly best set may be out.

    Raises:
      LoptError: if there are no two sets, tasks have different sets, or losses are
        none (`TaskLosses`).
    """
    check_between("alpha", alpha, 0, 1)
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise LoptError(f"tolerance must be at least 0, got {tolerance!r}.")
    tasks = [tasks] if isinstance(tasks, TaskLosses) else list(tasks)
    pairings = [Pairing(task, prepared(task)) for task in tasks]
    num_sets = len(pairings[0].chains) if pairings else 0
    if not num_sets or any(len(p.chains) != num_sets for p in pairings):
        raise LoptError(
            "a comparison needs at least one task, and the same sets on each, got "
            f"{[len(p.chains) for p in pairings]} sets."
        )
    if len(pairings) > 1:
        without_worse_configs(pairings, alpha)
    each = [against_best(pairings, a) for a in range(num_sets)]
    p_values = np.asarray([p_value_of(judged) for judged in each])
    adjusted = adjusted_among_all(p_values, alpha)
    standings = tuple(
        _standing(pairings, a, judged, p_values[a], adjusted[a], alpha)
        for a, judged in enumerate(each)
    )
    order = sorted(range(num_sets), key=lambda a: _place(standings[a]))
    return OneLook(
        standings=standings,
        order=tuple(order),
        pairs=tuple(
            pair_verdict(pairings, a, b, tolerance, alpha)
            for a in range(num_sets)
            for b in range(a + 1, num_sets)
        ),
        luck=winners_luck(pairings, order[0], alpha),
        low_scores=_low_scores(pairings) if len(pairings) > 1 else (),
        alpha=alpha,
        tolerance=tolerance,
    )


def adjusted_among_all(p_values: np.ndarray, alpha: float) -> np.ndarray:
    """Return p values of sets among all of them (Holm); not all are below alpha.

    One set is the best: if all would be out, the one with the largest p value stays.

    Args:
      p_values: one per set; NaN for too few seeds.
      alpha: the level.
    """
    adjusted = np.where(
        np.isnan(p_values), np.nan, holm(np.nan_to_num(p_values, nan=1))
    )
    if (adjusted < alpha).all():
        adjusted[np.argmax(p_values)] = 1.0
    return adjusted


def _place(standing: SetStanding) -> tuple[bool, float, int]:
    """Return what sets are sorted by: out or not, then the loss, which may be NaN."""
    loss = standing.loss.estimate
    return standing.is_out, np.inf if np.isnan(loss) else loss, standing.set_index


def _standing(
    pairings: Sequence[Pairing],
    a: int,
    judged: Sequence[Judged],
    p_value: float,
    adjusted: float,
    alpha: float,
) -> SetStanding:
    num_sets = len(pairings[0].chains)
    # Each of so many bounds may fail.
    level = alpha / num_sets
    highs = [
        0.0 - set_lower_bound([p.against_set(a, b) for p in pairings], level)
        for b in range(num_sets)
        if b != a
    ]
    lost_to = Counter(judged[0].opponents.tolist()).most_common()
    return SetStanding(
        set_index=a,
        loss=_chain_interval(pairings, a, 1 - alpha),
        is_out=bool(adjusted < alpha),
        p_value=float(p_value),
        p_adjusted=float(adjusted),
        lost_to=tuple(lost_to),
        difference=chain_difference(judged),
        low=set_lower_bound(judged, level),
        high=float(np.max(highs)),
        num_seeds=num_compared(judged),
        chosen=tuple(p.chosen(a) for p in pairings),
        num_diverged=tuple(p.num_diverged(a)[0] for p in pairings),
        num_all_seeds=tuple(p.num_diverged(a)[1] for p in pairings),
    )


def _chain_interval(pairings: Sequence[Pairing], a: int, level: float) -> Interval:
    parts = [p.chains[a].test for p in pairings]
    if min(map(len, parts)) < 1:
        return Interval(float("nan"), float("nan"), float("nan"), level)
    if len(parts) == 1:
        return mean_interval(parts[0], level)
    shortest = min(map(len, parts))
    center = float(np.mean([part.mean() for part in parts]))
    # By seed: the tasks' seeds of a place count together.
    by_seed = mean_interval(np.mean([part[:shortest] for part in parts], axis=0), level)
    half = (by_seed.high - by_seed.low) / 2
    return Interval(center, center - half, center + half, level)


def _low_scores(pairings: Sequence[Pairing]) -> tuple[tuple[int, int, float], ...]:
    scores = [
        (q, a, 1 - float(of_set.test.mean()))
        for q, pairing in enumerate(pairings)
        for a, of_set in enumerate(pairing.chains)
        if len(of_set.test)
    ]
    return tuple(x for x in scores if x[2] < LOW_SCORE)
