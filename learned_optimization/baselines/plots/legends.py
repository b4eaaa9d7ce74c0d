"""Which line is which set: names at the ends of lines, or a legend beside or below.

Sizes are measured on the figure as it is drawn. A legend never lies on the data: it
stands to the right where it takes no more than a quarter of the figure's width, and
else below the axes, in columns.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from learned_optimization.baselines.plots.axes import SMALL

MOST_OF_WIDTH = 0.25
"""Share of a figure's width that names beside the axes may take."""

# Heights of a line of text: between two names, and from a name to the end it names.
_GAP, _FARTHEST = 1.3, 4.5
_BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
_OFFSET = 14.0
_MOST_COLUMNS = 8
# Thin curves that are named one by one.
_MOST_NAMED = 3


@dataclass(frozen=True)
class Entry:
    """A line and what it is called.

    Attributes:
      line: the line.
      text: its name.
      longer: its name with more about it, for where there is room.
      is_thin: whether it lacks evaluations that were made, as in a release.
    """

    line: Line2D
    text: str
    longer: str = ""
    is_thin: bool = False


def thin_curves(entries: Collection[Entry]) -> str:
    """Return which of some lines are thin curves of a release; empty if none is."""
    thin = [entry.text for entry in entries if entry.is_thin]
    if not thin:
        return ""
    if len(thin) == len(entries):
        return "thin curves of a release"
    if len(thin) <= _MOST_NAMED:
        return f"thin curves of a release: {', '.join(thin)}"
    return f"{len(thin)} of {len(entries)} curves are thin, of a release"


def name_lines(ax: Axes, entries: Sequence[Entry], title: str = "") -> None:
    """Write names at the ends of lines where all fit there; else add a legend.

    Args:
      ax: the axes, whose limits are final.
      entries: the lines, in the order of the legend.
      title: of the legend, if there is one.
    """
    if not label_ends(ax, entries):
        add_legend(ax, entries, title)


def add_legend(ax: Axes, entries: Sequence[Entry], title: str = "") -> Legend:
    """Add a legend to the right of the axes, or below where it would be too wide.

    Args:
      ax: the axes.
      entries: what it lists, in this order.
      title: its title; none if empty.
    """
    options: dict[str, Any] = {
        "handles": [entry.line for entry in entries],
        "frameon": False,
    }
    options |= {"title": title or None, "fontsize": SMALL, "title_fontsize": SMALL}
    figure = _figure(ax)
    long = [entry.longer or entry.text for entry in entries]
    short = [entry.text for entry in entries]
    for texts in (long, short):
        legend = ax.legend(labels=texts, **options, **_BESIDE)
        box = legend.get_window_extent()
        room = ax.get_position().height * figure.bbox.height
        if box.width <= MOST_OF_WIDTH * figure.bbox.width and box.height <= room:
            return legend
    return _below(ax, options | {"labels": short})


def _below(ax: Axes, options: dict[str, Any]) -> Legend:
    figure = _figure(ax)
    alone = len(figure.axes) == 1
    x = figure.transFigure if alone else ax.transAxes
    # Below the axis and its label, whatever the height of the axes becomes.
    box = ax.get_tightbbox(for_layout_only=True)
    depth = max(0.0, ax.bbox.y0 - box.y0) if box is not None else 0.0
    shift = ScaledTranslation(0.0, -depth / figure.dpi - 0.06, figure.dpi_scale_trans)
    place = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0.0),
        "bbox_transform": blended_transform_factory(x, ax.transAxes) + shift,
        "borderaxespad": 0.0,
    }
    room = figure.bbox.width if alone else ax.bbox.width
    return _in_columns(functools.partial(ax.legend, **options, **place), options, room)


def legend_below_all(
    figure: Figure, entries: Sequence[Entry], title: str = "", grow: bool = False
) -> Legend:
    """Add one legend below all axes of a figure, in columns.

    Args:
      figure: the figure, with a constrained layout.
      entries: what it lists, in this order.
      title: its title; none if empty.
      grow: whether the figure becomes higher by the legend's height.
    """
    options: dict[str, Any] = {
        "handles": [entry.line for entry in entries],
        "labels": [entry.text for entry in entries],
        "title": title or None,
    }
    options |= {"frameon": False, "fontsize": SMALL, "title_fontsize": SMALL}

    def make(**columns: Any) -> Legend:
        for legend in list(figure.legends):
            legend.remove()
        return figure.legend(loc="outside lower center", **options, **columns)

    legend = _in_columns(make, options, figure.bbox.width)
    if grow:
        height = legend.get_window_extent().height / figure.dpi
        figure.set_figheight(figure.get_figheight() + height)
    return legend


