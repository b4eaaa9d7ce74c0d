"""The registry of fixed tasks, built from the modules of `tasks/fixed`.

A fixed task is a no-argument function decorated with `@fixed_task`. Writing it
in a module of `learned_optimization/tasks/fixed` is all there is to adding one.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from learned_optimization.configurable import configurable
from learned_optimization.errors import UnknownNameError
from learned_optimization.tasks.base import Task

_REGISTRY: dict[str, FixedTask] = {}


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


def fixed_task(function: Callable[[], Task]) -> Callable[[], Task]:
    """Function decorator that registers a fixed task.

    The function becomes gin-configurable, and the task it returns carries the
    function's name.
    """
    return _register(function, is_published=True)


def own_fixed_task(function: Callable[[], Task]) -> Callable[[], Task]:
    """As `fixed_task`, for a task that the published distribution does not have."""
    return _register(function, is_published=False)


def _register(function: Callable[[], Task], is_published: bool) -> Callable[[], Task]:
    name = function.__name__

    @functools.wraps(function)
    def make() -> Task:
        task = function()
        # Tasks are frozen dataclasses; the name is part of this one's identity.
        object.__setattr__(task, "_name", name)
        return task

    registered = configurable(function.__module__)(make)
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    _REGISTRY[name] = FixedTask(
        name, registered, function.__module__, summary, is_published
    )
    return registered


def all_fixed_tasks() -> dict[str, FixedTask]:
    """Every fixed task by name, in alphabetical order."""
    from learned_optimization.tasks import fixed

    for module in pkgutil.iter_modules(fixed.__path__, fixed.__name__ + "."):
        import_module(module.name)
    return dict(sorted(_REGISTRY.items()))


def get(name: str) -> FixedTask:
    """The registered task of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    known = all_fixed_tasks()
    if name not in known:
        raise UnknownNameError("task", name, known, "`lopt tasks` lists them all")
    return known[name]
