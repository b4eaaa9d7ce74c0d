"""The decorator that lets gin configure a function or a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar, cast

import gin
from gin import config as gin_config

from learned_optimization.errors import LoptError
from learned_optimization.registry import is_packaged

_T = TypeVar("_T")

_NAMES: list[str] = []


def configurable(
    module: str,
    *,
    name: str | None = None,
    redefine: bool = False,
    around: Callable[[Any], Any] | None = None,
) -> Callable[[_T], _T]:
    """Return gin's function and class decorator, with types that survive it.

    Args:
      module: full name of the module gin knows the configurable under.
      name: the name gin knows it by; its own if None.
      redefine: whether what gin knows under that name already is replaced, also in
        bindings that refer to it; what the package defines is not.
      around: a decorator to put around gin's; gin too calls what it returns.

    Raises:
      LoptError: if something of another module of the package has the name.
    """

    def decorate(target: _T) -> _T:
        known_as = name or getattr(target, "__name__", str(target))
        selector = f"{module}.{known_as}"
        if redefine:
            _check_not_packaged(selector, target)
        _NAMES.append(known_as)
        with _interactive() if redefine else nullcontext():
            by_gin = cast("Any", gin.configurable(known_as, module=module))
            made = by_gin(target)
        if around is not None:
            made = around(made)
            # Else gin would call its own wrapper, and leave out what is around.
            known = gin_config._REGISTRY[selector]
            gin_config._REGISTRY[selector] = known._replace(wrapper=made)
        if redefine:
            _refresh_references(selector)
        return made

    return decorate


def _check_not_packaged(selector: str, target: Any) -> None:
    if selector not in gin_config._REGISTRY:
        return
    other = gin_config._REGISTRY[selector].wrapped.__module__
    if is_packaged(other) and other != target.__module__:
        raise LoptError(
            f"gin knows {selector} already, of {other}; the one of "
            f"{target.__module__} needs another name."
        )


@contextmanager
def _interactive() -> Iterator[None]:
    """Let gin define names again; afterwards, it does so only if it did before."""
    before = gin_config._INTERACTIVE_MODE
    gin_config.enter_interactive_mode()
    try:
        yield
    finally:
        if not before:
            gin_config.exit_interactive_mode()


def _refresh_references(selector: str) -> None:
    # A reference in a binding (`@Name`) keeps what had the name when it was read.
    for reference in gin_config.iterate_references(gin_config._CONFIG):
        known = reference.configurable
        if known is not None and known.selector == selector:
            reference.initialize()


def configurable_names() -> list[str]:
    """Return the name of everything `configurable` has made so, sorted."""
    return sorted(set(_NAMES))


def is_configurable(name: str) -> bool:
    """Return whether gin knows a name, whoever made it known."""
    try:
        gin.get_configurable(name)
    except ValueError:
        return False
    return True
