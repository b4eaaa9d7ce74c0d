"""Iterators of batches: what a user gives as data, and how often it can be read."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from learned_optimization.errors import LoptError

T = TypeVar("T")


class ThreadSafeIterator(Generic[T]):
    """An iterator that several threads may draw from.

    Args:
      iterator: the items.
    """

    def __init__(self, iterator: Iterator[T]):
        self._iterator, self._lock = iterator, threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._iterator)


class LazyIterator(Generic[T]):
    """An iterator that is made when the first item is drawn.

    Args:
      fn: makes the iterator.
    """

    def __init__(self, fn: Callable[[], Iterator[T]]):
        self._fn = fn
        self._iterator: Iterator[T] | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._iterator is None:
            self._iterator = iter(self._fn())
        return next(self._iterator)


class PeekableIterator(Generic[T]):
    """An iterator whose next item can be read before it is drawn.

    Args:
      iterator: the items.
    """

    def __init__(self, iterator: Iterator[T]):
        self._iterator = iterator
        self._ahead: list[T] = []

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._ahead.pop() if self._ahead else next(self._iterator)

    def peek(self) -> T:
        """Return the next item, which is still the next one after that.

        Raises:
          StopIteration: if there is none.
        """
        if not self._ahead:
            self._ahead.append(next(self._iterator))
        return self._ahead[0]


@dataclass(frozen=True, eq=False)
class BatchSource:
    """Where the batches of a split come from.

    Attributes:
      start: returns an iterator of batches for a seed.
      is_seeded: whether another seed means other batches.
      replays: whether each start begins at the first batch again. If not, there is
        one iterator, with which every start goes on.
    """

    start: Callable[[int], Iterator[Any]]
    is_seeded: bool
    replays: bool

    @classmethod
    def of(cls, given: Any) -> BatchSource:
        """Make a source of what a user gives.

        Args:
          given: an iterator; a list of batches, or anything else that can be
            iterated over again and again; or a function that makes either, without
            arguments or of a seed. What can be started again is, when it ends.

        Raises:
          LoptError: if it is none of these.
        """
        if isinstance(given, BatchSource):
            return given
        if isinstance(given, Iterator):
            return cls._of_iterator(given)
        if callable(given):
            if _takes_seed(given):
                return cls(lambda seed: _endless(lambda: given(seed)), True, True)
            return cls(lambda seed: _endless(given), False, True)
        if isinstance(given, Iterable):
            return cls(lambda seed: _endless(lambda: given), False, True)
        raise LoptError(
            "the batches of a split are given as an iterator, a list, or a function "
            f"that makes one, got {given!r}."
        )

    @classmethod
    def _of_iterator(cls, iterator: Iterator[Any]) -> BatchSource:
        peekable = PeekableIterator(iterator)
        return cls(lambda seed: peekable, False, False)

    def map(self, fn: Callable[[Any], Any]) -> BatchSource:
        """Make a source of the same batches passed through a function."""
        if not self.replays:
            return self._of_iterator(map(fn, self.start(0)))
        return BatchSource(
            lambda seed: map(fn, self.start(seed)), self.is_seeded, self.replays
        )

    def peek(self) -> Any:
        """Return the first batch of seed 0, or the next one, without drawing it.

        Raises:
          StopIteration: if there is none.
        """
        iterator = self.start(0)
        if isinstance(iterator, PeekableIterator):
            return iterator.peek()
        return next(iterator)


def _takes_seed(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # A function of another language that says nothing about itself.
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        p.name == "seed" or (p.default is p.empty and p.kind in kinds)
        for p in parameters
    )


def _endless(make: Callable[[], Any]) -> Iterator[Any]:
    """Return all items of an iterable, then those of another one, and so on."""
    while True:
        is_empty = True
        for item in make():
            is_empty = False
            yield item
        if is_empty:
            raise LoptError(
                "a function or list that was given as the batches of a split has none."
            )
