"""The registry of suites: the package's, and a user's own."""

from __future__ import annotations

from collections.abc import Iterable

from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, NotRegisteredError
from learned_optimization.registry import Registry
from learned_optimization.tasks.registry import TASKS

__all__ = ["all_suites", "get_suite", "tasks_of"]

SUITES: Registry[Suite] = Registry(
    "suite",
    "a suite",
    "learned_optimization.baselines.suites.packaged",
)
"""Every suite."""


def all_suites() -> dict[str, Suite]:
    """Return every suite by name, in alphabetical order."""
    return SUITES.all()


def get_suite(name: str) -> Suite:
    """Return the suite of that name.

    Raises:
      NotRegisteredError: with the nearest names, if there is none.
    """
    return SUITES.get(name)


def tasks_of(names: Iterable[str]) -> list[str]:
    """Return the tasks that names stand for: of tasks, and of suites.

    Args:
      names: of tasks and of suites.

    Returns:
      Names of tasks, in the order of `names` and of each suite, each once.

    Raises:
      NotRegisteredError: with the nearest names of both, if a name is of neither.
      LoptError: if a name is of both.
    """
    names, suites, tasks = list(names), SUITES.all(), TASKS.all()
    for name in names:
        if name not in suites and name not in tasks:
            raise NotRegisteredError("task or suite", name, [*tasks, *suites])
    return without_suites(names)


def without_suites(names: Iterable[str]) -> list[str]:
    """Return names, the tasks of a suite in the place of its name.

    Args:
      names: of anything; what is no suite stays as it is.

    Returns:
      Names, in the order of `names` and of each suite, each once.

    Raises:
      LoptError: if a suite is named that a task is called too.
    """
    suites = SUITES.all()
    found: list[str] = []
    for name in names:
        if name in suites and name in TASKS.all():
            raise LoptError(
                f"{name} is both a task and a suite: give one of the two another name."
            )
        found += suites[name].tasks if name in suites else [name]
    return list(dict.fromkeys(found))


def add_suite(suite: Suite, origin: str | None = None) -> Suite:
    """Register a suite, so that it is found by its name.

    Args:
      suite: the suite.
      origin: the module or the file that defines it, whose suite of that name is
        replaced; if None, the file that is being read, or else this program.

    Returns:
      The suite.

    Raises:
      LoptError: if another suite has the name, of another origin or of the same file,
        or a task or a set has it.
      NotRegisteredError: if there is no task of one of its names.
    """
    for registry in (TASKS, SETS):
        if suite.name in registry.all():
            raise LoptError(
                f"a suite cannot be called {suite.name}: {registry.a_kind} has that "
                "name. Give the suite another one."
            )
    for task in suite.tasks:
        TASKS.get(task)
    return SUITES.define(suite.name, suite, origin)
