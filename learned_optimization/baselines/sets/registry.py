"""The registry of hyper-parameter sets: the package's, and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from learned_optimization.baselines.sets.checkpoint_sets import (
    TEMPLATES,
    split_set_name,
)
from learned_optimization.baselines.sets.hparam_set import (
    HParamSet,
    split_first_seed,
    split_repetitions,
)
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, NotRegisteredError
from learned_optimization.learned_optimizers import pretrained
from learned_optimization.registry import Registry

SETS: Registry[HParamSet] = Registry(
    "hparam set",
    "a set",
    "learned_optimization.baselines.hparam_sets",
)
"""Every set."""

# gin never forgets a name: a set defined again is looked up by the same function.
_CONFIGURABLE: set[str] = set()


def all_hparam_sets() -> dict[str, HParamSet]:
    """Return every set by name, in alphabetical order."""
    return SETS.all()


def get_hparam_set(name: str) -> HParamSet:
    """Return the set of that name.

    Besides those that are registered there is a set of each from another first seed on
    (`from_seed`) and with another number of seeds (`with_repetitions`), and of each
    template with each pretrained learned optimizer of the package.

    Raises:
      NotRegisteredError: with the nearest names, if there is none.
    """
    try:
        return SETS.get(name)
    except NotRegisteredError:
        implied = _implied(name)
        if implied is None:
            raise
        return implied


def known_hparam_sets(names: Iterable[str]) -> dict[str, HParamSet]:
    """Return every registered set by name, and those among some names that are not."""
    known = all_hparam_sets()
    for name in names:
        if name not in known and (implied := _implied(name)) is not None:
            known[name] = implied
    return known


def with_pretrained() -> list[HParamSet]:
    """Return every registered set, and those of pretrained learned optimizers.

    These are found by their names, but not listed among all sets.
    """
    return [*SETS.all().values(), *_of_pretrained()]


def _of_pretrained() -> list[HParamSet]:
    return [
        template.with_checkpoint(name, pretrained.address(name))
        for name in pretrained.pretrained_names()
        for template in TEMPLATES.values()
    ]


def _implied(name: str) -> HParamSet | None:
    """Return the set that a name says all of, though none is registered under it."""
    own_name, first_seed = split_first_seed(name)
    own = _named(own_name) or _with_other_seeds(own_name)
    return None if own is None else own.from_seed(first_seed)


def _named(name: str) -> HParamSet | None:
    """Return the set of a name, which may be of a pretrained optimizer."""
    own = SETS.all().get(name)
    if own is None and split_set_name(name) is not None:
        own = {s.name: s for s in _of_pretrained()}.get(name)
    return own


def _with_other_seeds(name: str) -> HParamSet | None:
    """Return the one set that differs in its number of seeds only, with the name's."""
    split = split_repetitions(name)
    if split is None:
        return None
    stem, repetitions = split
    alike = [
        own
        for own in with_pretrained()
        if (parts := split_repetitions(own.name)) is not None and parts[0] == stem
    ]
    return alike[0].with_repetitions(repetitions) if len(alike) == 1 else None


def add_hparam_set(hparam_set: HParamSet, origin: str | None = None) -> HParamSet:
    """Register a set, so that it is found by its name.

    Args:
      hparam_set: the set.
      origin: the module or the file that defines it, whose set of that name is
        replaced; if None, the file that is being read, or else this program.

    Returns:
      The set.

    Raises:
      LoptError: if another set has the name, of another origin or of the same file;
        or if it is the name of a set's seeds from another one on (`from_seed`).
    """
    own_name, first_seed = split_first_seed(hparam_set.name)
    if first_seed and first_seed != hparam_set.first_seed:
        raise LoptError(
            f"a set cannot be called {hparam_set.name}: that is the name of {own_name} "
            f"with its seeds from {first_seed} on. Choose "
            "a name that does not end in _from and a number."
        )
    SETS.define(hparam_set.name, hparam_set, origin)
    make_configurable(hparam_set.name, _of_task(hparam_set.name))
    return hparam_set


def _of_task(name: str) -> Callable[..., Any]:
    """Return the set that now has a name, as a function of a task's name."""

    def of_task(task_name: str) -> Any:
        return get_hparam_set(name)(task_name)

    return of_task


def make_configurable(name: str, function: Callable[..., Any]) -> None:
    """Register a function with gin, under the name of a set.

    Args:
      name: the name; of one that gin knows already, nothing is done.
      function: what it stands for in gin text.
    """
    # gin names are ASCII; a set of another name is known by it all the same.
    is_of_gin = name.isidentifier() and name.isascii()
    if name in _CONFIGURABLE or not is_of_gin:
        return
    function.__name__ = function.__qualname__ = name
    configurable(SETS.home)(function)
    _CONFIGURABLE.add(name)
