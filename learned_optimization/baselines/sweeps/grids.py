"""Grids: trials of many configurations and seeds that run as one program."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.sweeps.trials import (
    Trial,
    num_updates,
    result_record,
)
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Checkpoint, Device, Progress, Strategy
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task
from learned_optimization.training.results import Measurement
from learned_optimization.training.run import measure_grid, run_grid

# Results are written grid by grid: an interrupted sweep loses this many at most.
_TRIALS_OF_A_GRID = 500


@dataclass(frozen=True, eq=False)
class TrialGrid:
    """Trials that run as one program: every configuration with every seed.

    Attributes:
      rows: one row per configuration, one trial per seed, seeds in the same order.
    """

    rows: Sequence[Sequence[Trial]]

    @property
    def first(self) -> Trial:
        """The first trial: all have its tasks, their names, its plan and device."""
        return self.rows[0][0]

    @property
    def trials(self) -> list[Trial]:
        """All trials, configuration by configuration."""
        return list(itertools.chain.from_iterable(self.rows))

    @property
    def task_name(self) -> str:
        """Name the results are stored under."""
        return self.first.task_name

    @property
    def places(self) -> list[tuple[str, int]]:
        """Folder of the results, and seed, of each trial."""
        return [(trial.save_dir, trial.seed) for trial in self.trials]

    @property
    def num_updates(self) -> int:
        """Updates of all trials together."""
        return num_updates(self.trials)

    @property
    def _opts(self) -> list[Optimizer]:
        return [row[0].opt for row in self.rows]

    @property
    def _keys(self) -> list[jax.Array]:
        return [key_of_seed(trial.seed) for trial in self.rows[0]]

    @property
    def _devices(self) -> list[Device] | None:
        device = self.first.device
        return None if device is None else [device]

    def measure(self, seconds: float, at_end: bool = True) -> Measurement:
        """Run the beginning to learn how fast it goes, as `measure_grid`."""
        return measure_grid(
            self.first.task,
            self._opts,
            self._keys,
            self.first.plan,
            seconds,
            devices=self._devices,
            at_end=at_end,
        )

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Checkpoint | None = None,
        strategy: Strategy | None = None,
        similar_runs: float = 1.0,
    ) -> list[tuple[Trial, Result]]:
        """Train all trials and return each with what its result file holds.

        The arguments are those of `training.run.run_grid`.
        """
        result = run_grid(
            self.first.task,
            self._opts,
            self._keys,
            self.first.plan,
            eval_task=self.first.eval_task,
            devices=self._devices,
            on_progress=on_progress,
            checkpoint=checkpoint,
            strategy=strategy,
            similar_runs=similar_runs,
        )
        return [
            (trial, result_record(trial, result, c, s, len(self.trials)))
            for c, row in enumerate(self.rows)
            for s, trial in enumerate(row)
        ]


def make_grids(trials: Iterable[Trial]) -> list[TrialGrid]:
    """Arrange trials into as few grids as run together.

    Trials share a grid if they have the same task and plan, optimizers of one
    structure, and the same seeds, a few hundred at most. One that is stepped in Python
    is a grid of its own.

    Raises:
      LoptError: if two settings share a name, so that their results would mix.
    """
    configs: dict[Any, dict[int, Trial]] = defaultdict(dict)
    for trial in trials:
        by_seed = configs[trial.save_dir]
        _check_same_setting(by_seed.values(), trial)
        by_seed[trial.seed] = trial
    grids: dict[Any, list[list[Trial]]] = defaultdict(list)
    alone: list[TrialGrid] = []
    for by_seed in configs.values():
        row = [by_seed[seed] for seed in sorted(by_seed)]
        first = row[0]
        if not first.opt.is_traceable:
            alone += [TrialGrid([[trial]]) for trial in row]
            continue
        key = (
            _identity(first.task),
            _identity(first.eval_task),
            first.task_name,
            first.eval_task_name,
            first.plan,
            first.device,
            _shared_structure(first.opt),
            tuple(sorted(by_seed)),
        )
        grids[key].append(row)
    together = [
        TrialGrid(rows[first : first + _rows_of_a_grid(rows)])
        for rows in grids.values()
        for first in range(0, len(rows), _rows_of_a_grid(rows))
    ]
    return together + alone


def _rows_of_a_grid(rows: Sequence[Sequence[Trial]]) -> int:
    return max(1, _TRIALS_OF_A_GRID // len(rows[0]))


def _identity(task: Task) -> Any:
    """Return the task where it can be compared by value, else which object it is."""
    try:
        hash(task)
    except TypeError:
        return id(task)
    return task


def _shared_structure(opt: Optimizer) -> Any:
    """Return what is equal for optimizers that one program can serve."""
    leaves, structure = jax.tree.flatten(opt)
    # A class that is no pytree of hyper-parameters is a leaf of itself.
    return id(opt) if any(leaf is opt for leaf in leaves) else structure


def _check_same_setting(others: Iterable[Trial], trial: Trial) -> None:
    for other in others:
        if other.opt.name != trial.opt.name:
            raise LoptError(
                f"two settings would store their results under the same name "
                f"{trial.opt_name!r}: {other.opt.name} and {trial.opt.name}. "
                "Give each an opt_name of its own."
            )
