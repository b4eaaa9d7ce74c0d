"""One trial: a task, an optimizer with its setting, a plan, a seed; and its record."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import numpy as np

from learned_optimization import numerics
from learned_optimization.baselines.layout import results_dir
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    diverged_from,
)
from learned_optimization.eval_training import (
    Device,
    GridResult,
    RunPlan,
    trial_curves,
)
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.stepped import SteppedOptimizer
from learned_optimization.optimizers.zero_gradients import (
    NOTE,
    makes_nan_of_zero_gradients,
)
from learned_optimization.tasks.base import Task

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
      gin_operative_config: every gin parameter that made the trial, as gin text.
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
    def opt_class(self) -> str | None:
        """Path of the class of PyTorch that the optimizer stands for, if it does."""
        return self.opt.class_path if isinstance(self.opt, SteppedOptimizer) else None

    @property
    def save_dir(self) -> str:
        """Folder the result file goes to."""
        return results_dir(self.task_name, self.opt_name, self.plan)


def num_updates(trials: Iterable[Trial]) -> int:
    """Return the updates of these trials together."""
    return sum(trial.plan.num_steps + 1 for trial in trials)


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
        **{key: np.int64(value) for key, value in plan.as_keys().items()},
        "task_name": trial.task_name,
        "eval_task_name": trial.eval_task_name,
        "opt_name": trial.opt_name,
        "opt_config": trial.opt.name,
        **({} if trial.opt_class is None else {"opt_class": trial.opt_class}),
        "gin_operative_config": trial.gin_operative_config,
        "accelerator_platform": device.platform,
        "accelerator_kind": device.device_kind,
        "accelerator_devs": np.int64(len(result.devices)),
        "seed": np.int64(trial.seed),
        "schema_version": np.int64(SCHEMA_VERSION),
        "status": "done" if step < 0 else "diverged",
        "diverged_from": np.int64(step),
        "divergence_note": "" if step < 0 else _divergence_note(trial),
        "synthetic_data": np.bool_(trial.is_synthetic),
        "versions": "\n".join(versions(trial.opt)),
        "jax_config": numerics.record(),
        "strategy": str(result.strategy),
        "timing/run_seconds_per_trial": np.float64(result.run_seconds / num_trials),
        "timing/run_seconds": np.float64(result.run_seconds),
        "timing/compile_seconds": np.float64(result.compile_seconds),
        "timing/trials_run_together": np.int64(num_trials),
    }
    return {key: np.asarray(value) for key, value in record.items()}


def _divergence_note(trial: Trial) -> str:
    is_so = makes_nan_of_zero_gradients(trial.opt, trial.plan.num_steps)
    return NOTE if is_so else ""


def versions(opt: Optimizer | None = None) -> list[str]:
    """Return `package==version` of all that decides a curve.

    Args:
      opt: the optimizer, where the packages that step it count too.
    """
    packages = (*_RECORDED_PACKAGES, *(opt.packages if opt else ()))
    return [
        f"python=={python_version()}",
        *(f"{package}=={_version_of(package)}" for package in packages),
    ]


# Every trial records them, and looking them up takes longer than writing a result.
@functools.cache
def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # The package runs from a source tree that was never installed.
        return "unknown"
