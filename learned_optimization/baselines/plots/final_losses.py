"""Figures of the losses that sets end at: over learning rates, and over tuning."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    load_some,
)
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    comparable,
    load_set_result,
)
from learned_optimization.baselines.plots.axes import (
    draw_band,
    finish,
    line_options,
    new_axes,
    set_log_ticks,
    set_loss_range,
    set_title,
)
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.plots.legends import (
    Entry,
    add_legend,
    name_lines,
)
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.errors import LoptError

# Decades below the worst excess that are shown at most: what is closer is a tie.
_MOST_DECADES = 3

_Draw = Callable[[Axes, SetResult, dict[str, Any]], tuple[Line2D, list[float]] | None]
"""Draws a set; returns its line, and the lowest and highest loss that must be seen."""


def plot_sensitivity(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the final loss over learning rates.

    Lines are means over seeds, bands reach from the best to the worst seed. A
    learning rate with a diverged seed has no point; the best of each set is marked.
    Rates of which no loss is in range are not shown, but for the next one.

    In a set over more than the learning rate, all other hyper-parameters have the
    values of its best configuration; `plots.searches.plot_search` shows two of them.

    Args:
      task_name: the task.
      set_names: sets over learning rates; of others there is nothing to draw.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      on_left_out: as of `vis.plot_tasks_and_sets`.
      labels: names in the legend, by set; short ones (`plots.labels`) by default.

    Raises:
      LoptError: if none of the sets is one over learning rates.
      ResultError: if a set is not archived on the task.
    """
    lines: list[tuple[np.ndarray, np.ndarray]] = []

    def draw(
        ax: Axes, result: SetResult, look: dict[str, Any]
    ) -> tuple[Line2D, list[float]] | None:
        over_rates = result.final_over_rates()
        if result.learning_rates is None or over_rates is None:
            return None
        rates, final = over_rates
        mean = final.mean(axis=1)
        known = np.sort(mean[np.isfinite(mean)])
        if not known.size:
            return None
        [line] = ax.plot(rates, mean, marker="o", markersize=3, **look)
        draw_band(ax, rates, final.min(axis=1), final.max(axis=1), look["color"])
        best = result.best.index
        if not result.best.all_diverged:
            ax.plot(
                result.learning_rates[best],
                result.final[best].mean(),
                marker="*",
                markersize=11,
                color=look["color"],
                linestyle="none",
            )
        lines.append((rates, mean))
        return line, [known[0], known[len(known) // 2]]

    results = _load(task_name, set_names, select, split, on_left_out)
    ax = new_axes() if ax is None else ax
    entries, ranges = _draw_sets(
        task_name, results, ax, set_names, labels, draw, on_left_out
    )
    low = min(values[0] for values in ranges)
    high = float(np.median([values[-1] for values in ranges]))
    set_loss_range(ax, low, high, margin=0.06)
    ax.set_xscale("log")
    ax.set_xlim(*_rates_in_sight(lines, ax.get_ylim()[1]))
    ax.set_xlabel("learning rate")
    ax.set_ylabel(f"final {split} loss")
    if legend:
        add_legend(ax, entries)
    return ax


def _rates_in_sight(
    lines: Sequence[tuple[np.ndarray, np.ndarray]], highest: float
) -> tuple[float, float]:
    """Return the range of the rates whose loss is seen, and of those next to them."""
    lows, highs = [], []
    for rates, losses in lines:
        [seen] = np.nonzero(losses <= highest)
        if seen.size:
            [known] = np.nonzero(np.isfinite(losses))
            lows.append(rates[max(seen[0] - 1, known[0])])
            highs.append(rates[min(seen[-1] + 1, known[-1])])
    space = max((max(highs) / min(lows)) ** 0.04, 1.1)
    return min(lows) / space, max(highs) * space


def plot_tuning(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the loss to be expected after so many configurations drawn at random.

    The axis is of the excess, in decades: the loss less the lowest one that any of the
    sets is expected to reach. The line of that one leaves the axes below where it gets
    there. Exact, see `stats.best_after`.

    Args:
      task_name: the task.
      set_names: sets.
      ax: axes to draw on; new ones if None.
      legend: whether to name the lines: where they end, or else in a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      on_left_out: as of `vis.plot_tasks_and_sets`.
      labels: names in the legend, by set; short ones (`plots.labels`) by default.

    Raises:
      ResultError: if a set is not archived on the task.
      LoptError: if no set has a finite loss.
    """
    results = _load(task_name, set_names, select, split, on_left_out)
    ax = new_axes() if ax is None else ax
    every = [result.tuning.expected for result in results.values()]
    finite = [values[np.isfinite(values)] for values in every]
    lowest = min((float(v.min()) for v in finite if v.size), default=0.0)

    def draw(
        ax: Axes, result: SetResult, look: dict[str, Any]
    ) -> tuple[Line2D, list[float]] | None:
        tuning = result.tuning
        known = np.isfinite(tuning.expected)
        if not known.any():
            return None
        excess = tuning.expected[known] - lowest
        [line] = ax.plot(
            tuning.ks[known], excess, marker="o" if known.sum() == 1 else None, **look
        )
        return line, [float(value) for value in excess if value > 0]

    entries, seen = _draw_sets(
        task_name, results, ax, set_names, labels, draw, on_left_out
    )
    positive = [value for values in seen for value in values] or [1.0]
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(
        max(min(positive) / 2, max(positive) / 10**_MOST_DECADES), max(positive) * 1.3
    )
    ax.set_xscale("log")
    most = max(float(result.tuning.ks[-1]) for result in results.values())
    ax.set_xlim(1.0, max(most, 1.5))
    ticks = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    set_log_ticks(ax, [tick for tick in ticks if tick <= max(most, 1.5)])
    ax.set_xlabel("configurations tried")
    ax.set_ylabel(f"expected final {split} loss\nabove the best, {lowest:.4g}")
    if legend:
        name_lines(ax, entries)
    return ax


def _load(
    task_name: str,
    set_names: Sequence[str],
    select: str,
    split: str,
    on_left_out: OnLeftOut | None,
) -> Mapping[str, SetResult]:
    if not set_names:
        raise LoptError("plotting needs at least one set, got none.")
    load = functools.partial(load_set_result, task_name, select=select, report=split)
    loaded = load_some(task_name, set_names, load, on_left_out)
    row = comparable(list(loaded.values()))
    return dict(zip(loaded, row, strict=True))


def _draw_sets(
    task_name: str,
    results: Mapping[str, SetResult],
    ax: Axes,
    set_names: Sequence[str],
    labels: Mapping[str, str] | None,
    draw: _Draw,
    on_left_out: OnLeftOut | None,
) -> tuple[list[Entry], list[list[float]]]:
    """Draw each set; return the lines with their names, and what `draw` returns."""
    look = styles(set_names)
    short = short_labels(set_names, labels)
    entries, ranges, without = [], [], []
    for name, result in results.items():
        drawn = draw(ax, result, line_options(look[name]) | {"label": name})
        if drawn is None:
            without.append(name)
            continue
        line, seen = drawn
        entries.append(Entry(line, short.of[name]))
        ranges.append(seen)
    if not entries:
        raise LoptError(
            f"none of {', '.join(set_names)} has anything of this kind to draw on "
            f"{task_name}."
        )
    if on_left_out is not None:
        why = "it has nothing of this kind to draw, or no finite loss."
        for name in without:
            on_left_out(LeftOut(task_name, name, why))
    of = f" ({short.pattern})" if short.pattern else ""
    set_title(ax, f"{task_name}{of}")
    finish(ax)
    return entries, ranges
