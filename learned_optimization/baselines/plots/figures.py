"""Further figures of sets: many tasks, learning rates, searches, tuning, profiles.

Those of learning rates and of tuning are made in `plots.final_losses`, those of two
hyper-parameters in `plots.searches`, profiles in `plots.profile`.

The best of each set over training is `vis.plot_tasks_and_sets`; speed-ups over a
baseline are `plots.speedup.plot_speedup`. A set has the same colour and dash in all
of them (`plots.styles`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learned_optimization.baselines.analysis.left_out import OnLeftOut
from learned_optimization.baselines.plots.axes import MEDIUM, set_title
from learned_optimization.baselines.plots.curves import draw_best_of_sets
from learned_optimization.baselines.plots.final_losses import (
    plot_sensitivity,
    plot_tuning,
)
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.plots.legends import (
    Entry,
    legend_below_all,
    thin_curves,
)
from learned_optimization.baselines.plots.panels import draw_panels
from learned_optimization.baselines.plots.profile import plot_profile
from learned_optimization.baselines.plots.searches import plot_search
from learned_optimization.errors import LoptError, check_at_least

__all__ = [
    "plot_many_tasks",
    "plot_profile",
    "plot_search",
    "plot_sensitivity",
    "plot_tuning",
]


def plot_many_tasks(
    task_names: Sequence[str],
    set_names: Sequence[str],
    num_columns: int | None = None,
    labels: Mapping[str, str] | None = None,
    on_left_out: OnLeftOut | None = None,
    size: tuple[float, float] | None = None,
    **options: Any,
) -> Figure:
    """Draw the best of each set on many tasks: small multiples with one legend.

    Args:
      task_names: tasks, one panel each.
      set_names: sets archived on all of them.
      num_columns: panels in a row; about as many as rows if None.
      labels: names in the legend, by set; short ones (`plots.labels`) by default.
      on_left_out: told of each set and task that cannot be drawn, while the others
        are; where it is None, that is an error.
      size: width and height of the figure in inches; by the number of panels if None.
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
    short = short_labels(set_names, labels)
    count = len(task_names)
    columns = min(num_columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    fig, grid = plt.subplots(
        rows,
        columns,
        figsize=size or (5.2 * columns, 3.6 * rows),
        squeeze=False,
        layout="constrained",
    )
    lines: dict[str, Entry] = {}

    def draw(task: str, ax: Axes) -> None:
        _, entries = draw_best_of_sets(
            task,
            set_names,
            ax=ax,
            labels=short.of,
            on_left_out=on_left_out,
            **options,
        )
        set_title(ax, task, MEDIUM)
        for entry in entries:
            was_thin = entry.text in lines and lines[entry.text].is_thin
            lines[entry.text] = replace(entry, is_thin=entry.is_thin or was_thin)

    draw_panels(task_names, grid.flat, draw, on_left_out)
    for ax in list(grid.flat)[count:]:
        ax.set_axis_off()
    listed = [lines[text] for text in short.of.values() if text in lines]
    about = ", ".join(filter(None, [short.pattern, thin_curves(listed)]))
    legend_below_all(fig, listed, about, grow=size is None)
    return fig
