"""Further figures of sets: many tasks, learning rates, tuning, profiles.

Those of learning rates and of tuning are made in `plots.final_losses`.

The best of each set over training is `vis.plot_tasks_and_sets`; speed-ups over a
baseline are `plots.speedup.plot_speedup`. A set has the same colour and dash in all
of them (`plots.styles`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.analysis.overall import MAX_RATIO
from learned_optimization.baselines.analysis.scores import TARGET_SHARE, check_is_one_of
from learned_optimization.baselines.analysis.verdicts import (
    compare,
    load_results,
    verdict,
)
from learned_optimization.baselines.plots.axes import (
    MEDIUM,
    SMALL,
    finish,
    legend_beside,
    line_options,
    new_axes,
    set_log_ticks,
)
from learned_optimization.baselines.plots.curves import plot_tasks_and_sets
from learned_optimization.baselines.plots.final_losses import (
    plot_sensitivity,
    plot_tuning,
)
from learned_optimization.baselines.plots.panels import draw_panels
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.errors import LoptError, check_at_least

__all__ = ["plot_many_tasks", "plot_profile", "plot_sensitivity", "plot_tuning"]


def plot_many_tasks(
    task_names: Sequence[str],
    set_names: Sequence[str],
    num_columns: int | None = None,
    labels: Mapping[str, str] | None = None,
    on_left_out: OnLeftOut | None = None,
    **options: Any,
) -> Figure:
    """Draw the best of each set on many tasks: small multiples with one legend.

    Args:
      task_names: tasks, one panel each.
      set_names: sets archived on all of them.
      num_columns: panels in a row; about as many as rows if None.
      labels: names in the legend, by set.
      on_left_out: told of each set and task that cannot be drawn, while the others
        are; where it is None, that is an error.
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

    def draw(task: str, ax: Axes) -> None:
        plot_tasks_and_sets(
            task,
            set_names,
            ax=ax,
            legend=False,
            labels=names,
            on_left_out=on_left_out,
            **options,
        )
        ax.set_title(task, fontsize=MEDIUM)

    draw_panels(task_names, panels, draw, on_left_out)
    for ax in list(grid.flat)[count:]:
        ax.set_axis_off()
    lines = {line.get_label(): line for ax in grid.flat for line in ax.get_lines()}
    fig.legend(
        handles=[lines[label] for label in names.values() if label in lines],
        loc="outside lower center",
        ncols=min(len(set_names), 2 * columns),
        frameon=False,
        fontsize=SMALL,
    )
    return fig


def plot_profile(
    task_names: Sequence[str],
    set_names: Sequence[str],
    reference: str | None = None,
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
) -> Axes:
    """Draw performance profiles: on which share of tasks a set is how fast.

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
      on_left_out: told of each set and task that cannot be drawn, while the others
        are; where it is None, that is an error.

    Raises:
      LoptError: if no task or no set is given, or the reference is none of them.
      ResultError: if a set is not archived on a task, or nothing can be drawn.
    """
    if reference is not None:
        check_is_one_of(reference, set_names)
    left: list[LeftOut] = []
    if on_left_out is None:
        results = load_results(task_names, set_names, select, split, None)
        compared = verdict(results, reference)
    else:
        results = load_results(task_names, set_names, select, split, left.append)
        compared = compare(results, reference, left_out=left)
    check_some_left(compared.over_tasks.timed, compared.left_out)
    for one in compared.left_out:
        if on_left_out is not None:
            on_left_out(one)
    ax = new_axes() if ax is None else ax
    look = styles(set_names)
    taus = np.geomspace(1.0, MAX_RATIO, 400)
    shares = stats.performance_profile(compared.ratios, taus)
    for overall, share in zip(compared.overall, shares, strict=True):
        label = f"{overall.set_name}: {overall.profile_score:.3f}"
        ax.step(
            taus,
            share,
            where="post",
            label=label,
            **line_options(look[overall.set_name]),
        )
    set_log_ticks(ax, [1.0, 1.5, 2.0, 3.0, 4.0])
    ax.set_xlim(1.0, MAX_RATIO)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("updates to the target, over those of the fastest set")
    ax.set_ylabel(f"share of {len(compared.over_tasks.timed)} tasks")
    ax.set_title(
        f"target: {TARGET_SHARE:.0%} of the improvement of {compared.reference}",
        fontsize=10,
    )
    finish(ax)
    if legend:
        legend_beside(ax)
    return ax