def _in_columns(
    make: Callable[..., Legend], options: dict[str, Any], room: float
) -> Legend:
    """Make the legend with the most columns that fit, all about as long."""
    count = len(options["handles"])
    for columns in range(min(count, _MOST_COLUMNS), 1, -1):
        if math.ceil(count / math.ceil(count / columns)) == columns:
            legend = make(ncols=columns, columnspacing=1.2)
            if legend.get_window_extent().width <= 0.97 * room:
                return legend
    return make(ncols=1)


def label_ends(ax: Axes, entries: Sequence[Entry]) -> bool:
    """Write the names of lines to the right of the axes, each where its line ends.

    Args:
      ax: the axes, whose limits are final.
      entries: the lines.

    Returns:
      Whether they all fit: without touching each other, not far from the ends, in a
      quarter of the figure's width, and each line ends at the right of the axes.
      Where they do not, nothing is written.
    """
    figure = _figure(ax)
    figure.draw_without_rendering()
    ends = [_end(ax, entry.line) for entry in entries]
    found = [end for end in ends if end is not None]
    if not found or len(found) < len(ends):
        return False
    size = font_manager.FontProperties(size=SMALL).get_size_in_points()
    gap = _GAP * size * figure.dpi / 72
    at = np.asarray([ax.transData.transform(end)[1] for end in found]) - ax.bbox.y0
    places = _apart(at, gap, ax.bbox.height)
    if places is None or np.abs(places - at).max() > _FARTHEST * gap:
        return False
    for texts in (
        [entry.longer or entry.text for entry in entries],
        [entry.text for entry in entries],
    ):
        names = [
            _name(ax, entry.line, text, end, (place - y) * 72 / figure.dpi)
            for entry, text, end, place, y in zip(
                entries, texts, found, places, at, strict=True
            )
        ]
        widest = max(name.get_window_extent().x1 for name in names) - ax.bbox.x1
        if widest <= MOST_OF_WIDTH * figure.bbox.width:
            return True
        for name in names:
            name.remove()
    return False


def _name(ax: Axes, line: Line2D, text: str, end: tuple[float, float], up: float):
    leader = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6}
    return ax.annotate(
        text,
        xy=end,
        xytext=(_OFFSET, up),
        textcoords="offset points",
        color=line.get_color(),
        fontsize=SMALL,
        verticalalignment="center",
        annotation_clip=False,
        arrowprops=leader | {"shrinkA": 0.0, "shrinkB": 1.0, "relpos": (0.0, 0.5)},
    )


def _end(ax: Axes, line: Line2D) -> tuple[float, float] | None:
    """Return where a line ends, if that is at the right of the axes and not above."""
    xs, ys = (np.asarray(values, float) for values in line.get_data(orig=False))
    known = np.flatnonzero(np.isfinite(ys))
    if not known.size or known[-1] != len(ys) - 1:
        return None
    x, y = float(xs[-1]), float(ys[-1])
    across, up = ax.transAxes.inverted().transform(ax.transData.transform((x, y)))
    if across < 0.97 or up > 1 + 1e-6:
        return None
    # A line may leave the axes below, as what is the best on a logarithmic axis.
    return x, max(y, ax.get_ylim()[0])


def _apart(at: np.ndarray, gap: float, height: float) -> np.ndarray | None:
    """Return the places nearest to these that are a gap apart and within a height."""
    count = len(at)
    if count * gap > height:
        return None
    # Of two at the same place the first is the upper one.
    order = np.lexsort((-np.arange(count), at))
    # What has to be a gap apart has to be in order once the gaps are taken out.
    wanted = at[order] - gap * np.arange(count)
    blocks: list[list[float]] = []
    for value in wanted:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, weight = blocks.pop()
            before, many = blocks[-1]
            blocks[-1] = [
                (before * many + value * weight) / (many + weight),
                many + weight,
            ]
    level = np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks])
    level = np.clip(level, gap / 2, height - gap * (count - 0.5))
    places = np.empty(count)
    places[order] = level + gap * np.arange(count)
    return places


def _figure(ax: Axes) -> Figure:
    # Also of axes in a part of a figure.
    return ax.figure.canvas.figure
