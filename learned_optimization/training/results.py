"""What a run reports while it goes, and what it gives at its end."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from learned_optimization.training.grid import Device
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.program import ChunkOutputs
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.trial_data import EVAL_SPLITS


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
      updates_done: updates done by each trial so far.
      num_updates: updates each trial will do.
      num_trials: trials run together.
      num_devices: devices that share them.
      num_diverged: trials whose last training loss was not finite.
      run_seconds: seconds spent running, compilation apart.
      compile_seconds: seconds spent compiling.
      strategy: how the devices compute their shares.
    """

    updates_done: int
    num_updates: int
    num_trials: int
    num_devices: int
    num_diverged: int
    run_seconds: float
    compile_seconds: float
    strategy: Strategy


@dataclass(frozen=True)
class GridResult:
    """The curves of a grid of trials.

    Attributes:
      curves: result-file key to array; `train/xs` and `eval/xs` are int64
        `[num_steps + 1]` and `[num_evals]`; `final/num_examples/SPLIT` int64
        `[num_configs, num_seeds]`; every other is float32
        `[num_configs, num_seeds, ...]`. Those of `final/` are there where the data
        evaluated is in arrays.
      run_seconds: seconds spent running all trials, compilation apart.
      compile_seconds: seconds spent compiling.
      devices: the devices used.
      strategy: how they computed their shares.
    """

    curves: dict[str, np.ndarray]
    run_seconds: float
    compile_seconds: float
    devices: tuple[Device, ...]
    strategy: Strategy


@dataclass(frozen=True)
class Measurement:
    """How fast a grid of trials goes.

    Attributes:
      strategy: how the devices compute their shares.
      seconds_per_block: seconds of one evaluation and the updates behind it.
      trial_steps_per_block: updates of all trials in a block.
      seconds_at_end: seconds of the evaluation of whole splits at the end; 0 if that
        was not measured.
      compile_seconds: seconds of compiling.
    """

    strategy: Strategy
    seconds_per_block: float
    trial_steps_per_block: int
    seconds_at_end: float
    compile_seconds: float

    @property
    def trial_steps_per_second(self) -> float:
        """Updates per second, over all trials, evaluations included."""
        return self.trial_steps_per_block / self.seconds_per_block


def curves_of(plan: RunPlan, joined: ChunkOutputs) -> dict[str, np.ndarray]:
    """Return the curves of a whole run.

    Args:
      plan: number of steps and evaluations.
      joined: outputs `[num_seeds, num_configs, ...]` of all its chunks.

    Returns:
      As `GridResult.curves`.
    """
    # [seeds, configs, ...] on the devices, [configs, seeds, ...] in files.
    joined = jax.tree.map(lambda x: np.swapaxes(x, 0, 1), joined)
    curves = {
        "train/xs": np.arange(plan.num_steps + 1, dtype=np.int64),
        "train/loss": joined.train_loss,
        "eval/xs": plan.eval_steps,
    }
    for i, split in enumerate(EVAL_SPLITS):
        for metric, values in joined.metrics.items():
            curves[f"eval/{split}/{metric}"] = values[..., i]
    return curves
