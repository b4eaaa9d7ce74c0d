"""What a sweep will cost, before it is run: trials, arithmetic, time, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.sweep import (
    check_data,
    missing_trials,
    set_trials,
)
from learned_optimization.eval_training import EVAL_SPLITS, RunPlan
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import cost, loss_flops

# Means over the 2,550 result files of 39 sets of 10,000 steps on an image task: the
# share of the bytes of step numbers and of losses that compression leaves,
_KEPT_OF_STEPS, _KEPT_OF_LOSSES = 0.19, 0.74
# ... and the bytes of everything else in a file.
_OTHER_BYTES = 7_200
# A number alone: mostly what says how it is stored.
_BYTES_OF_A_NUMBER = 440
# The loss, the normalized loss, and what a task adds, such as the accuracy.
_METRICS_PER_SPLIT = 3


@dataclass(frozen=True)
class Estimate:
    """What the trials of one set on one task will cost.

    Attributes:
      task_name: the task.
      set_name: the set.
      num_trials: trials of the set.
      num_missing: those that have no result yet; all that follows is theirs.
      trial_steps: updates.
      flops: operations of the matrix products, evaluations included, but for that of
        whole splits at the end: how large they are takes the data to say.
      seconds: estimated seconds of compiling and training here; None if not
        measured.
      result_bytes: size of the result files.
    """

    task_name: str
    set_name: str
    num_trials: int
    num_missing: int
    trial_steps: int
    flops: float
    seconds: float | None
    result_bytes: float


def estimate(
    task_name: str, hparam_set: HParamSet, measured_seconds: float = 3.0
) -> Estimate:
    """Estimate one set on one task.

    Args:
      task_name: a fixed task.
      hparam_set: the set.
      measured_seconds: how long to run the beginning of each grid of trials to
        learn the time it takes here; 0 to leave the time out.

    Raises:
      LoptError: if the set's configurations are not valid, or data that measuring
        needs is not available.
    """
    trials = set_trials(task_name, hparam_set)
    missing, _ = missing_trials(trials)
    grids = make_grids(missing)
    seconds = None
    if measured_seconds:
        check_data(trial.task for trial in missing)
        seconds = sum(_grid_seconds(grid, measured_seconds) for grid in grids)
    return Estimate(
        task_name=task_name,
        set_name=hparam_set.name,
        num_trials=len(trials),
        num_missing=len(missing),
        trial_steps=sum(grid.num_updates for grid in grids),
        flops=sum(_grid_flops(grid) for grid in grids),
        seconds=seconds,
        result_bytes=float(sum(result_bytes(t.plan) for t in missing)),
    )


def total(estimates: Sequence[Estimate]) -> Estimate:
    """Return what several sets cost together."""
    seconds = [e.seconds for e in estimates if e.seconds is not None]
    return Estimate(
        task_name="all",
        set_name="",
        num_trials=sum(e.num_trials for e in estimates),
        num_missing=sum(e.num_missing for e in estimates),
        trial_steps=sum(e.trial_steps for e in estimates),
        flops=sum(e.flops for e in estimates),
        seconds=sum(seconds) if seconds else None,
        result_bytes=sum(e.result_bytes for e in estimates),
    )


def trial_flops(task: Task, plan: RunPlan) -> float:
    """Return the operations of one trial's matrix products, as of `Estimate.flops`."""
    batches = len(EVAL_SPLITS) * int(plan.eval_batches_of_block.sum())
    return (plan.num_steps + 1) * cost(task).flops + batches * loss_flops(task)


def result_bytes(plan: RunPlan) -> float:
    """Return the approximate size of one result file, in bytes."""
    steps = plan.num_steps + 1 + plan.num_evals
    losses = plan.num_steps + 1 + len(EVAL_SPLITS) * _METRICS_PER_SPLIT * plan.num_evals
    # Of each whole split every metric, and how many examples it has.
    numbers = len(EVAL_SPLITS) * (_METRICS_PER_SPLIT + 1)
    curves = 8 * steps * _KEPT_OF_STEPS + 4 * losses * _KEPT_OF_LOSSES
    return curves + numbers * _BYTES_OF_A_NUMBER + _OTHER_BYTES


def _grid_flops(grid: TrialGrid) -> float:
    return len(grid.trials) * trial_flops(grid.first.task, grid.first.plan)


def _grid_seconds(grid: TrialGrid, measured_seconds: float) -> float:
    for trial in grid.trials:
        trial.opt.prepare()
    measured, plan = grid.measure(measured_seconds), grid.first.plan
    blocks = (plan.num_steps + 1) / plan.block_updates
    training = blocks * measured.seconds_per_block
    return measured.compile_seconds + training + measured.seconds_at_end
