"""One suite: the tasks that optimizers are compared on together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from learned_optimization.baselines.folder_names import is_plain_name
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.text import brief
from learned_optimization.training.plan import MAX_STEPS, RunPlan

__all__ = ["Suite"]


@dataclass(frozen=True)
class Suite:
    """A named list of tasks, and how long each is trained.

    Attributes:
      name: its name.
      tasks: names of its tasks, each once.
      num_steps: number of the last update of a trial.
      seeds: repetitions of each configuration.
      description: what it is, in one line.
      is_heldout: whether nothing is tuned or chosen on its tasks, so that they can
        show how an optimizer does on tasks it was not made for.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.

    Raises:
      LoptError: if an attribute is wrong.
    """

    name: str
    tasks: tuple[str, ...]
    num_steps: int
    seeds: int = 5
    description: str = ""
    is_heldout: bool = False
    eval_every: int = 10
    eval_batches: int = 5
    last_eval_batches: int = 10

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_tasks(self.name, self.tasks)
        check_at_least(f"num_steps of suite {self.name}", self.num_steps, 1, MAX_STEPS)
        check_at_least(f"seeds of suite {self.name}", self.seeds, 1)
        if not isinstance(self.description, str) or "\n" in self.description.strip():
            raise LoptError(
                f"suite {self.name}: its description is one line of text, got "
                f"{brief(self.description)}."
            )
        if not isinstance(self.is_heldout, bool):
            raise LoptError(
                f"suite {self.name}: is_heldout is true or false, got "
                f"{brief(self.is_heldout)}."
            )
        # Its own checks are those of the evaluations.
        _ = self.plan

    @property
    def plan(self) -> RunPlan:
        """Number of steps and evaluations of each trial."""
        return RunPlan(
            self.num_steps, self.eval_every, self.eval_batches, self.last_eval_batches
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not is_plain_name(name):
        raise LoptError(
            "a suite's name must be letters, digits and _ . + - and begin with a "
            f"letter or digit, got {brief(name)}."
        )


def _check_tasks(name: str, tasks: Any) -> None:
    is_list = isinstance(tasks, tuple) and all(isinstance(t, str) for t in tasks)
    if not is_list or not tasks:
        raise LoptError(
            f"suite {name}: tasks is a list of names of tasks, one at least, got "
            f"{brief(tasks)}."
        )
    twice = [task for task, count in Counter(tasks).items() if count > 1]
    if twice:
        raise LoptError(
            f"suite {name}: {', '.join(twice)} is there more than once: each "
            "task counts once."
        )
