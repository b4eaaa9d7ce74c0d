"""How much worse each set is than others, over the seeds both have.

Seeds of the same id are compared with each other, in whichever order they come. Two
sets without a single seed in common, or of seeds that are unknown, are independent:
they are compared entry by entry, which is as valid, and less sharp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.stats.chains import (
    Chain,
    Prepared,
    TaskLosses,
    best_of_others,
    chain,
)
from learned_optimization.baselines.stats.divergence import spare_diverged
from learned_optimization.errors import LoptError


@dataclass(frozen=True, eq=False)
class Judged:
    """A set against others on one task, seed by seed.

    Attributes:
      differences: `[configs, n]`, how much worse each of its configurations is; where
        it diverged, as bad as on its worst other seed (`spare_diverged`).
      opponents: int64 `[n]`, the set it is compared with.
      own: `[n]`, the set's own chain on these seeds; NaN before its second seed.
      theirs: `[n]`, test losses of the opponents.
    """

    differences: np.ndarray
    opponents: np.ndarray
    own: np.ndarray
    theirs: np.ndarray


class Pairing:
    """Losses of all sets on one task, seeds in order.

    Args:
      losses: as given.
      task: the same, prepared; all trials have run.

    Attributes:
      task: with seeds in the order of their ids.
      seeds: per set, sorted ids; None where they are unknown.
      chains: per set.
      configs: per set, the configurations that may be the best.
    """

    def __init__(self, losses: TaskLosses, task: Prepared):
        if not all(ran.all() for ran in task.ran):
            raise LoptError(
                f"losses{f' of {losses.name}' if losses.name else ''} hold trials that "
                "have not run: leave out their seeds, or configurations."
            )
        sets = range(len(task.test))
        self.seeds: list[np.ndarray | None] = [None] * len(sets)
        order = [np.arange(task.test[a].shape[1]) for a in sets]
        if losses.seeds is not None:
            for a, ids in enumerate(_checked_ids(losses, task)):
                order[a] = np.argsort(ids, kind="stable")
                self.seeds[a] = ids[order[a]]

        def ordered(parts: list[np.ndarray]) -> list[np.ndarray]:
            return [x[:, order[a]] for a, x in enumerate(parts)]

        self.task = Prepared(
            outer_valid=ordered(task.outer_valid),
            test=ordered(task.test),
            diverged=ordered(task.diverged),
            ran=ordered(task.ran),
            name=task.name,
        )
        self.configs = [list(range(len(task.test[a]))) for a in sets]
        self._against: dict[tuple[int, int], Judged] = {}
        self._partners: dict[tuple[int, int], np.ndarray] = {}
        both = zip(self.task.outer_valid, self.task.test, strict=True)
        self.chains: list[Chain] = [chain(valid, test) for valid, test in both]

    def partners(self, a: int, b: int) -> np.ndarray:
        """Return for each seed of a the place among those of b, -1 for none."""
        if (a, b) not in self._partners:
            self._partners[a, b] = self._found_partners(a, b)
        return self._partners[a, b]

    def _found_partners(self, a: int, b: int) -> np.ndarray:
        mine, theirs = self.seeds[a], self.seeds[b]
        num_mine = self.task.test[a].shape[1]
        num_theirs = self.task.test[b].shape[1]
        places = np.arange(num_mine)
        if mine is not None and theirs is not None:
            found = np.searchsorted(theirs, mine).clip(max=len(theirs) - 1)
            is_there = theirs[found] == mine
            if is_there.any():
                return np.where(is_there, found, -1)
        return np.where(places < num_theirs, places, -1)

    def chosen(self, a: int) -> int:
        """Return the configuration that all seeds of a set choose."""
        return int(self.task.outer_valid[a].sum(axis=1).argmin())

    def num_diverged(self, a: int) -> tuple[int, int]:
        """Return how many seeds of `chosen` diverged, and of how many."""
        diverged = self.task.diverged[a][self.chosen(a)]
        return int(diverged.sum()), len(diverged)

    def mean_totals(self, a: int) -> np.ndarray:
        """Return per set and seed of a what the set's chain promises, inf for none.

        That is the mean over the set's earlier seeds of the outer_valid loss it is
        chosen for.
        """
        totals = np.full((len(self.chains), self.task.test[a].shape[1]), np.inf)
        for b, of_b in enumerate(self.chains):
            if b != a:
                partners = self.partners(a, b)
                has = partners >= 1
                at = partners[has]
                totals[b, has] = of_b.total[at - 1] / at
        return totals

    def judged(self, a: int, opponents: np.ndarray) -> Judged:
        """Return a set against one opponent per seed, -1 for none."""
        num_seeds = self.task.test[a].shape[1]
        theirs = np.full(num_seeds, np.nan)
        for b in set(opponents.tolist()) - {-1}:
            partners = self.partners(a, b)
            here = (opponents == b) & (partners >= 1)
            theirs[here] = self.chains[b].test[partners[here] - 1]
        used = ~np.isnan(theirs)
        test = self.task.test[a][self.configs[a]][:, used]
        diverged = self.task.diverged[a][self.configs[a]][:, used]
        own = np.concatenate([[np.nan], self.chains[a].test])[used]
        return Judged(
            spare_diverged(test - theirs[used], diverged) if used.any() else test,
            opponents[used],
            own,
            theirs[used],
        )

    def against_set(self, better: int, worse: int) -> Judged:
        """Return one set against another."""
        if (better, worse) not in self._against:
            opponents = np.full(self.task.test[worse].shape[1], better)
            self._against[better, worse] = self.judged(worse, opponents)
        return self._against[better, worse]

    def judged_by_itself(self, a: int) -> Judged:
        """Return a set against what its own earlier seeds choose."""
        own = self.chains[a].test
        test = self.task.test[a][self.configs[a], 1:]
        diverged = self.task.diverged[a][self.configs[a], 1:]
        differences = spare_diverged(test - own, diverged)
        return Judged(differences, np.full(len(own), a), own, own)


def against_best(pairings: Sequence[Pairing], a: int) -> list[Judged]:
    """Return a set, on each task, against the other set that earlier seeds rank best.

    It is one set for all tasks: the k-th seeds of all tasks choose together.
    """
    totals = [pairing.mean_totals(a) for pairing in pairings]
    longest = max(t.shape[1] for t in totals)
    together = np.zeros((len(totals[0]), longest))
    for t in totals:
        together[:, : t.shape[1]] += t
    best = _best_other(together, a)
    return [
        pairing.judged(a, best[: t.shape[1]])
        for pairing, t in zip(pairings, totals, strict=True)
    ]


def _best_other(totals: np.ndarray, a: int) -> np.ndarray:
    """Return which set other than a has the least total, -1 where none has any."""
    best = best_of_others(totals)[a]
    has_any = np.isfinite(totals[best, np.arange(totals.shape[1])])
    return np.where(has_any, best, -1)


def _checked_ids(losses: TaskLosses, task: Prepared) -> list[np.ndarray]:
    ids = [np.asarray(seeds) for seeds in losses.seeds or ()]
    if len(ids) != len(task.test):
        raise LoptError(
            f"seeds must be one list per set, of {len(task.test)} sets, got {len(ids)}."
        )
    for a, seeds in enumerate(ids):
        num_seeds = task.test[a].shape[1]
        if seeds.shape != (num_seeds,) or len(np.unique(seeds)) != num_seeds:
            raise LoptError(
                f"seeds of set {a} must be {num_seeds} different ids, one per seed of "
                f"its losses, got {seeds.tolist()}."
            )
    return ids
