"""What a sweep will cost, before it is run: trials, arithmetic, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.sweep import missing_trials, set_trials
from learned_optimization.eval_training import EVAL_SPLITS, RunPlan
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import cost, loss_flops
from learned_optimization.tasks.task import identity_of

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
      result_bytes: size of the result files.
      seconds: estimated seconds of training here, and of compiling where no other
        estimate of the same plan counts it; None if not known.
      is_rough: whether the seconds are those of other optimizers or tasks, since
        these were not measured.
    """

    task_name: str
    set_name: str
    num_trials: int
    num_missing: int
    trial_steps: int
    flops: float
    result_bytes: float
    seconds: float | None = None
    is_rough: bool = False


@dataclass(frozen=True, eq=False)
class SetOnTask:
    """The trials of one set on one task that have no result yet.

    Attributes:
      estimate: what is known of them before any is run.
      grids: the trials, as they run together.
      grid_flops: `Estimate.flops` of each grid.
    """

    estimate: Estimate
    grids: Sequence[TrialGrid]
    grid_flops: Sequence[float]


def missing_work(
    task_names: Sequence[str], hparam_sets: Sequence[HParamSet]
) -> list[SetOnTask]:
    """Return what is still to be run of every set on every task, task by task.

    Raises:
      LoptError: if a set's configurations are not valid.
    """
    # Tracing a task takes a while, and each set has the same ones.
    sizes: dict[str, tuple[float, float]] = {}
    return [
        _set_on_task(name, hparam_set, sizes)
        for name in task_names
        for hparam_set in hparam_sets
    ]


def _set_on_task(
    task_name: str, hparam_set: HParamSet, sizes: dict[str, tuple[float, float]]
) -> SetOnTask:
    trials = set_trials(task_name, hparam_set)
    missing, _ = missing_trials(trials)
    grids = make_grids(missing)
    flops = []
    for grid in grids:
        task = grid.first.task
        if (key := identity_of(task)) not in sizes:
            sizes[key] = _flops_of(task)
        flops.append(len(grid.trials) * _trial_flops(sizes[key], grid.first.plan))
    return SetOnTask(
        Estimate(
            task_name=task_name,
            set_name=hparam_set.name,
            num_trials=len(trials),
            num_missing=len(missing),
            trial_steps=sum(grid.num_updates for grid in grids),
            flops=sum(flops),
            result_bytes=float(sum(result_bytes(t.plan) for t in missing)),
        ),
        grids,
        flops,
    )


def total(estimates: Sequence[Estimate]) -> Estimate:
    """Return what several sets cost together; seconds of those where they are known."""
    seconds = [e.seconds for e in estimates if e.seconds is not None]
    return Estimate(
        task_name="all",
        set_name="",
        num_trials=sum(e.num_trials for e in estimates),
        num_missing=sum(e.num_missing for e in estimates),
        trial_steps=sum(e.trial_steps for e in estimates),
        flops=sum(e.flops for e in estimates),
        result_bytes=sum(e.result_bytes for e in estimates),
        seconds=sum(seconds) if seconds else None,
        is_rough=any(e.is_rough for e in estimates),
    )


def trial_flops(task: Task, plan: RunPlan) -> float:
    """Return the operations of one trial's matrix products, as of `Estimate.flops`."""
    return _trial_flops(_flops_of(task), plan)


def _trial_flops(size: tuple[float, float], plan: RunPlan) -> float:
    of_step, of_loss = size
    batches = len(EVAL_SPLITS) * int(plan.eval_batches_of_block.sum())
    return (plan.num_steps + 1) * of_step + batches * of_loss


def _flops_of(task: Task) -> tuple[float, float]:
    """Return operations of one step, and of one loss."""
    return cost(task).flops, loss_flops(task)


def result_bytes(plan: RunPlan) -> float:
    """Return the approximate size of one result file, in bytes."""
    steps = plan.num_steps + 1 + plan.num_evals
    losses = plan.num_steps + 1 + len(EVAL_SPLITS) * _METRICS_PER_SPLIT * plan.num_evals
    # Of each whole split every metric, and how many examples it has.
    numbers = len(EVAL_SPLITS) * (_METRICS_PER_SPLIT + 1)
    curves = 8 * steps * _KEPT_OF_STEPS + 4 * losses * _KEPT_OF_LOSSES
    return curves + numbers * _BYTES_OF_A_NUMBER + _OTHER_BYTES
