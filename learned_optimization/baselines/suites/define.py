"""Suites of one's own: a name, tasks, a length.

    suite(name="mine", tasks=["laptop", "RNNLM_kjvbytes_Patch32_GRU128_Embed64"])

makes a suite and registers it: wherever a task is named, `mine` may be.
"""

from __future__ import annotations

from collections.abc import Iterable

from learned_optimization.baselines.suites.registry import add_suite, tasks_of
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

__all__ = ["suite"]


def suite(
    name: str,
    tasks: Iterable[str],
    num_steps: int = 1_000,
    seeds: int = 5,
    description: str = "",
    is_heldout: bool = False,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
) -> Suite:
    """Make a suite and register it.

    Doing so again, as when the cell of a notebook runs twice, replaces the suite.

    Args:
      name: the suite's name: letters, digits and `_ . + -`.
      tasks: names of tasks, and of suites, which stand for their tasks.
      num_steps: number of the last update of a trial.
      seeds: repetitions of each configuration.
      description: what it is, in one line.
      is_heldout: whether nothing is to be tuned or chosen on its tasks.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.

    Returns:
      The suite, of tasks alone.

    Raises:
      LoptError: if an argument is wrong, or a suite of the package or of another file,
        a task or a set has its name; nothing is registered then.
    """
    names = _names(name, tasks)
    if name in names:
        raise LoptError(f"suite {name}: it is among its own tasks; leave it out.")
    return add_suite(
        Suite(
            name,
            tuple(tasks_of(names)),
            num_steps,
            seeds,
            description,
            is_heldout,
            eval_every,
            eval_batches,
            last_eval_batches,
        )
    )


def _names(name: str, tasks: Iterable[str]) -> list[str]:
    # A text is iterable too: its letters would be the tasks.
    is_list = isinstance(tasks, Iterable) and not isinstance(tasks, str)
    names = [*tasks] if is_list else []
    if not names or not all(isinstance(n, str) for n in names):
        raise LoptError(
            f"suite {brief(name)}: tasks is a list of names of tasks and suites, one "
            f"at least, e.g. [laptop], got {brief(tasks)}."
        )
    return names
