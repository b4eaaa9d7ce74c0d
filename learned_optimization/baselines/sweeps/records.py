"""What the result file of a trial records: its curves, what it was, where it ran."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import numpy as np

from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    diverged_from,
)
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.eval_training import GridResult, trial_curves

_RECORDED_PACKAGES = ("optimizer-baselines", "jax", "jaxlib", "optax", "flax", "numpy")


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
