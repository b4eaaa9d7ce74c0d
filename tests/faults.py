"""Makes a writer's calls to the file system fail, one after another."""

import builtins
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from learned_optimization import durable

CALLS = ("open", "fsync", "close", "replace", "makedirs", "mkdir", "remove", "rmdir")


class Killed(BaseException):
    """The process is no more: nothing that it would do follows."""


class _CountedFile:
    """A file whose writes are calls too."""

    def __init__(self, file, count):
        self._file, self._count = file, count

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self._file.close()

    def write(self, data):
        self._count("write")
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


@contextmanager
def failing_at(nth: int, error: BaseException) -> Iterator[list[str]]:
    """Make the n-th call fail within the block; after `Killed`, every later one too.

    Args:
      nth: which call, counted from 1.
      error: what it raises; `Killed` does not leave the block.

    Yields:
      Names of the calls made so far.
    """
    calls: list[str] = []

    def count(name):
        calls.append(name)
        is_dead = isinstance(error, Killed) and len(calls) > nth
        if len(calls) == nth or is_dead:
            raise error

    def counted(name):
        real = getattr(os, name)

        def call(*args, **kwargs):
            count(name)
            return real(*args, **kwargs)

        return call

    def open_(*args):
        count("open")
        return _CountedFile(builtins.open(*args), count)

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        for name in CALLS:
            patch.setattr(os, name, counted(name))
        patch.setattr(durable, "open", open_, raising=False)
        yield calls
