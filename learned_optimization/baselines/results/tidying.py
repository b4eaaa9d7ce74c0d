"""Removing what results have made needless: it may fail without harm."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.errors import ResultError

# Where nothing can be deleted it fails for each of thousands of files.
_said_of: set[str] = set()


class LeftBehindWarning(UserWarning):
    """A file that is not needed any more cannot be deleted, and stays."""


@contextmanager
def tidying() -> Iterator[None]:
    """Go on after the block if it cannot delete: the results are there.

    What is in the way is said, once for each root of results.
    """
    try:
        yield
    except ResultError as error:
        root = get_root_baseline_dir()
        if root not in _said_of:
            _said_of.add(root)
            warnings.warn(
                f"{error} So files that are not needed any more stay, in {root} or "
                "beside it; no result is lost. This is said once.",
                LeftBehindWarning,
                stacklevel=3,
            )
