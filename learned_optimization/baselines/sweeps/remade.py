"""Makes a trial again in another process of the same machine, from what it records."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from learned_optimization import configuration
from learned_optimization.baselines.sets.files import import_file, read_sets
from learned_optimization.baselines.sweeps.inner_training import configured_trial
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import LoptError
from learned_optimization.registry import is_packaged
from learned_optimization.tasks.registry import TASKS
from learned_optimization.torch_optimizers.define import torch_class

_MAIN = "__main__"


@dataclass(frozen=True)
class Recipe:
    """What a trial is made from.

    Attributes:
      gin_text: the gin configuration that makes it.
      opt_class: of an optimizer that is a library's class, where that is.
      identity: what tells the trial from others.
    """

    gin_text: str
    opt_class: str | None
    identity: tuple[str, ...]

    @classmethod
    def of(cls, trial: Trial) -> Recipe:
        """Return the recipe of a trial."""
        return cls(trial.gin_operative_config, trial.opt_class, _identity(trial))

    def make(self) -> Trial:
        """Make the trial; the global gin configuration is replaced.

        Raises:
          LoptError: if it cannot be made, or is another one.
        """
        if self.opt_class is not None:
            torch_class(self.opt_class)
        configuration.load(bindings=[self.gin_text])
        trial = configured_trial()
        if (made := _identity(trial)) != self.identity:
            raise LoptError(
                f"another process makes {made} of the configuration of "
                f"{self.identity}: what was passed as an object from Python is not "
                "recorded. Train one trial at a time, on one device."
            )
        return trial


def read_files(files: Sequence[str]) -> None:
    """Register what the files that another process has read define, in its order."""
    for path in files:
        if path.endswith(".py"):
            import_file(path)
        else:
            read_sets(path)


def module_files(trial: Trial) -> set[str]:
    """Return the real paths of the files that define a trial's task and optimizer.

    Of what no other process can import, as what a notebook defines, it is an empty
    name.
    """
    files = set[str]()
    opt, task = type(trial.opt), TASKS.all().get(trial.task_name)
    is_same = trial.task is trial.eval_task
    for module in (opt.__module__, task.module if task and is_same else _MAIN):
        if not is_packaged(module):
            file = getattr(sys.modules.get(module), "__file__", None) or ""
            files.add(os.path.realpath(file) if file and module != _MAIN else "")
    return files


def _identity(trial: Trial) -> tuple[str, ...]:
    plan = [str(value) for value in trial.plan.as_keys().values()]
    return (trial.task_name, trial.opt_name, trial.opt.name, str(trial.seed), *plan)
