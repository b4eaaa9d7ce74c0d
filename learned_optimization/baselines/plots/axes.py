"""How the axes of every figure look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from learned_optimization.baselines.plots.styles import Style

SMALL, MEDIUM, LARGE = 8, 9, 11
"""Sizes of text, in points: of legends and notes, of panels' titles, of titles."""

FIGURE_SIZE = (8.0, 5.0)
"""Width and height of a figure with one set of axes, in inches."""

LINE_WIDTH = 1.6
"""Of the lines that a figure is about, in points."""


def new_axes(size: tuple[float, float] = FIGURE_SIZE) -> Axes:
    """Return the axes of a new figure.

    Args:
      size: width and height of the figure, in inches.
    """
    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def finish(ax: Axes, grid: Literal["major", "both"] = "major") -> None:
    """Add a faint grid and take away the frame's top and right.

    Args:
      ax: the axes.
      grid: the ticks that have grid lines.
    """
    ax.grid(alpha=0.25, linewidth=0.6, which=grid)
    ax.spines[["top", "right"]].set_visible(False)


def legend_beside(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Add a legend to the right of the axes.

    Args:
      ax: the axes.
      handles: what it lists, in this order; everything that has a label if None.
    """
    listed = {} if handles is None else {"handles": handles}
    ax.legend(
        frameon=False,
        fontsize=SMALL,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        **listed,
    )


def line_options(style: Style) -> dict[str, Any]:
    """Return how matplotlib draws the line of a set."""
    return {"color": style.color, "linestyle": style.dash, "linewidth": LINE_WIDTH}


def draw_band(
    ax: Axes,
    xs: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    color: str,
    alpha: float = 0.12,
    **options: Any,
) -> None:
    """Fill what lies between two curves, without a border.

    Args:
      ax: the axes.
      xs: float `[points]`.
      low: float `[points]`, the lower curve; NaN where there is none.
      high: float `[points]`, the upper curve.
      color: of the band.
      alpha: its opacity.
      **options: further arguments of `Axes.fill_between`.
    """
    ax.fill_between(xs, low, high, color=color, alpha=alpha, linewidth=0, **options)


def set_log_ticks(ax: Axes, ticks: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with these ticks alone."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)


def set_loss_range(ax: Axes, low: float, high: float, margin: float) -> None:
    """Set the range of the vertical axis.

    Args:
      ax: the axes.
      low: lowest loss that must be seen.
      high: highest loss that must be seen.
      margin: empty space below and above, as a share of the range.
    """
    space = margin * (high - low) or margin * abs(high) or 1.0
    ax.set_ylim(low - space, high + space)
