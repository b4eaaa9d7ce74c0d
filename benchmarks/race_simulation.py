"""Sizes, powers and trials of races between sets whose best is known.

    python benchmarks/race_simulation.py [--races 500] [--sets 2 6 16] [--table size]
        [--checkpoint FILE]

With a checkpoint, an interrupted run goes on where it was, and one with more races
adds to those there are. Every race has up to 128 seeds and alpha is 5%. Distances are
in standard deviations of a difference of two trials with the same seed.

- size: all best configurations are equal; how often any set is ever out. Columns are
  tests: the race's; Student's t alone; the e-process. Within Monte Carlo error
  (`sqrt(p (1 - p) / races)`) the first stays below 5%.
- power: the first set is better than all others by delta; how often it alone is left,
  its trials, and how many times as many a uniform run to the same seeds takes.
- equivalence: the first set is better by x times the tolerance of 0.72; how often
  "equivalent" is said, which is false from x = 1 on.
- tasks: several tasks, all best equal; equal on average but opposite on two tasks;
  0.72 better on each.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from simulated_losses import Checkpoint, Law

from learned_optimization.baselines.stats.evidence import EProcess, SmallerT
from learned_optimization.baselines.stats.racing import Outcome, RaceRules, race

MAX_SEEDS = 128
NULLS = {
    "one configuration": Law("one"),
    "steep curves": Law("steep"),
    "Adam's curve": Law("adam"),
    "near ties": Law("near ties"),
    "14 equal configurations": Law("equal"),
    "equal bests, different shapes": Law("shapes"),
    "t3 noise": Law("one", "t3"),
    "noise sd x1..x4 over sets": Law("one", "spread"),
    "one set very skewed": Law("one", "one skewed"),
    "all but one very skewed": Law("one", "others skewed"),
    "near ties, 5% of trials diverge": Law("near ties", divergence=0.05),
}


@dataclass(frozen=True)
class StudentT(SmallerT):
    """Student's t alone, which does not allow for skew."""

    def of(self, differences: ArrayLike, shift: float = 0.0) -> np.ndarray:
        """Return the t of differences `[..., n]`, plus a shift."""
        x = np.asarray(differences) + shift
        sd = x.std(axis=-1, ddof=1)
        mean = x.mean(axis=-1)
        t = np.sqrt(x.shape[-1]) * mean / np.where(sd > 0, sd, 1.0)
        return np.where(sd > 0, t, np.where(mean == 0, 0.0, np.sign(mean) * np.inf))


TESTS = {"race": SmallerT(), "plain t": StudentT(), "e-process": EProcess()}


def rules(tolerance: float = 0.0, test: str = "race") -> RaceRules:
    """Return rules of a race to 128 seeds."""
    return RaceRules(tolerance, max_seeds=MAX_SEEDS, evidence=TESTS[test])


def print_row(*cells: object) -> None:
    """Print a row of a table."""
    shown = [f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells]
    print("|", " | ".join(shown), "|", flush=True)


def print_head(*cells: str) -> None:
    """Print the head of a table."""
    print()
    print_row(*cells)
    print("|---" * len(cells) + "|")


def size(checkpoint: Checkpoint, sets: list[int], races: int) -> None:
    """Print how often any best set is out."""

    def any_out(law: Law, num_sets: int, rng: np.random.Generator) -> list[float]:
        losses = law.draw(np.zeros(num_sets), MAX_SEEDS, rng)
        results = [race(losses, rules(test=test)) for test in TESTS]
        return [float(len(result.left) < num_sets) for result in results]

    print_head("null", "sets", *TESTS)
    for (name, law), num_sets in itertools.product(NULLS.items(), sets):
        simulate = functools.partial(any_out, law, num_sets)
        shares = checkpoint.mean(f"size {name} {num_sets}", simulate, races)
        print_row(name, num_sets, *shares)


