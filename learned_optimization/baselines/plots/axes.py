"""How the axes of every figure look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties

from learned_optimization.baselines.plots.styles import Style

SMALL, MEDIUM, LARGE = "small", "medium", "large"
"""Sizes of text: of legends and notes, of panels' titles, of titles."""

FIGURE_SIZE = (8.0, 5.0)
"""Width and height of a figure with one set of axes, in inches."""

LINE_WIDTH = 1.6
"""Of the lines that a figure is about, in points, beside letters of the usual size."""

_USUAL_SIZE = 10.0

# In inches: a narrower figure has no room for large letters.
_NARROW = 4.5


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


def set_title(ax: Axes, text: str, fontsize: str = LARGE) -> None:
    """Write a title above the axes, in lines that are no wider than the figure.

    Args:
      ax: the axes.
      text: the title; one of several lines keeps them.
      fontsize: one of the sizes of text; `MEDIUM` at most in a narrow figure.
    """
    if fontsize == LARGE and ax.figure.bbox.width / ax.figure.dpi < _NARROW:
        fontsize = MEDIUM
    lines = text.splitlines()
    # Letters of a title are rarely wider than this share of their height.
    points = FontProperties(size=fontsize).get_size_in_points()
    width = ax.bbox.width * 72 / ax.figure.dpi
    most = max(12, int(width / (0.58 * points)))
    wrapped = [part for line in lines for part in _broken(line, most)]
    ax.set_title("\n".join(wrapped), fontsize=fontsize)


def _broken(line: str, most: int) -> list[str]:
    """Split a line at spaces, and at the underscores of names that are too long."""
    rows = [""]
    for word in re.findall(r"\s*\S+", line):
        fits = len(word.strip()) <= most
        for part in [word] if fits else re.findall(r"\s*(?:[^_]+_*|_+)", word):
            if rows[-1] and len(rows[-1] + part) > most:
                rows.append(part.lstrip())
            else:
                rows[-1] += part
    return rows


def line_options(style: Style) -> dict[str, Any]:
    """Return how matplotlib draws the line of a set."""
    width = LINE_WIDTH * plt.rcParams["font.size"] / _USUAL_SIZE
    return {"color": style.color, "linestyle": style.dash, "linewidth": width}


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
