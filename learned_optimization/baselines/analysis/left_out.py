"""What a comparison leaves out, and why; everything else of it is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    ResultError,
    UnknownNameError,
)

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class LeftOut:
    """A set on a task, or a figure of it, that cannot be shown.

    Attributes:
      task_name: the task.
      set_name: the set; empty where it is a figure of all sets.
      reason: why, as a sentence.
      figure: what cannot be shown, such as `times to the target`; empty if nothing of
        the set can.
    """

    task_name: str
    set_name: str
    reason: str
    figure: str = ""

    def __str__(self) -> str:
        """Return all of it as a sentence that names set and task."""
        place = f"{self.set_name} on {self.task_name}" if self.set_name else ""
        words = [self.figure, place] if place else [self.figure, self.task_name]
        joint = " of " if place else " on "
        return f"{joint.join(w for w in words if w)}: {self.reason}"


OnLeftOut = Callable[[LeftOut], None]
"""Told of what is left out."""


def load_usable(
    task_name: str,
    set_names: Sequence[str],
    load: Callable[[str], Loaded],
    on_left_out: OnLeftOut | None,
) -> dict[str, Loaded]:
    """Load what sets are on a task; one that cannot be used does not stop the others.

    Args:
      task_name: the task.
      set_names: the sets.
      load: loads a set.
      on_left_out: told of sets that are archived and cannot be used; where it is
        None, the first of them is an error.

    Returns:
      Set name to what is loaded, in the order of `set_names`.

    Raises:
      MissingArchiveError: if a set is not archived: it is asked for by mistake, or is
        still to be trained.
      LoptError: as raised by `load`, where `on_left_out` is None.
    """
    loaded = {}
    for name in set_names:
        try:
            loaded[name] = load(name)
        except (MissingArchiveError, UnknownNameError):
            raise
        except LoptError as error:
            if on_left_out is None:
                raise
            on_left_out(LeftOut(task_name, name, str(error)))
    return loaded


def load_some(
    task_name: str,
    set_names: Sequence[str],
    load: Callable[[str], Loaded],
    on_left_out: OnLeftOut | None,
) -> dict[str, Loaded]:
    """Load sets on a task as `load_usable` does, at least one.

    Raises:
      ResultError: if none can be used, with all reasons; `on_left_out` is not told
        then.
      LoptError: as `load_usable`.
    """
    left: list[LeftOut] = []
    collect = None if on_left_out is None else left.append
    loaded = load_usable(task_name, set_names, load, collect)
    check_some_left(loaded, left)
    if on_left_out is not None:
        for one in left:
            on_left_out(one)
    return loaded


def check_some_left(left: Collection[object], left_out: Sequence[LeftOut]) -> None:
    """Raise `ResultError` with all reasons unless something is left to be shown."""
    if not left:
        reasons = "\n".join(f"  {reason}" for reason in left_out)
        raise ResultError(f"nothing of what is named can be used:\n{reasons}")