def power(checkpoint: Checkpoint, sets: list[int], races: int) -> None:
    """Print how often the better set is found, and at what cost."""

    def found(
        curve: str, num_sets: int, delta: float, rng: np.random.Generator
    ) -> list[float]:
        better = delta * (np.arange(num_sets) == 0)
        result = race(Law(curve).draw(better, MAX_SEEDS, rng), rules())
        times = result.looks[-1].num_uniform / result.num_trials
        alone, is_out = float(result.left == (0,)), float(0 not in result.left)
        return [alone, is_out, result.num_trials, times, result.num_seeds]

    named = ("alone left", "best out", "trials", "uniform x", "seeds")
    print_head("curve", "sets", "delta", *named)
    rows = itertools.product(("adam", "near ties"), sets, (0.36, 0.72, 1.44))
    for curve, num_sets, delta in rows:
        simulate = functools.partial(found, curve, num_sets, delta)
        name = f"power {curve} {num_sets} {delta}"
        alone, is_out, trials, times, seeds = checkpoint.mean(name, simulate, races)
        cost = (f"{trials:.0f}", f"{times:.1f}", f"{seeds:.0f}")
        print_row(curve, num_sets, f"{delta:g}", alone, is_out, *cost)


def equivalence(checkpoint: Checkpoint, sets: list[int], races: int) -> None:
    """Print how often sets are said to be equivalent."""
    tolerance, factors = 0.72, (0.0, 0.5, 1.0, 1.5)

    def is_said(
        curve: str, num_sets: int, x: float, rng: np.random.Generator
    ) -> list[float]:
        better = x * tolerance * (np.arange(num_sets) == 0)
        losses = Law(curve).draw(better, MAX_SEEDS, rng)
        return [float(race(losses, rules(tolerance)).outcome is Outcome.EQUIVALENT)]

    print_head("curve", "sets", *(f"x = {x:g}" for x in factors))
    for curve, num_sets in itertools.product(("one", "adam", "near ties"), sets):
        said = []
        for x in factors:
            simulate = functools.partial(is_said, curve, num_sets, x)
            name = f"equivalence {curve} {num_sets} {x}"
            said.append(float(checkpoint.mean(name, simulate, races)[0]))
        print_row(curve, num_sets, *said)


def tasks(checkpoint: Checkpoint, sets: list[int], races: int) -> None:
    """Print how often any best set is out, and the better one found, on tasks."""

    def outs(num_tasks: int, num_sets: int, rng: np.random.Generator) -> list[float]:
        equal = np.zeros((num_tasks, num_sets))
        opposite, better = equal.copy(), equal.copy()
        opposite[:2, 0] = 5.0, -5.0
        better[:, 0] = 0.72
        found, num_seeds = [], 0
        for of_tasks in (equal, opposite, better):
            drawn = [Law("adam").draw(row, 64, rng) for row in of_tasks]
            result = race(drawn, replace(rules(), max_seeds=64))
            expected = (0,) if of_tasks is better else tuple(range(num_sets))
            found.append(float(result.left == expected))
            num_seeds = result.num_seeds
        return [1 - found[0], 1 - found[1], found[2], num_seeds]

    print_head("tasks", "sets", "equal: out", "opposite: out", "better: found", "seeds")
    for num_tasks, num_sets in itertools.product((4, 10), [k for k in sets if k < 10]):
        simulate = functools.partial(outs, num_tasks, num_sets)
        name = f"tasks {num_tasks} {num_sets}"
        *shares, seeds = checkpoint.mean(name, simulate, races, chunk=10)
        print_row(num_tasks, num_sets, *shares, f"{seeds:.0f}")


TABLES = {"size": size, "power": power, "equivalence": equivalence, "tasks": tasks}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, default=500)
    parser.add_argument("--sets", type=int, nargs="+", default=[2, 6, 16])
    parser.add_argument("--table", choices=TABLES, nargs="+", default=list(TABLES))
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    checkpoint = Checkpoint(args.checkpoint)
    for name in args.table:
        TABLES[name](checkpoint, args.sets, args.races)


if __name__ == "__main__":
    main()
