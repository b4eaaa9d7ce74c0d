"""The registry of fixed tasks.

A fixed task is a no-argument function decorated with `@fixed_task`. Writing it
in a module of `learned_optimization/tasks/fixed` is all it takes to add one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from learned_optimization.configurable import configurable
from learned_optimization.registry import Registry
from learned_optimization.tasks.task import Task

__all__ = [
    "TASKS",
    "FixedTask",
    "all_fixed_tasks",
    "fixed_task",
    "get",
    "own_fixed_task",
]


@dataclass(frozen=True)
class FixedTask:
    """A registered task.

    Attributes:
      name: the function's name, under which results are stored.
      make: the no-argument function.
      module: the module that defines it.
      summary: the first line of its documentation.
      is_published: whether it is part of the published distribution of tasks,
        rather than one of ours.
    """

    name: str
    make: Callable[[], Task]
    module: str
    summary: str
    is_published: bool


TASKS: Registry[FixedTask] = Registry(
    "task", "a task", "learned_optimization.tasks.fixed"
)
"""Every fixed task."""


def fixed_task(function: Callable[[], Task]) -> Callable[[], Task]:
    """Register a fixed task of the published distribution, as a decorator.

    The function becomes gin-configurable, and the task it returns carries the
    function's name.
    """
    return _register(function, is_published=True)


def own_fixed_task(function: Callable[[], Task]) -> Callable[[], Task]:
    """Register a task that the published distribution does not have."""
    return _register(function, is_published=False)


def _register(function: Callable[[], Task], is_published: bool) -> Callable[[], Task]:
    name = function.__name__

    @functools.wraps(function)
    def make() -> Task:
        task = function()
        # Tasks are frozen dataclasses; the name is part of this one's identity.
        object.__setattr__(task, "_name", name)
        return task

    module = function.__module__
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    # gin decorates a function by one of its own, which is then the task's.
    TASKS.check(name, module)
    registered = configurable(module, redefine=True)(make)
    TASKS.add(name, FixedTask(name, registered, module, summary, is_published), module)
    return registered


def all_fixed_tasks() -> dict[str, FixedTask]:
    """Return every fixed task by name, in alphabetical order."""
    return TASKS.all()


def get(name: str) -> FixedTask:
    """Return the registered task of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    return TASKS.get(name)
