"""The sets left in a comparison: what earlier seeds choose, and who is dropped.

A configuration is judged, seed by seed, against the one that earlier seeds rank best
among the *other* sets, so that what was chosen never judges itself. A set is out when
its last configuration is. On several tasks the opponent is one set for all of them,
configurations are dropped against their own set's chain, and sets by the sum over
tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from learned_optimization.baselines.stats.chains import (
    Chain,
    Prepared,
    best_of_others,
    chain,
    joined,
)
from learned_optimization.baselines.stats.evidence import Evidence
from learned_optimization.baselines.stats.looks import SEEDS_OF_A_VERDICT
from learned_optimization.baselines.stats.student_hall import critical_t, smaller_t
from learned_optimization.baselines.stats.sums import SumOverTasks, sum_over_tasks

# Of the level, on several tasks: for configurations, and for sets.
_SHARE_OF_CONFIGS, _SHARE_OF_SETS = 0.1, 0.9

Dropped = tuple[int, int, int]
"""A task, a set and its configuration."""

_NO_CHAIN = Chain(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


class Field:
    """Sets, as far as they have been looked at.

    Args:
      tasks: losses of each task.
      alpha: level of all looks together.
      evidence: the test of one task.

    Attributes:
      left: sets that may be the best.
      configs: per set left, per task, configurations that may be the best of the set.
      num_seeds: seeds looked at.
      chains: per set, per task.
      opponents: per set, int64 `[seeds - 1]`, the set it is judged against.
      opponents_test: per set, per task, float64 `[seeds - 1]`, their test losses.
    """

    def __init__(self, tasks: Sequence[Prepared], alpha: float, evidence: Evidence):
        self.tasks, self.alpha, self.evidence = tasks, alpha, evidence
        self.left = list(range(len(tasks[0].test)))
        self.configs = {
            a: [list(range(len(task.test[a]))) for task in tasks] for a in self.left
        }
        self.num_seeds = 0
        self.chains = {a: [_NO_CHAIN] * len(tasks) for a in self.left}
        self.opponents = {a: np.zeros(0, np.int64) for a in self.left}
        self.opponents_test = {a: [np.zeros(0)] * len(tasks) for a in self.left}
        self._found: dict[int, np.ndarray] = {}

    @property
    def num_configs(self) -> int:
        """How many configurations are left, of all sets on all tasks."""
        return sum(len(c) for of_set in self.configs.values() for c in of_set)

    def trials_left(self) -> Iterator[Dropped]:
        """Yield each task, set and configuration that is left."""
        for a in self.left:
            for q in range(len(self.tasks)):
                yield from ((q, a, b) for b in self.configs[a][q])

    def extend(self, num_seeds: int) -> None:
        """Add the losses of all seeds up to a number."""
        first, self.num_seeds = max(self.num_seeds, 1), num_seeds
        self._found = {}
        new = {a: [] for a in self.left}
        for a in self.left:
            for q, task in enumerate(self.tasks):
                losses = task.outer_valid[a][:, :num_seeds], task.test[a][:, :num_seeds]
                new[a].append(chain(*losses, self.configs[a][q], first))
                self.chains[a][q] = joined(self.chains[a][q], new[a][q])
        totals = np.asarray([sum(c.total for c in new[a]) for a in self.left])
        if len(self.left) < 2:
            return
        columns = np.arange(totals.shape[1])
        for a, best in zip(self.left, best_of_others(totals), strict=True):
            names = np.asarray(self.left)[best]
            self.opponents[a] = np.concatenate([self.opponents[a], names])
            for q in range(len(self.tasks)):
                test = np.asarray([new[b][q].test for b in self.left])[best, columns]
                old = self.opponents_test[a][q]
                self.opponents_test[a][q] = np.concatenate([old, test])

    def against_opponents(self, a: int, q: int = 0) -> np.ndarray:
        """Return how much worse each configuration left is, `[configs, seeds - 1]`."""
        return self._test(a, q) - self.opponents_test[a][q]

    def against_set(self, better: int, worse: int, q: int = 0) -> np.ndarray:
        """Return the same against the chain of one set."""
        return self._test(worse, q) - self.chains[better][q].test

    def leader(self) -> tuple[int, tuple[int, ...]]:
        """Return the set left with the least outer_valid loss, and what it chooses."""
        best = []
        for a in self.left:
            chosen = [self.chosen(a, q) for q in range(len(self.tasks))]
            best.append((sum(total for total, _ in chosen), a, [b for _, b in chosen]))
        _, a, configs = min(best)
        return a, tuple(configs)

    def chosen(self, a: int, q: int) -> tuple[float, int]:
        """Return what all seeds looked at choose of a set, after its total."""
        valid = self.tasks[q].outer_valid[a][:, : self.num_seeds]
        return min((float(valid[b].sum()), b) for b in self.configs[a][q])

    def drop(self, share: float) -> tuple[list[Dropped], list[int]]:
        """Remove configurations and sets: Holm's rule within one look.

        Args:
          share: of alpha, of this look.

        Returns:
          The configurations dropped, and the sets that are out.
        """
        by_task = len(self.tasks) > 1
        dropped: list[Dropped] = []
        out: list[int] = []
        while len(self.left) > 1:
            level = self.alpha / len(self.left)
            if by_task:
                gone = self._gone_on_tasks(level * share, dropped)
            else:
                needed = self.evidence.needed(level, share, self.num_seeds - 1)
                gone = self._gone_on_one_task(needed, dropped)
            self.left = [a for a in self.left if a not in gone]
            for a in gone:
                dropped += [
                    (q, a, b) for q, cs in enumerate(self.configs[a]) for b in cs
                ]
                del self.configs[a]
            out += gone
            if not gone:
                break
        return sorted(dropped, key=lambda d: (d[1], d[0], d[2])), out

    def evidence_of_sets(self) -> dict[int, float]:
        """Return the evidence against each set left."""
        if len(self.tasks) == 1:
            return {a: float(self._evidence(a).min()) for a in self.left}
        return {a: self.sum_against_opponents(a).t for a in self.left}

    def needed(self, share: float) -> dict[int, float]:
        """Return the evidence it takes against each set, while none of these is out."""
        level = self.alpha / len(self.left)
        if len(self.tasks) == 1:
            needed = self.evidence.needed(level, share, self.num_seeds - 1)
            return dict.fromkeys(self.left, needed)
        level *= share * _SHARE_OF_SETS
        return {a: self.sum_against_opponents(a).needed(level) for a in self.left}

    def sum_against_opponents(self, a: int) -> SumOverTasks:
        """Return the sum over tasks of how much worse a set is than its opponents."""
        return sum_over_tasks(
            [self.against_opponents(a, q) for q in range(len(self.tasks))]
        )

    def within(self, better: int, worse: int, tolerance: float, share: float) -> bool:
        """Return whether one set is less than a tolerance worse than the other.

        Args:
          better: the set that is less than `tolerance` worse than ...
          worse: ... this one.
          tolerance: difference in loss, on several tasks in the mean of scaled losses.
          share: of alpha, of this look.
        """
        differences = [
            self.against_set(better, worse, q) for q in range(len(self.tasks))
        ]
        if len(self.tasks) == 1:
            evidence = self.evidence.of(differences[0], tolerance).min()
            needed = self.evidence.needed(self.alpha, share, self.num_seeds - 1)
            return bool(evidence > needed)
        total = sum_over_tasks(differences, tolerance)
        return total.t > total.needed(self.alpha * share * _SHARE_OF_SETS)

    def _test(self, a: int, q: int) -> np.ndarray:
        return self.tasks[q].test[a][self.configs[a][q], 1 : self.num_seeds]

    def _evidence(self, a: int) -> np.ndarray:
        """Return the evidence against each configuration left, on the only task."""
        if a not in self._found:
            self._found[a] = self.evidence.of(self.against_opponents(a))
        return self._found[a]

    def _gone_on_one_task(self, needed: float, dropped: list[Dropped]) -> list[int]:
        """Remove configurations worse than the opponents; return sets without any."""
        found = {a: self._evidence(a) for a in self.left}
        kept = {a: found[a] <= needed for a in self.left}
        if not any(of_set.any() for of_set in kept.values()):
            least = min(self.left, key=lambda a: found[a].min())
            kept[least][np.argmin(found[least])] = True
        gone = []
        for a in self.left:
            if not kept[a].any():
                if self.num_seeds >= SEEDS_OF_A_VERDICT:
                    gone.append(a)
                    continue
                kept[a][np.argmin(found[a])] = True
            self._keep(a, 0, kept[a], dropped)
            self._found[a] = found[a][kept[a]]
        return gone

    def _gone_on_tasks(self, level: float, dropped: list[Dropped]) -> list[int]:
        """Remove configurations worse than their set's chain; return sets out."""
        for q in range(len(self.tasks)):
            of_configs = level * _SHARE_OF_CONFIGS / len(self.tasks)
            needed = critical_t(of_configs, self.num_seeds - 1)
            for a in self.left:
                found = smaller_t(self.against_set(a, a, q))
                kept = found <= needed
                kept[np.argmin(found)] = True
                self._keep(a, q, kept, dropped)
        if self.num_seeds < SEEDS_OF_A_VERDICT:
            return []
        sums = {a: self.sum_against_opponents(a) for a in self.left}
        of_sets = level * _SHARE_OF_SETS
        gone = [a for a in self.left if sums[a].t > sums[a].needed(of_sets)]
        if len(gone) == len(self.left):
            gone.remove(min(gone, key=lambda a: sums[a].t))
        return gone

    def _keep(self, a: int, q: int, kept: np.ndarray, dropped: list[Dropped]) -> None:
        both = list(zip(self.configs[a][q], kept, strict=True))
        dropped += [(q, a, b) for b, stays in both if not stays]
        self.configs[a][q] = [b for b, stays in both if stays]
