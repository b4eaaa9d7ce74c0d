"""Figures of the losses that sets end at: over learning rates, and over tuning."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    load_some,
)
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    load_set_result,
)
from learned_optimization.baselines.plots.axes import (
    LARGE,
    draw_band,
    finish,
    legend_beside,
    line_options,
    new_axes,
    set_log_ticks,
    set_loss_range,
)
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.errors import LoptError

_MOST_TUNING_BANDS = 3


def plot_sensitivity(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
) -> Axes:
    """Draw the final loss over learning rates.

    Lines are means over seeds, bands reach from the best to the worst seed. A
    learning rate with a diverged seed has no point; the best of each set is marked.

    In a set over more than the learning rate, all other hyper-parameters have the
    values of its best configuration.

    Args:
      task_name: the task.
      set_names: sets over learning rates; of others there is nothing to draw.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      on_left_out: as of `vis.plot_tasks_and_sets`.

    Raises:
      LoptError: if none of the sets is one over learning rates.
      ResultError: if a set is not archived on the task.
    """

    def draw(ax: Axes, result: SetResult, look: dict[str, Any]) -> list[float]:
        over_rates = result.final_over_rates()
        if result.learning_rates is None or over_rates is None:
            return []
        rates, final = over_rates
        mean = final.mean(axis=1)
        ax.plot(rates, mean, marker="o", markersize=3, **look)
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
        known = np.sort(mean[np.isfinite(mean)])
        return [known[0], known[len(known) // 2]] if known.size else []

    ax = _draw_sets(task_name, set_names, ax, legend, select, split, draw, on_left_out)
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel(f"final {split} loss")
    return ax


def plot_tuning(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
) -> Axes:
    """Draw the loss to be expected after so many configurations drawn at random.

    Exact, see `stats.best_after`; bands, where at most three sets are drawn, reach
    from the 10th to the 90th of a hundred such searches.

    Args:
      task_name: the task.
      set_names: sets.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      on_left_out: as of `vis.plot_tasks_and_sets`.

    Raises:
      ResultError: if a set is not archived on the task.
    """

    def draw(ax: Axes, result: SetResult, look: dict[str, Any]) -> list[float]:
        tuning = result.tuning
        known = np.isfinite(tuning.expected)
        ax.plot(
            tuning.ks[known],
            tuning.expected[known],
            marker="o" if known.sum() == 1 else None,
            **look,
        )
        # These bands are so wide that more of them would hide the lines.
        if len(set_names) <= _MOST_TUNING_BANDS:
            low, high = (
                np.where(np.isfinite(values), values, np.nan)
                for values in (tuning.low, tuning.high)
            )
            draw_band(ax, tuning.ks, low, high, look["color"])
        losses = tuning.expected[known]
        return [float(losses[-1]), float(losses[0])] if losses.size else []

    ax = _draw_sets(task_name, set_names, ax, legend, select, split, draw, on_left_out)
    ax.set_xscale("log")
    most = ax.get_xlim()[1]
    ticks = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    set_log_ticks(ax, [tick for tick in ticks if tick <= most])
    ax.set_xlabel("configurations tried")
    ax.set_ylabel(f"expected final {split} loss")
    return ax


def _draw_sets(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None,
    legend: bool,
    select: str,
    split: str,
    draw: Callable[[Axes, SetResult, dict[str, Any]], list[float]],
    on_left_out: OnLeftOut | None,
) -> Axes:
    """Draw each set; the range of losses holds the better half of what is drawn."""
    if not set_names:
        raise LoptError("plotting needs at least one set, got none.")
    load = functools.partial(load_set_result, task_name, select=select, report=split)
    results = load_some(task_name, set_names, load, on_left_out)
    ax = new_axes() if ax is None else ax
    look = styles(set_names)
    ranges, without = [], []
    for name, result in results.items():
        line = line_options(look[name]) | {"label": name}
        drawn = draw(ax, result, line)
        if drawn:
            ranges.append(drawn)
        else:
            without.append(name)
    if not ranges:
        raise LoptError(
            f"none of {', '.join(set_names)} has anything of this kind to draw on "
            f"{task_name}."
        )
    if on_left_out is not None:
        why = "it has nothing of this kind to draw, or no finite loss."
        for name in without:
            on_left_out(LeftOut(task_name, name, why))
    low = min(values[0] for values in ranges)
    high = float(np.median([values[-1] for values in ranges]))
    set_loss_range(ax, low, high, margin=0.06)
    ax.set_title(task_name, fontsize=LARGE)
    finish(ax)
    if legend:
        legend_beside(ax)
    return ax
