"""The figure of a speed-up: steps of the baseline over own steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from learned_optimization.baselines.plots.axes import (
    SMALL,
    draw_band,
    finish,
    line_options,
    new_axes,
    set_title,
)
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.plots.legends import Entry, add_legend
from learned_optimization.baselines.plots.styles import Style, styles
from learned_optimization.baselines.speedups.speedup import Speedup
from learned_optimization.errors import LoptError

_FACTORS = {10.0: "10 times as fast", 0.1: "10 times as slow"}


def plot_speedup(
    speedups: Sequence[Speedup],
    ax: Axes | None = None,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Plot steps the baseline needs for the same loss, over own steps.

    Both axes are logarithmic: on the diagonal both are as fast, parallels to it are
    ten times as fast and as slow. The band is of other seeds of the baseline. Where
    the baseline never got as low there is no line, but triangles at the horizon: the
    speed-up is at least what is drawn.

    Args:
      speedups: sets on one task, measured with one normalizer.
      ax: axes to draw on; new ones if None.
      labels: names of sets in the legend; short ones (`plots.labels`) by default.

    Returns:
      The axes.

    Raises:
      LoptError: if there is none, or they are of several tasks or horizons.
    """
    if len({(s.normalizer.task, s.normalizer.horizon) for s in speedups}) != 1:
        raise LoptError(
            "a figure of speed-ups needs at least one set, all on one task and "
            f"measured with one normalizer; got {len(speedups)} sets."
        )
    ax = new_axes((7.0, 6.0)) if ax is None else ax
    horizon = speedups[0].normalizer.horizon
    start = min(float(s.xs[0]) for s in speedups)
    end = max(float(s.xs[-1]) for s in speedups)
    diagonal = _draw_diagonals(ax, start, end)
    ax.axhline(horizon, color="0.4", linewidth=0.8, linestyle=":")
    ax.annotate(
        f"the baseline ends: {horizon:,.0f} steps",
        (start, horizon),
        textcoords="offset points",
        xytext=(3, 3),
        fontsize=SMALL,
        color="0.35",
    )
    names = [speedup.hparam_set for speedup in speedups]
    look, short = styles(names), short_labels(names, labels)
    entries = [
        Entry(_draw(ax, speedup, look[name]), short.of[name])
        for name, speedup in zip(names, speedups, strict=True)
    ]
    entries.append(Entry(diagonal, "as the baseline"))
    if any(speedup.is_censored.any() for speedup in speedups):
        label = "at least this: the baseline never got as low"
        [mark] = ax.plot(
            [], [], color="0.35", linestyle="none", marker="^", label=label
        )
        entries.append(Entry(mark, "at least this"))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(start, end)
    ax.set_ylim(start / 3.0, 3.0 * max(horizon, end))
    ax.set_xlabel("own updates")
    ax.set_ylabel(f"updates of the baseline for the same {speedups[0].split} loss")
    of = f" ({short.pattern})" if short.pattern else ""
    set_title(ax, f"{speedups[0].normalizer.task}{of}\nspeed-up over the baseline")
    finish(ax)
    add_legend(ax, entries)
    return ax


def _draw_diagonals(ax: Axes, start: float, end: float) -> Line2D:
    ends = np.array([start, end])
    options = {"color": "0.35", "linewidth": 1.0, "label": "as fast as the baseline"}
    [diagonal] = ax.plot(ends, ends, **options)
    for factor, text in _FACTORS.items():
        ax.plot(ends, factor * ends, color="0.75", linewidth=0.8, linestyle="--")
        # Where the line is within the axes, on either side of the diagonal.
        x = start * 2.0 if factor > 1.0 else end / 8.0
        ax.text(
            x,
            factor * x,
            text,
            fontsize=SMALL,
            color="0.35",
            rotation=math.degrees(math.atan(factor)),
            rotation_mode="anchor",
            transform_rotates_text=True,
            verticalalignment="bottom",
        )
    return diagonal


def _draw(ax: Axes, speedup: Speedup, style: Style) -> Line2D:
    # 0 steps have no logarithm: losses worse than at the start are not drawn.
    shown = np.where(speedup.steps > 0, speedup.steps, np.nan)
    line = np.where(speedup.is_censored, np.nan, shown)
    label = f"{speedup.hparam_set}: {speedup.opt_name}"
    [drawn] = ax.plot(speedup.xs, line, label=label, **line_options(style))
    if speedup.low is not None and speedup.high is not None:
        # Beyond the horizon the band has no end that is known: it leaves the axes.
        top = np.where(np.isfinite(speedup.high), speedup.high, 1e3 * speedup.xs[-1])
        low, high = np.maximum(speedup.low, 1e-3), np.maximum(top, 1e-3)
        draw_band(ax, speedup.xs, low, high, style.color, alpha=0.18)
    censored = speedup.is_censored
    if censored.any():
        every = max(1, int(censored.sum()) // 12)
        ax.plot(
            speedup.xs[censored],
            shown[censored],
            color=style.color,
            linestyle="none",
            marker="^",
            markersize=5,
            markevery=every,
        )
    return drawn
