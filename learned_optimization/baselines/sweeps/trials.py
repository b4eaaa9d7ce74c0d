"""One trial: a task, an optimizer's setting, a seed. Many are run together."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import jax
import numpy as np

from learned_optimization.baselines.layout import get_save_dir
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    diverged_from,
)
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    Checkpoint,
    Device,
    GridResult,
    Progress,
    RunPlan,
    Strategy,
    multi_trial_training_curves,
    trial_curves,
)
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.base import Task
from learned_optimization.training.results import Measurement
from learned_optimization.training.run import measure_grid

# Results are written grid by grid: so much an interrupted sweep may lose.
_TRIALS_OF_A_GRID = 500

_RECORDED_PACKAGES = ("optimizer-baselines", "jax", "jaxlib", "optax", "flax", "numpy")


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that decides one result file.

    Attributes:
      task: the task trained on.
      eval_task: the task evaluated.
      task_name: name the result is stored under.
      eval_task_name: name recorded for the evaluated task.
      opt: the optimizer, with concrete hyper-parameters.
      opt_name: name the result is stored under.
      plan: number of steps and evaluations.
      seed: decides every random number of the trial.
      device: where to run; every local device if None.
      gin_operative_config: the gin configuration the trial was made from.
    """

    task: Task
    eval_task: Task
    task_name: str
    eval_task_name: str
    opt: Optimizer
    opt_name: str
    plan: RunPlan
    seed: int
    device: Device | None
    gin_operative_config: str

    @property
    def is_synthetic(self) -> bool:
        """Whether made-up data stands in for the real one."""
        return any(
            task.datasets is not None and task.datasets.is_synthetic
            for task in (self.task, self.eval_task)
        )

    @property
    def save_dir(self) -> str:
        """Folder the result file goes to."""
        p = self.plan
        return get_save_dir(
            self.task_name,
            self.opt_name,
            p.num_steps,
            p.eval_every,
            p.eval_batches,
            p.last_eval_batches,
        )


@dataclass(frozen=True, eq=False)
class TrialGrid:
    """Trials that run as one program: every configuration with every seed.

    Attributes:
      rows: one row per configuration, one trial per seed, seeds in the same order.
    """

    rows: Sequence[Sequence[Trial]]

    @property
    def trials(self) -> list[Trial]:
        """All trials, configuration by configuration."""
        return list(itertools.chain.from_iterable(self.rows))

    @property
    def task_name(self) -> str:
        """Name the results are stored under."""
        return self.rows[0][0].task_name

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
        return [jax.random.PRNGKey(trial.seed) for trial in self.rows[0]]

    @property
    def _devices(self) -> list[Device] | None:
        device = self.rows[0][0].device
        return None if device is None else [device]

    def measure(self, seconds: float) -> Measurement:
        """Run the beginning to learn how fast it goes, as `measure_grid`."""
        first = self.rows[0][0]
        return measure_grid(
            first.task,
            self._opts,
            self._keys,
            first.plan,
            seconds,
            devices=self._devices,
        )

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Checkpoint | None = None,
        strategy: Strategy | None = None,
        similar_runs: float = 1.0,
    ) -> list[tuple[Trial, Result]]:
        """Train all trials and return each with what its result file holds.

        The arguments are those of `multi_trial_training_curves`.
        """
        first = self.rows[0][0]
        result = multi_trial_training_curves(
            first.task,
            self._opts,
            first.plan.num_steps,
            self._keys,
            eval_every=first.plan.eval_every,
            eval_batches=first.plan.eval_batches,
            last_eval_batches=first.plan.last_eval_batches,
            eval_task=first.eval_task,
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
    structure, and the same seeds, a few hundred at most.

    Raises:
      LoptError: if two settings share a name, so that their results would mix.
    """
    configs: dict[Any, dict[int, Trial]] = defaultdict(dict)
    for trial in trials:
        by_seed = configs[trial.save_dir]
        _check_same_setting(by_seed.values(), trial)
        by_seed[trial.seed] = trial
    grids: dict[Any, list[list[Trial]]] = defaultdict(list)
    for by_seed in configs.values():
        row = [by_seed[seed] for seed in sorted(by_seed)]
        first = row[0]
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
    return [
        TrialGrid(rows[first : first + _rows_of_a_grid(rows)])
        for rows in grids.values()
        for first in range(0, len(rows), _rows_of_a_grid(rows))
    ]


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
    """Return equal for optimizers that one program can serve."""
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


def result_record(
    trial: Trial, result: GridResult, config: int, seed: int, num_trials: int
) -> Result:
    """Return what the result file of one trial of a grid holds.

    Args:
      trial: the trial.
      result: curves of the grid.
      config: row of the trial in the grid.
      seed: column of the trial in the grid.
      num_trials: trials the grid ran together.

    Returns:
      Result key to array. Keys under `timing/` differ from run to run; all
      others are the same whenever the same grid is run on the same machine.
    """
    curves = trial_curves(result, config, seed)
    plan, device = trial.plan, result.devices[0]
    step = diverged_from(curves["train/loss"])
    record: dict[str, Any] = {
        **curves,
        "eval/eval_batches": np.int64(plan.eval_batches),
        "eval/last_eval_batches": np.int64(plan.last_eval_batches),
        "num_steps": np.int64(plan.num_steps),
        "eval_every": np.int64(plan.eval_every),
        "eval_batches": np.int64(plan.eval_batches),
        "last_eval_batches": np.int64(plan.last_eval_batches),
        "task_name": trial.task_name,
        "eval_task_name": trial.eval_task_name,
        "opt_name": trial.opt_name,
        "opt_config": trial.opt.name,
        "gin_operative_config": trial.gin_operative_config,
        "accelerator_platform": device.platform,
        "accelerator_kind": device.device_kind,
        "accelerator_devs": np.int64(len(result.devices)),
        "seed": np.int64(trial.seed),
        "schema_version": np.int64(SCHEMA_VERSION),
        "status": "done" if step < 0 else "diverged",
        "diverged_from": np.int64(step),
        "synthetic_data": np.bool_(trial.is_synthetic),
        "versions": "\n".join(versions()),
        "strategy": str(result.strategy),
        "timing/run_seconds_per_trial": np.float64(result.run_seconds / num_trials),
        "timing/run_seconds": np.float64(result.run_seconds),
        "timing/compile_seconds": np.float64(result.compile_seconds),
        "timing/trials_run_together": np.int64(num_trials),
    }
    return {key: np.asarray(value) for key, value in record.items()}


def num_updates(trials: Iterable[Trial]) -> int:
    """Return updates of these trials together."""
    return sum(trial.plan.num_steps + 1 for trial in trials)


def versions() -> list[str]:
    """Return `package==version` of all that decides a curve."""
    lines = [f"python=={python_version()}"]
    for package in _RECORDED_PACKAGES:
        try:
            lines.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            # The package runs from a source tree that was never installed.
            lines.append(f"{package}==unknown")
    return lines
