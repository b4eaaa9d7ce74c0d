"""Which tasks and sets a call is given, and whether their code is still the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import get_hparam_set
from learned_optimization.baselines.stats.race_words import count, listed
from learned_optimization.baselines.suites.registry import tasks_of
from learned_optimization.baselines.sweeps.own_code import OwnCode
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

Tasks = str | Callable[[], Any] | Iterable[str | Callable[[], Any]]
"""Tasks by name, a suite for its tasks; or the functions that define them."""

Sets = str | HParamSet | Iterable[str | HParamSet]
"""Sets, or their names."""


def task_names(tasks: Tasks) -> list[str]:
    """Return the names of tasks, each once.

    Raises:
      LoptError: if there is none.
      NotRegisteredError: with the nearest names, if a name is of no task and no suite.
    """
    given = [tasks] if isinstance(tasks, str) or callable(tasks) else _listed(tasks)
    if not given:
        raise LoptError("name at least one task, or a suite.")
    return tasks_of([_name(task) for task in given])


def _name(task: Any) -> str:
    # A task is a function that makes it, and is called as that is.
    name = task if isinstance(task, str) else getattr(task, "__name__", None)
    if name is None:
        raise LoptError(
            "a task is given by its name, or as the function that defines it; got "
            f"{brief(task)}."
        )
    return name


def chosen_sets(sets: Sets) -> list[HParamSet]:
    """Return sets, each once.

    Raises:
      LoptError: if there is none, or something else is given.
      NotRegisteredError: with the nearest names, if there is no set of a name.
    """
    given = [sets] if isinstance(sets, str | HParamSet) else _listed(sets)
    if not given:
        raise LoptError("name at least one set.")
    return list({s.name: s for s in map(_set, given)}.values())


def _set(given: Any) -> HParamSet:
    if isinstance(given, HParamSet):
        return given
    if not isinstance(given, str):
        raise LoptError(
            "a set is given by its name, or as hparam_set(...) returns it; got "
            f"{brief(given)}."
        )
    return get_hparam_set(given)


def _listed(given: Any) -> list[Any]:
    if not isinstance(given, Iterable):
        raise LoptError(f"tasks and sets are names, or lists of them; got {given!r}.")
    return list(given)


def check_code(
    tasks: Sequence[str], hparam_sets: Sequence[HParamSet], retrain: bool
) -> None:
    """Refuse results of code of one's own that has changed since; note the code.

    Args:
      tasks: names of the tasks.
      hparam_sets: the sets.
      retrain: whether to delete such results instead.

    Raises:
      LoptError: naming what has changed, if there are results of its old code.
    """
    code = OwnCode(tasks, hparam_sets)
    if retrain:
        code.forget_changed()
    for what, pairs in code.changed().items():
        trained = [f"{one} on {task}" for task, one in pairs[:3]]
        if len(pairs) > len(trained):
            trained.append(count(len(pairs) - len(trained), "other"))
        raise LoptError(
            f"{what} has changed since it trained {listed(trained)}. "
            "retrain=True deletes those results and trains them again; to keep both, "
            "give the changed one another name."
        )
    code.note()
