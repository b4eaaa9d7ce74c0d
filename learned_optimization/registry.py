"""Things of one kind by name, each added where it is defined.

Tasks, optimizers and sets are found through a registry each. Defining a thing of
one's own again, as running a cell of a notebook twice does, replaces it; the name of
a thing of the package, or of another place, is refused.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Generic, TypeVar

from learned_optimization.errors import LoptError, NotRegisteredError

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]

OWN = "this program"
"""Origin of what a script or a notebook defines."""


class Reading:
    """A file that is being read, and what it has defined so far, of every kind.

    Args:
      file: where the things come from.
    """

    def __init__(self, file: str):
        self.file = file
        self._items: dict[int, dict[str, Any]] = {}

    def of(self, registry: Registry[T]) -> dict[str, T]:
        """Return what the file has defined of one kind, by name, in order."""
        return self._items.setdefault(id(registry), {})


_READING: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading(file: str) -> Iterator[Reading]:
    """Note, within the block, everything that is defined.

    Args:
      file: where the things come from: reading it again replaces them.
    """
    noted = Reading(file)
    token = _READING.set(noted)
    try:
        yield noted
    finally:
        _READING.reset(token)


class Registry(Generic[T]):
    """The things of one kind.

    Args:
      kind: what one is called in errors, in the singular, e.g. `"task"`.
      a_kind: the same with its article, e.g. `"a task"`.
      home: full name of the module that defines those of the package, or of the
        package whose modules do; imported when a name is first looked up.
    """

    def __init__(self, kind: str, a_kind: str, home: str):
        self.kind, self.a_kind, self.home = kind, a_kind, home
        self._items: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._loaded = False

    def add(self, name: str, item: T, origin: str) -> T:
        """Add a thing, or replace the one of that name that has the same origin.

        Args:
          name: its name.
          item: the thing.
          origin: where it is defined: the full name of a module, or a file.

        Returns:
          `item`.

        Raises:
          LoptError: if something else, of another origin, has the name.
        """
        if name not in self._items or self._items[name] != item:
            self.check(name, origin)
        self._items[name] = item
        # An equal one, of wherever, does not take the name over.
        self._origins.setdefault(name, origin)
        return item

    def define(self, name: str, item: T, origin: str | None = None) -> T:
        """Add a thing of one's own.

        Args:
          name: its name.
          item: the thing.
          origin: as of `add`; if None, the file that is being read, or else `OWN`.

        Returns:
          `item`.

        Raises:
          LoptError: if another one has the name, of another origin or of the same file.
        """
        file = _READING.get() if origin is None else None
        if file is not None:
            origin = file.file
            if file.of(self).get(name, item) != item:
                raise LoptError(
                    f"there is {self.a_kind} {name} already, in the same file: give "
                    "one of the two another name."
                )
        self.add(name, item, origin or OWN)
        if file is not None:
            file.of(self)[name] = item
        return item

    def check(self, name: str, origin: str) -> None:
        """Refuse a name that something of another origin has.

        Raises:
          LoptError: naming both origins.
        """
        if not is_packaged(origin):
            # The names of the package are taken, imported already or not.
            self._load()
        other = self._origins.get(name, origin)
        if other != origin:
            raise LoptError(
                f"there is {self.a_kind} {name} already, of {other}; the one of "
                f"{origin} needs another name."
            )

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
          NotRegisteredError: with the nearest names, if there is none.
        """
        # What is being defined in the package's own modules needs no other of them.
        if name not in self._items:
            self._load()
        if name not in self._items:
            raise NotRegisteredError(self.kind, name, self._items)
        return self._items[name]

    def all(self) -> dict[str, T]:
        """Return every thing by name, in alphabetical order."""
        self._load()
        return dict(sorted(self._items.items()))

    def packaged(self) -> list[str]:
        """Return the names of those that come with the package, as defined."""
        self._load()
        return [n for n, origin in self._origins.items() if is_packaged(origin)]

    @contextmanager
    def temporarily(self) -> Iterator[None]:
        """Forget, at the end of the block, what is added in it.

        gin forgets nothing: `@Name` goes on meaning the last definition.
        """
        self._load()
        items, origins = dict(self._items), dict(self._origins)
        try:
            yield
        finally:
            self._items, self._origins = items, origins

    def _load(self) -> None:
        if self._loaded:
            return
        import_home(self.home)
        self._loaded = True


def is_packaged(origin: str) -> bool:
    """Return whether an origin is a module of this package."""
    return origin == _PACKAGE or origin.startswith(f"{_PACKAGE}.")


def source_file(module: object) -> str | None:
    """Return the path of a module's source file, links followed; None if it has none.

    Args:
      module: a module, or None of one that is not loaded.
    """
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    return os.path.realpath(file) if os.path.isfile(file) else None


def import_home(name: str) -> None:
    """Import a module; of a package, all the modules directly in it too."""
    home = import_module(name)
    for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
        import_module(f"{name}.{module.name}")
