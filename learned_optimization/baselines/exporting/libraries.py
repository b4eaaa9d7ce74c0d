"""Libraries that extras install: they are imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from learned_optimization.errors import LoptError


def require(module: str, extra: str) -> Any:
    """Import what an extra installs.

    Raises:
      LoptError: naming the extra, if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise LoptError(
            f"this export needs the package {module.partition('.')[0]}: "
            f"pip install 'optimizer-baselines[{extra}]'."
        ) from error


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that a library reads, for as long as it works."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
