"""One trial: a task, an optimizer with its setting, a plan, a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from learned_optimization.baselines.layout import results_dir
from learned_optimization.eval_training import Device, RunPlan
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.base import Task


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
    def save_dir(self) -> str:
        """Folder the result file goes to."""
        return results_dir(self.task_name, self.opt_name, self.plan)


def num_updates(trials: Iterable[Trial]) -> int:
    """Return updates of these trials together."""
    return sum(trial.plan.num_steps + 1 for trial in trials)
