"""What a verdict on all seeds is worth: sizes, powers, coverage and replication.

    python benchmarks/verdict_simulation.py [--simulations 1000]
        [--table size power luck replication few tasks] [--checkpoint FILE]

With a checkpoint, an interrupted run goes on where it was. Alpha is 5%; distances are
in standard deviations of a difference of two trials with the same seed. Ways:

- nested: leaving a seed out to choose, t tests with the variance of Nadeau & Bengio,
  each set's smallest p times the number of others (`stats.p_values_of_being_best`).
- chaining: each seed is reported for the configuration that earlier seeds choose, t
  tests of the sets' chains, corrected in the same way.
- one look: `stats.one_look`.

Tables:

- size: all best configurations are equal; how often any set is out, at 4 to 40 seeds.
- power: the first of the sets is 1 sd better; how often it alone is left.
- luck: the first set's loss: how far from the truth in standard errors, and that of
  the set that earlier seeds put first; how often the interval holds it, its own and the
  one for whichever is first; and how often all lower ends of the differences to the
  best hold, and all upper ends.
- replication: six sets spaced as six real ones; the share of exclusions that another
  group of seeds makes too, and how often the best is excluded.
- few: exponential differences; how often the tight set is out, by Student's t, by the
  smaller t, and by it as a single look does (half the level below 8 seeds).
- tasks: one look at several tasks; how often any set is out where all are equal, and
  where they are equal on average but opposite on two tasks; how often a set that is 1
  sd better on each is the only one left, and which share of the others is out.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from race_simulation import NULLS, print_head, print_row
from simulated_losses import Checkpoint, Law

from learned_optimization.baselines import stats
from learned_optimization.baselines.stats.chains import TaskLosses, chain
from learned_optimization.baselines.stats.single_look import one_look
from learned_optimization.baselines.stats.single_tests import share_of_level
from learned_optimization.baselines.stats.student_hall import critical_t, smaller_t

ALPHA = 0.05
SEEDS = (4, 5, 10, 20, 40)
# Standard deviations by which six real sets are worse than the best of them.
REAL = -np.array([0.0, 0.37, 0.66, 0.7, 1.5, 2.2])


def left_nested(losses: TaskLosses) -> list[int]:
    """Return the sets that are left, choosing with each seed left out."""
    both = zip(losses.outer_valid, losses.test, strict=True)
    return _left([stats.nested_selection(*pair).report for pair in both], nested=True)


def left_chaining(losses: TaskLosses) -> list[int]:
    """Return the sets that are left, comparing what earlier seeds choose."""
    both = zip(losses.outer_valid, losses.test, strict=True)
    pairs = ((np.asarray(valid), np.asarray(test)) for valid, test in both)
    return _left([chain(*pair).test for pair in pairs], nested=False)


def _left(chosen: list[np.ndarray], nested: bool) -> list[int]:
    p_values = [
        [stats.p_value_of_worse(a, b, paired=True, nested=nested) for b in chosen]
        for a in chosen
    ]
    return np.flatnonzero(stats.p_values_of_being_best(p_values) >= ALPHA).tolist()


def left_one_look(losses: TaskLosses) -> list[int]:
    """Return the sets that one look leaves."""
    return sorted(one_look(losses).left)


WAYS: dict[str, Callable[[TaskLosses], list[int]]] = {
    "nested": left_nested,
    "chaining": left_chaining,
    "one look": left_one_look,
}


def size(checkpoint: Checkpoint, num: int) -> None:
    """Print how often any best set is out."""

    def outs(
        law: Law, num_sets: int, num_seeds: int, rng: np.random.Generator
    ) -> list[float]:
        losses = law.draw(np.zeros(num_sets), num_seeds, rng)
        return [float(len(left(losses)) < num_sets) for left in WAYS.values()]

    print_head("null", "sets", "way", *(f"{n} seeds" for n in SEEDS))
    nulls = [
        "one configuration",
        "Adam's curve",
        "near ties",
        "14 equal configurations",
    ]
    nulls += ["one set very skewed", "all but one very skewed"]
    for name, num_sets in itertools.product(nulls, (2, 6)):
        shares = [
            checkpoint.mean(
                f"size {name} {num_sets} {num_seeds}",
                functools.partial(outs, NULLS[name], num_sets, num_seeds),
                num,
            )
            for num_seeds in SEEDS
        ]
        for way, row in zip(WAYS, np.transpose(shares), strict=True):
            print_row(name, num_sets, way, *row.tolist())


def power(checkpoint: Checkpoint, num: int) -> None:
    """Print how often the better set is the only one left."""

    def found(
        curve: str, num_sets: int, num_seeds: int, rng: np.random.Generator
    ) -> list[float]:
        losses = Law(curve).draw(1.0 * (np.arange(num_sets) == 0), num_seeds, rng)
        return [float(left(losses) == [0]) for left in WAYS.values()]

    print_head("curve", "sets", "way", *(f"{n} seeds" for n in SEEDS))
    for curve, num_sets in itertools.product(("adam", "near ties"), (2, 6)):
        shares = [
            checkpoint.mean(
                f"power {curve} {num_sets} {num_seeds}",
                functools.partial(found, curve, num_sets, num_seeds),
                num,
            )
            for num_seeds in SEEDS
        ]
        for way, row in zip(WAYS, np.transpose(shares), strict=True):
            print_row(curve, num_sets, way, *row.tolist())


def luck(checkpoint: Checkpoint, num: int) -> None:
    """Print what choosing the first set does to its loss, and coverages."""

    def results(
        truths: np.ndarray, num_seeds: int, rng: np.random.Generator
    ) -> list[float]:
        # One configuration each, so that the true loss of a set is known; no effect
        # of the seed, which would hide the luck.
        look = one_look(Law("one", of_seed=0.0).draw(-truths, num_seeds, rng))
        first, own = look.order[0], look.standings[look.order[0]].loss
        found = look.luck
        assert found is not None
        best_other = [np.delete(truths, a).min() for a in range(len(truths))]
        gaps = truths - best_other
        spread = np.sqrt(0.5 / (num_seeds - 1))
        return [
            (own.estimate - truths[first]) / spread,
            (found.honest - truths[first]) / spread,
            float(own.low <= truths[first] <= own.high),
            float(found.loss.low <= truths[first] <= found.loss.high),
            float(
                all(s.low <= gap for s, gap in zip(look.standings, gaps, strict=True))
            ),
            float(
                all(s.high >= gap for s, gap in zip(look.standings, gaps, strict=True))
            ),
        ]

    names = ("bias, se", "honest", "own interval", "of any first", "lows", "highs")
    print_head("sets", "truths", "seeds", *names)
    for num_sets, real, num_seeds in itertools.product(
        (2, 6), (False, True), (5, 10, 20)
    ):
        truths = -REAL[:num_sets] * real
        simulate = functools.partial(results, truths, num_seeds)
        row = checkpoint.mean(
            f"luck {num_sets} {real} {num_seeds} seeds", simulate, num
        )
        print_row(num_sets, "spaced" if real else "equal", num_seeds, *row.tolist())


def replication(checkpoint: Checkpoint, num: int) -> None:
    """Print how often an exclusion is made by another group of seeds too."""

    def groups(num_seeds: int, rng: np.random.Generator) -> list[float]:
        law = Law("adam")
        pairs = [law.draw(REAL, num_seeds, rng) for _ in range(2)]
        shares = []
        for left in WAYS.values():
            first, second = (set(range(len(REAL))) - set(left(x)) for x in pairs)
            # Either repeats the other's.
            made = len(first) + len(second)
            again = 2 * len(first & second) / made if made else np.nan
            shares += [again, made / 2, float(0 in first), float(0 in second)]
        return shares

    named = ("replicated", "excluded", "best excluded")
    print_head("seeds", "way", *named)
    for num_seeds in (5, 10, 20):
        simulate = functools.partial(groups, num_seeds)
        row = checkpoint.mean(f"replication {num_seeds}", simulate, num).reshape(-1, 4)
        for way, (again, made, first, second) in zip(WAYS, row, strict=True):
            print_row(num_seeds, way, again, made, (first + second) / 2)


def few(checkpoint: Checkpoint, num: int) -> None:
    """Print sizes of single tests of exponential differences."""

    def outs(num_seeds: int, rng: np.random.Generator) -> list[float]:
        x = 1.0 - rng.exponential(size=(100, num_seeds - 1))
        n, shares = num_seeds - 1, []
        student = np.sqrt(n) * x.mean(axis=1) / x.std(axis=1, ddof=1)
        for t, factor in (
            (student, 1.0),
            (smaller_t(x), 1.0),
            (smaller_t(x), share_of_level(num_seeds)),
        ):
            for level in (ALPHA / 2, ALPHA / 6):
                shares.append(float((t > critical_t(level * factor, n)).mean()))
        return shares

    named = ("Student", "smaller", "one look")
    print_head("seeds", *(f"{x}, {k} sets" for x in named for k in (2, 6)))
    for num_seeds in (4, 5, 6, 7, 8, 10, 15, 20, 40):
        simulate = functools.partial(outs, num_seeds)
        print_row(
            num_seeds, *checkpoint.mean(f"few {num_seeds}", simulate, num).tolist()
        )


def tasks(checkpoint: Checkpoint, num: int) -> None:
    """Print sizes and power of one look at several tasks."""

    def outs(
        law: Law,
        num_tasks: int,
        num_sets: int,
        num_seeds: int,
        rng: np.random.Generator,
    ) -> list[float]:
        equal = np.zeros((num_tasks, num_sets))
        opposite, better = equal.copy(), equal.copy()
        opposite[:2, 0] = 5.0, -5.0
        better[:, 0] = 1.0
        equal_left, opposite_left, better_left = (
            len(one_look([law.draw(row, num_seeds, rng) for row in of_tasks]).left)
            for of_tasks in (equal, opposite, better)
        )
        return [
            float(equal_left < num_sets),
            float(opposite_left < num_sets),
            float(better_left == 1),
            (num_sets - better_left) / (num_sets - 1),
        ]

    named = ("equal: out", "opposite: out", "better: alone", "others out")
    print_head("null", "tasks", "sets", "seeds", *named)
    nulls = ("one configuration", "Adam's curve", "near ties, 5% of trials diverge")
    for name, *numbers in itertools.product(
        (*nulls, "one set very skewed", "all but one very skewed"),
        (4, 14),
        (2, 6),
        (5, 10),
    ):
        simulate = functools.partial(outs, NULLS[name], *numbers)
        row = checkpoint.mean(f"tasks {name} {numbers}", simulate, num, chunk=10)
        print_row(name, *numbers, *row.tolist())


TABLES = {
    "size": size,
    "power": power,
    "luck": luck,
    "replication": replication,
    "few": few,
    "tasks": tasks,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--table", choices=TABLES, nargs="+", default=list(TABLES))
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    checkpoint = Checkpoint(args.checkpoint)
    for name in args.table:
        TABLES[name](checkpoint, args.simulations)


if __name__ == "__main__":
    main()
