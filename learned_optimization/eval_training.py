"""The training engine: whole training runs as one compiled program.

`single_task_training_curves` runs one trial,
`multi_trial_training_curves` a whole grid of configurations and seeds. Both run
the same program, so a trial has the same curve in either up to float32 rounding
(`docs/determinism.md` states the tolerance), and bit for bit the same curve
whenever the same grid is run again on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np

from learned_optimization.errors import LoptError, RunStoppedError
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.base import Task
from learned_optimization.training.backend import (
    keep_compiled,
    local_devices,
    use_all_cores,
)
from learned_optimization.training.checkpoint import Checkpoint
from learned_optimization.training.grid import Device
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.results import GridResult, Progress
from learned_optimization.training.run import OutOfMemoryWarning, run_grid
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.trial_data import EVAL_SPLITS

__all__ = [
    "EVAL_SPLITS",
    "Checkpoint",
    "Device",
    "GridResult",
    "OutOfMemoryWarning",
    "Progress",
    "RunPlan",
    "RunStoppedError",
    "Strategy",
    "keep_compiled",
    "multi_trial_training_curves",
    "single_task_training_curves",
    "trial_curves",
    "use_all_cores",
]


def single_task_training_curves(
    task: Task,
    opt: Optimizer,
    num_steps: int,
    key: jax.Array,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
    eval_task: Task | None = None,
    device: Device | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, np.ndarray]:
    """Train one task with one optimizer and keep the curves.

    The run does `num_steps + 1` updates. Before every update `i` with
    `i % eval_every == 0` it evaluates the train, outer_valid and test splits on
    fresh batches, `eval_batches` of each (`last_eval_batches` at `num_steps`).
    Behind the last update it evaluates each split as a whole.

    Args:
      task: the task trained on.
      opt: the optimizer.
      num_steps: number of the last update, counted from 0.
      key: PRNG key of everything random in the run.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      eval_task: the task evaluated; `task` if None.
      device: where to run; jax's default device if None.
      on_progress: called now and then with how far the run has come.

    Returns:
      `train/xs` int64 and `train/loss` float32 `[num_steps + 1]`; `eval/xs`
      int64 `[num_evals]`; `eval/SPLIT/{loss,loss_normalized}` and
      `eval/SPLIT/AUX` float32 `[num_evals]`. Where the data evaluated is in arrays,
      `final/SPLIT/{loss,loss_normalized}` and `final/SPLIT/AUX` float32 `[]`: of whole
      splits, behind the last update; of a split of more than 20,000 examples, of a
      fixed sample of that size. `final/num_examples/SPLIT` int64 `[]`: how many.

    Raises:
      LoptError: if a number is below 1 or the task's data is not available.
    """
    result = run_grid(
        task,
        [opt],
        [key],
        RunPlan(num_steps, eval_every, eval_batches, last_eval_batches),
        eval_task=eval_task,
        devices=[device or local_devices()[0]],
        on_progress=on_progress,
    )
    return trial_curves(result, config=0, seed=0)


def multi_trial_training_curves(
    task: Task,
    opts: Sequence[Optimizer],
    num_steps: int,
    keys: Sequence[jax.Array],
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
    eval_task: Task | None = None,
    devices: Sequence[Device] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Checkpoint | None = None,
    strategy: Strategy | None = None,
    similar_runs: float = 1.0,
) -> GridResult:
    """Train one task with every optimizer and every key, all at once.

    Args:
      task: the task trained on.
      opts: one optimizer per configuration; they may differ in numeric
        hyper-parameters, which one compiled program then takes as arguments.
      num_steps: number of the last update, counted from 0.
      keys: one PRNG key per seed. A key gives every configuration the same
        initial parameters, data order and evaluation batches.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      eval_task: the task evaluated; `task` if None.
      devices: where to run; all local devices if None.
      on_progress: called now and then with how far the run has come.
      checkpoint: where the run goes on from, and saves itself to.
      strategy: how a device computes its share; if None, the fastest known.
      similar_runs: the work of this and of coming runs that will use the
        strategy, in runs like this one: much work is worth some measuring.

    Returns:
      Curves as of `single_task_training_curves` with leading axes
      `[num_configs, num_seeds]` on all but the `xs`, and the seconds spent.

    Raises:
      LoptError: if a number is below 1, the optimizers cannot share a program,
        or the task's data is not available.
      RunStoppedError: if the checkpoint says to stop; what was done is saved.
    """
    if len(opts) == 0 or len(keys) == 0:
        raise LoptError(
            "training needs at least one optimizer and one key, got "
            f"{len(opts)} optimizers and {len(keys)} keys."
        )
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    return run_grid(
        task,
        opts,
        keys,
        plan,
        eval_task=eval_task,
        devices=devices,
        on_progress=on_progress,
        checkpoint=checkpoint,
        strategy=strategy,
        similar_runs=similar_runs,
    )


def trial_curves(result: GridResult, config: int, seed: int) -> dict[str, np.ndarray]:
    """Return the curves of one trial of a grid, without the grid's axes."""
    return {
        name: values if name.endswith("/xs") else values[config, seed]
        for name, values in result.curves.items()
    }
