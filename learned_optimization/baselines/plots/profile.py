"""Performance profiles of sets over tasks, and what stands for them on few tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.analysis.overall import MAX_RATIO
from learned_optimization.baselines.analysis.scores import check_is_one_of
from learned_optimization.baselines.analysis.verdicts import (
    Verdict,
    compare,
    load_results,
    verdict,
)
from learned_optimization.baselines.plots.axes import (
    finish,
    line_options,
    new_axes,
    set_log_ticks,
    set_title,
)
from learned_optimization.baselines.plots.labels import Labels, short_labels
from learned_optimization.baselines.plots.legends import Entry, add_legend, name_lines
from learned_optimization.baselines.plots.styles import styles

FEWEST_TASKS = 3
"""A profile over fewer has no more than two steps: its shape says nothing."""

_COST = "updates to the target, over those of the fastest set"


def plot_profile(
    task_names: Sequence[str],
    set_names: Sequence[str],
    reference: str | None = None,
    ax: Axes | None = None,
    legend: bool = True,
    select: str = "outer_valid",
    split: str = "test",
    on_left_out: OnLeftOut | None = None,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw performance profiles: on which share of tasks a set is how fast.

    A set's cost on a task is the median number of updates until 99% of what the
    reference improves (`analysis.scores.target_of`), over that of the fastest set
    (Dolan & More 2002). With fewer than three tasks a profile is a step or two: then
    the costs themselves are drawn, a point per set and task, and the title says so.

    Args:
      task_names: tasks.
      set_names: sets archived on all of them.
      reference: the set whose loss is the target; Adam's if None.
      ax: axes to draw on; new ones if None.
      legend: whether to name the lines, with the area under each profile.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      on_left_out: told of each set and task that cannot be drawn, while the others
        are; where it is None, that is an error.
      labels: names of sets; short ones (`plots.labels`) by default.

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
    short = short_labels(set_names, labels)
    target = (
        f"target: {compared.target_share:.0%} of the improvement of "
        f"{short.of.get(compared.reference, compared.reference)}"
        + (f" ({short.pattern})" if short.pattern else "")
    )
    if len(compared.over_tasks.timed) < FEWEST_TASKS:
        _draw_costs(ax, compared, set_names, short, legend)
        count = len(compared.over_tasks.timed)
        target += (
            f"\na profile needs {FEWEST_TASKS} tasks and {count} "
            f"{'has' if count == 1 else 'have'} a target: the costs themselves"
        )
    else:
        target += "\nbehind each name: the area under its profile" if legend else ""
        _draw_profiles(ax, compared, set_names, short, legend)
    set_title(ax, target, "medium")
    return ax


def _draw_profiles(
    ax: Axes, compared: Verdict, set_names: Sequence[str], short: Labels, legend: bool
) -> None:
    look = styles(set_names)
    taus = np.geomspace(1.0, MAX_RATIO, 400)
    shares = stats.performance_profile(compared.ratios, taus)
    entries = []
    for overall, share in zip(compared.overall, shares, strict=True):
        name, area = overall.set_name, f"{overall.profile_score:.3f}"
        options = line_options(look[name])
        label = f"{name}: {area}"
        [line] = ax.step(taus, share, where="post", label=label, **options)
        entries.append((overall.profile_score, Entry(line, short.of[name], area)))
    set_log_ticks(ax, [1.0, 1.5, 2.0, 3.0, 4.0])
    ax.set_xlim(1.0, MAX_RATIO)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel(_COST)
    ax.set_ylabel(f"share of {len(compared.over_tasks.timed)} tasks")
    finish(ax)
    if legend:
        entries.sort(key=lambda pair: -pair[0])
        named = [Entry(e.line, f"{e.text}: {e.longer}") for _, e in entries]
        name_lines(ax, named)


def _draw_costs(
    ax: Axes, compared: Verdict, set_names: Sequence[str], short: Labels, legend: bool
) -> None:
    """Draw a row per set, the fastest above, with a point per task."""
    look = styles(set_names)
    tasks = compared.over_tasks.timed
    costs = np.where(np.isfinite(compared.ratios), compared.ratios, np.inf)
    order = np.argsort(np.minimum(costs, MAX_RATIO**2).mean(axis=1), kind="stable")
    known = costs[np.isfinite(costs)]
    most = max(1.25, 1.15 * float(known.max())) if known.size else MAX_RATIO
    for row, index in enumerate(order):
        color = look[compared.overall[index].set_name].color
        for marker, cost in zip("os", costs[index], strict=False):
            # A set that never gets there is at the end of the axis, as an arrow.
            never = not np.isfinite(cost)
            ax.plot(
                most if never else cost,
                row,
                linestyle="none",
                marker=">" if never else marker,
                color=color,
                fillstyle="none" if never else "full",
                clip_on=False,
            )
    names = [compared.overall[index].set_name for index in order]
    ax.set_yticks(range(len(names)), [short.of[name] for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xscale("log")
    ticks = (1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000, 10_000)
    set_log_ticks(ax, [tick for tick in ticks if tick <= most])
    ax.set_xlim(0.97, most)
    ax.set_xlabel(_COST + (" (arrow: never)" if np.isinf(costs).any() else ""))
    finish(ax)
    if legend and len(tasks) > 1:
        lines = [
            ax.plot([], [], linestyle="none", marker=marker, color="0.35")[0]
            for marker in "os"
        ]
        entries = [Entry(*pair) for pair in zip(lines, tasks, strict=True)]
        add_legend(ax, entries)
