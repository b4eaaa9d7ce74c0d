"""A panel per task: one that cannot be drawn says why, and the others are drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from matplotlib.axes import Axes

from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.plots.axes import MEDIUM, SMALL
from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    UnknownNameError,
)

_COLUMNS = 60


def draw_panels(
    task_names: Sequence[str],
    axes: Iterable[Axes],
    draw: Callable[[str, Axes], object],
    on_left_out: OnLeftOut | None,
) -> None:
    """Draw what a figure shows of each task.

    Args:
      task_names: the tasks.
      axes: at least one per task.
      draw: draws a task.
      on_left_out: told of tasks of which nothing can be drawn; where it is None, that
        is an error.

    Raises:
      ResultError: if nothing can be drawn of any task, with all reasons.
      LoptError: as raised by `draw`, where `on_left_out` is None; also otherwise if
        an archive is missing, or a name is wrong.
    """
    left, drawn = [], []
    for task, ax in zip(task_names, axes, strict=False):
        try:
            draw(task, ax)
            drawn.append(task)
        except (MissingArchiveError, UnknownNameError):
            raise
        except LoptError as error:
            if on_left_out is None:
                raise
            left.append(LeftOut(task, "", str(error)))
            _say(ax, task, str(error))
    check_some_left(drawn, left)
    if on_left_out is not None:
        for one in left:
            on_left_out(one)


def _say(ax: Axes, task: str, reason: str) -> None:
    ax.set_axis_off()
    ax.set_title(task, fontsize=MEDIUM)
    lines = [part for line in reason.splitlines() for part in _wrapped(line)]
    # A dollar sign of a path begins no formula.
    ax.text(
        0.0,
        0.95,
        "\n".join(["left out:", *lines]),
        fontsize=SMALL,
        verticalalignment="top",
        transform=ax.transAxes,
        parse_math=False,
    )


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _COLUMNS) or [""]
