"""Real losses of sets over learning rates, trained through the ordinary store.

For the benchmarks that ask how verdicts fare on trials that nobody simulated. What is
trained lies under ordinary names: run again, a benchmark goes on where it was, and
`lopt sweep` finds its trials.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from learned_optimization.baselines.results.format import read_result
from learned_optimization.baselines.results.trial_losses import (
    comparable_losses,
    read_trial_losses,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet, learning_rates
from learned_optimization.baselines.stats.chains import TaskLosses
from learned_optimization.baselines.stats.looks import FIRST_LOOK
from learned_optimization.baselines.sweeps.missing import found_results
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials_of

OPTIMIZERS = ("Adam", "AdamW", "NAdamW", "RAdam", "RMSProp", "SGDM")
TASK = "ImageMLP_FashionMnist8_Relu32"
# Of 14 rates: a program of 280 trials, whose results are lost together at the worst.
_SEEDS_OF_A_SWEEP = 20
_KINDS = ("outer_valid", "test", "initial_outer_valid", "initial")

Place = tuple[int, int, int]
"""A trial on a task: set, configuration, seed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which sets there are."""
    parser.add_argument("--num-steps", type=int, default=10_000)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))


def rate_sets(optimizers: Iterable[str], num_steps: int) -> list[HParamSet]:
    """Return a set over learning rates of each optimizer."""
    return [learning_rates(f"{o}LR", o, [(num_steps, 5)])[0] for o in optimizers]


def train(task_names: Sequence[str], sets: Sequence[HParamSet], num_seeds: int) -> None:
    """Train what has no result yet of every configuration with the first seeds."""
    for first in range(0, num_seeds, _SEEDS_OF_A_SWEEP):
        count = min(_SEEDS_OF_A_SWEEP, num_seeds - first)
        start = time.monotonic()
        summary = run_sweep(
            task_names, [replace(s, repetitions=count).from_seed(first) for s in sets]
        )
        ran = summary.num_trials - summary.num_skipped - summary.num_failed
        if summary.num_failed:
            raise SystemExit(f"{summary.num_failed} trials failed: {summary.failures}")
        if ran:
            print(
                f"seeds {first}-{first + count - 1}: {ran:,} trials in "
                f"{time.monotonic() - start:.0f} s, {summary.compile_seconds:.0f} s of "
                f"it compiling, {summary.trial_steps / summary.run_seconds:,.0f} "
                "trial-steps/s",
                flush=True,
            )


@dataclass(frozen=True, eq=False)
class Store:
    """Where the results of trials on a task lie.

    Attributes:
      task_name: the task.
      sets: the sets.
      paths: the result file of each trial.
    """

    task_name: str
    sets: Sequence[HParamSet]
    paths: dict[Place, str]

    @classmethod
    def of(
        cls, task_name: str, sets: Sequence[HParamSet], places: Iterable[Place]
    ) -> Store:
        """Return the store of trials that all have results."""
        paths, places = {}, list(places)
        for a, hparam_set in enumerate(sets):
            own = [(b, seed) for c, b, seed in places if c == a]
            trials = set_trials_of(task_name, hparam_set, own)
            found, _ = found_results(trials)
            for (b, seed), trial in zip(own, trials, strict=True):
                paths[a, b, seed] = found[trial].path
        return cls(task_name, sets, paths)

    @classmethod
    def of_seeds(
        cls, task_name: str, sets: Sequence[HParamSet], num_seeds: int
    ) -> Store:
        """Return the store of every configuration with the first seeds."""
        places = [
            (a, b, seed)
            for a, s in enumerate(sets)
            for b in range(s.num_configs)
            for seed in range(num_seeds)
        ]
        return cls.of(task_name, sets, places)

    def losses(self, scaled: bool = False) -> TaskLosses:
        """Return the losses; every configuration has the same seeds.

        Args:
          scaled: whether scores of several tasks are to be added: then the loss before
            training is 1, and 0 is lower by the most that a configuration improves on
            outer_valid, over the seeds of the first look of a race.
        """
        of_files = {k: read_trial_losses(path) for k, path in self.paths.items()}
        read = comparable_losses(of_files)
        seeds = sorted({seed for _, _, seed in read})
        kinds = [
            np.asarray(
                [
                    [
                        [getattr(read[a, b, seed], kind) for seed in seeds]
                        for b in range(s.num_configs)
                    ]
                    for kind in _KINDS
                ]
            )
            for a, s in enumerate(self.sets)
        ]
        initial = [
            np.concatenate([x[i, :, :FIRST_LOOK].ravel() for x in kinds])
            for i in (2, 3)
        ]
        of_valid, ceiling = (float(x[np.isfinite(x)].mean()) for x in initial)
        first = [
            np.where(x[0] <= of_valid, x[0], of_valid)[:, :FIRST_LOOK] for x in kinds
        ]
        gained = of_valid - min(float(x.mean(axis=1).min()) for x in first)
        return TaskLosses(
            outer_valid=[x[0] for x in kinds],
            test=[x[1] for x in kinds],
            ceiling=ceiling,
            reference=ceiling - gained if scaled else 0.0,
            scale=gained if scaled else 1.0,
            name=self.task_name,
            outer_valid_ceiling=of_valid,
        )

    def seconds(self, places: Iterable[Place] | None = None) -> float:
        """Return the seconds that trials took, each its share of its program's.

        Args:
          places: the trials; all if None.
        """
        run, compile_, together = (
            "timing/run_seconds_per_trial",
            "timing/compile_seconds",
            "timing/trials_run_together",
        )
        total = 0.0
        for place in self.paths if places is None else places:
            result = read_result(self.paths[place], [run, compile_, together])
            total += float(result[run] + result[compile_] / result[together])
        return total


def select_seeds(losses: TaskLosses, seeds: slice | np.ndarray) -> TaskLosses:
    """Return the losses of some seeds alone."""
    return replace(
        losses,
        outer_valid=[np.asarray(x)[:, seeds] for x in losses.outer_valid],
        test=[np.asarray(x)[:, seeds] for x in losses.test],
    )
