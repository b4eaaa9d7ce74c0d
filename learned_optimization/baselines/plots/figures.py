"""Further figures of sets: many tasks, learning rates, tuning, profiles.

The best of each set over training is `vis.plot_tasks_and_sets`; speed-ups over a
baseline are `speedup_figure.plot_speedup`. A set has the same colour and dash in all
of them (`set_styles`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.scores import TARGET_SHARE
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    load_set_result,
)
from learned_optimization.baselines.analysis.verdicts import MAX_RATIO, verdict
from learned_optimization.baselines.plots.curves import plot_tasks_and_sets
from learned_optimization.baselines.plots.styles import Style, styles
from learned_optimization.errors import LoptError, check_at_least

_MOST_TUNING_BANDS = 3


def plot_many_tasks(
    task_names: Sequence[str],
    set_names: Sequence[str],
    num_columns: int | None = None,
    labels: Mapping[str, str] | None = None,
    **options: Any,
) -> Figure:
    """Return the best of each set on many tasks: small multiples with one legend.

    Args:
      task_names: tasks, one panel each.
      set_names: sets archived on all of them.
      num_columns: panels in a row; about as many as rows if None.
      labels: names in the legend, by set.
      **options: `ema`, `split`, `colors` and others of `vis.plot_tasks_and_sets`, but
        neither `ax` nor `legend`.

    Raises:
      LoptError: if no task or no set is given, or a number of columns below 1.
      ResultError: if a set is not archived on a task.
    """
    if not task_names:
        raise LoptError("plotting needs at least one task, got none.")
    if num_columns is not None:
        check_at_least("num_columns", num_columns, 1)
    names = {name: (labels or {}).get(name, name) for name in set_names}
    count = len(task_names)
    columns = min(num_columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    legend_rows = math.ceil(len(set_names) / (2 * columns))
    fig, grid = plt.subplots(
        rows,
        columns,
        figsize=(5.2 * columns, 3.6 * rows + 0.22 * legend_rows),
        squeeze=False,
        layout="constrained",
    )
    panels = grid.flat
    for task, ax in zip(task_names, panels, strict=False):
        plot_tasks_and_sets(
            task,
            set_names,
            ax=ax,
            legend=False,
            labels=names,
            **options,
        )
        ax.set_title(task, fontsize=9)
    for ax in list(grid.flat)[count:]:
        ax.set_axis_off()
    lines = {line.get_label(): line for line in grid[0, 0].get_lines()}
    fig.legend(
        handles=[lines[label] for label in names.values()],
        loc="outside lower center",
        ncols=min(len(set_names), 2 * columns),
        frameon=False,
        fontsize=8,
    )
    return fig


def plot_sensitivity(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
) -> Axes:
    """Return final loss over learning rates.

    Lines are means over seeds, bands reach from the best to the worst seed. A
    learning rate with a diverged seed has no point; the best of each set is marked.

    Args:
      task_name: the task.
      set_names: sets over learning rates; of others there is nothing to draw.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.

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
        ax.fill_between(
            rates,
            final.min(axis=1),
            final.max(axis=1),
            color=look["color"],
            alpha=0.12,
            linewidth=0,
        )
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

    ax = _draw_sets(task_name, set_names, ax, legend, select, split, draw)
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
) -> Axes:
    """Return final loss to be expected after so many configurations drawn at random.

    Exact, see `stats.best_after`; bands, where at most three sets are drawn, reach
    from the 10th to the 90th of a hundred such searches.

    Args:
      task_name: the task.
      set_names: sets.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend.
      select: split whose loss selects the best.
      split: split whose loss is drawn.

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
        # So wide are these bands that more of them would hide the lines.
        if len(set_names) <= _MOST_TUNING_BANDS:
            low, high = (
                np.where(np.isfinite(values), values, np.nan)
                for values in (tuning.low, tuning.high)
            )
            ax.fill_between(
                tuning.ks, low, high, color=look["color"], alpha=0.12, linewidth=0
            )
        found = tuning.expected[known]
        return [float(found[-1]), float(found[0])] if found.size else []

    ax = _draw_sets(task_name, set_names, ax, legend, select, split, draw)
    ax.set_xscale("log")
    most = ax.get_xlim()[1]
    ticks = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if k <= most]
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("configurations tried")
    ax.set_ylabel(f"expected final {split} loss")
    return ax


def plot_profile(
    task_names: Sequence[str],
    set_names: Sequence[str],
    reference: str | None = None,
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
) -> Axes:
    """Return performance profiles: on which share of tasks a set is how fast.

    A set's cost on a task is the median number of updates until 99% of what the
    reference improves (`analysis.scores.target_of`), over that of the fastest set
    (Dolan & More 2002).

    Args:
      task_names: tasks.
      set_names: sets archived on all of them.
      reference: the set whose loss is the target; Adam's if None.
      ax: axes to draw on; new ones if None.
      legend: whether to draw a legend, with the area under each profile.
      select: split whose loss selects the best.
      split: split whose loss is drawn.

    Raises:
      LoptError: if no task or no set is given, or the reference is none of them.
      ResultError: if a set is not archived on a task.
    """
    results = [
        [load_set_result(task, name, select, split) for name in set_names]
        for task in task_names
    ]
    found = verdict(results, reference)
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
    look = styles(set_names)
    taus = np.geomspace(1.0, MAX_RATIO, 400)
    shares = stats.performance_profile(found.ratios, taus)
    for overall, share in zip(found.overall, shares, strict=True):
        label = f"{overall.set_name}: {overall.profile_score:.3f}"
        ax.step(taus, share, where="post", label=label, **_line(look[overall.set_name]))
    ax.set_xscale("log")
    ticks = [1.0, 1.5, 2.0, 3.0, 4.0]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(1.0, MAX_RATIO)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("updates to the target, over those of the fastest set")
    ax.set_ylabel(f"share of {len(task_names)} tasks")
    ax.set_title(
        f"target: {TARGET_SHARE:.0%} of the improvement of {found.reference}",
        fontsize=10,
    )
    _finish(ax, legend)
    return ax


def _draw_sets(
    task_name: str,
    set_names: Sequence[str],
    ax: Axes | None,
    legend: bool,
    select: str,
    split: str,
    draw: Callable[[Axes, SetResult, dict[str, Any]], list[float]],
) -> Axes:
    """Draw each set; the range of losses holds the better half of what is drawn."""
    if not set_names:
        raise LoptError("plotting needs at least one set, got none.")
    results = [load_set_result(task_name, name, select, split) for name in set_names]
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
    look = styles(set_names)
    ranges = []
    for result in results:
        line = _line(look[result.set_name]) | {"label": result.set_name}
        if drawn := draw(ax, result, line):
            ranges.append(drawn)
    if not ranges:
        raise LoptError(
            f"none of {', '.join(set_names)} has anything of this kind to draw on "
            f"{task_name}."
        )
    low = min(values[0] for values in ranges)
    high = float(np.median([values[-1] for values in ranges]))
    margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.set_title(task_name, fontsize=11)
    _finish(ax, legend)
    return ax


def _line(style: Style) -> dict[str, Any]:
    return {"color": style.color, "linestyle": style.dash, "linewidth": 1.6}


def _finish(ax: Axes, legend: bool) -> None:
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(
            frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0)
        )
