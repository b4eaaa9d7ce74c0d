"""The registry of hyper-parameter sets: the package's, and a user's own."""

from __future__ import annotations

from typing import Any

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.configurable import configurable
from learned_optimization.registry import Registry

SETS: Registry[HParamSet] = Registry(
    "hparam set",
    "a set",
    "learned_optimization.baselines.hparam_sets",
)
"""Every set."""

OWN = "this program"
"""Origin of sets that a script or a notebook defines."""

# gin never forgets a name: a set defined again is looked up by the same function.
_CONFIGURABLE: set[str] = set()


def all_hparam_sets() -> dict[str, HParamSet]:
    """Return every set by name, in alphabetical order."""
    return SETS.all()


def get_hparam_set(name: str) -> HParamSet:
    """Return the set of that name.

    Raises:
      NotRegisteredError: with the nearest names, if there is none.
    """
    return SETS.get(name)


def add_hparam_set(hparam_set: HParamSet, origin: str = OWN) -> HParamSet:
    """Register a set, so that it is found by its name.

    Args:
      hparam_set: the set.
      origin: the module or the file that defines it. A set of the same origin is
        replaced.

    Returns:
      The set.

    Raises:
      LoptError: if another set, of another origin, has the name.
    """
    SETS.add(hparam_set.name, hparam_set, origin)
    _make_configurable(hparam_set.name)
    return hparam_set


def _make_configurable(name: str) -> None:
    """Register a set with gin: by its name, as a function of a task's name."""
    if name in _CONFIGURABLE or not name.isidentifier():
        return

    def of_task(task_name: str) -> Any:
        return get_hparam_set(name)(task_name)

    of_task.__name__ = of_task.__qualname__ = name
    configurable(SETS.home)(of_task)
    _CONFIGURABLE.add(name)
