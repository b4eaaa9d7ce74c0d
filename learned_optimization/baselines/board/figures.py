"""The board's figures: scores with intervals, scores on every task, curves."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from learned_optimization.baselines.analysis.scores import scores
from learned_optimization.baselines.board.groups import TITLES, Group, Line
from learned_optimization.baselines.board.longer import Longer
from learned_optimization.baselines.plots.axes import finish, set_title
from learned_optimization.baselines.plots.figures import plot_many_tasks
from learned_optimization.baselines.plots.saving import look
from learned_optimization.baselines.plots.styles import COLORS

_BEST, _OUT = COLORS[0], "#8A8F98"
_LINE_HEIGHT = 0.23
_MOST_LOST = 0.12
"""By how much a score falls short of the best, at most, to be drawn where it is."""


def ranking(groups: Sequence[Group], most: int | None = None) -> Figure:
    """Draw the score of every set with its interval, a panel for each group.

    Args:
      groups: the groups.
      most: sets of each group that are drawn, the first ones; all by default. The
        reference is drawn in any case.
    """
    shown = [_first(group, most) for group in groups]
    heights = [len(lines) + 2.2 for lines in shown]
    size = (7.2, _LINE_HEIGHT * sum(heights) + 0.6)
    with mpl.rc_context(look(size)):
        fig, grid = plt.subplots(
            len(groups),
            1,
            figsize=size,
            squeeze=False,
            sharex=True,
            layout="constrained",
            gridspec_kw={"height_ratios": heights},
        )
        best = max(line.overall.score.estimate for g in groups for line in g.lines)
        for group, lines, ax in zip(groups, shown, grid[:, 0], strict=True):
            _draw_group(ax, group, lines, best - _MOST_LOST)
        grid[-1, 0].set_xlabel(
            f"score: share of the improvement of {groups[0].verdict.reference}"
        )
        return fig


def _first(group: Group, most: int | None) -> list[Line]:
    """Return the first lines of a group, and the reference."""
    reference = group.verdict.reference
    return [
        line
        for line in group.lines
        if most is None or line.place <= most or line.set_name == reference
    ]


def _draw_group(ax: Axes, group: Group, lines: Sequence[Line], least: float) -> None:
    is_part = len(lines) < len(group.lines)
    _begin_rows(
        ax,
        [f"{line.place}  {line.label}" if is_part else line.label for line in lines],
    )
    for at, line in enumerate(lines):
        _draw_line(ax, at, line, least)
    for text, line in zip(ax.get_yticklabels(), lines, strict=True):
        text.set_color("#111827" if line.keeps_up else "#6B7280")
    of = f", {len(lines)} of {len(group.lines)}" if is_part else ""
    ax.set_title(
        f"{TITLES[group.name]}{of} (blue: keeps up with the first, pair by pair)",
        loc="left",
        fontsize="medium",
    )


def _begin_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Make axes of scores with a row for each label, the first on top."""
    ax.axvline(1.0, color="#C0C4CC", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    finish(ax)
    ax.grid(visible=False, axis="y")


def _draw_line(ax: Axes, at: int, line: Line, least: float) -> None:
    color = _BEST if line.keeps_up else _OUT
    score = line.overall.score
    if score.estimate < least:
        ax.plot([least], [at], marker="<", color=color, markersize=5, clip_on=False)
        ax.annotate(
            f"{score.estimate:.2f}",
            (least, at),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
            color=color,
        )
        return
    if np.isfinite(score.low):
        ends = [max(score.low, least), score.high]
        ax.plot(ends, [at, at], color=color, linewidth=1.6, solid_capstyle="round")
        if score.low < least:
            # It goes on beyond the axes.
            ax.plot([least], [at], marker=4, color=color, markersize=4, clip_on=False)
    ax.plot([score.estimate], [at], marker="o", color=color, markersize=5)


def longer_runs(longer: Longer) -> Figure:
    """Draw the scores of optimizers after few updates and after many.

    Args:
      longer: the optimizers.
    """
    size = (7.2, _LINE_HEIGHT * (len(longer.pairs) + 3) + 0.6)
    scores_of = [[line.overall.score.estimate for line in p] for p in longer.pairs]
    with mpl.rc_context(look(size)):
        fig, ax = plt.subplots(figsize=size, layout="constrained")
        _begin_rows(ax, [long.label for _, long in longer.pairs])
        for at, ends in enumerate(scores_of):
            ax.plot(ends, [at, at], color="#D1D5DB", linewidth=1.6, zorder=1)
        drawn = zip((_OUT, _BEST), longer.lengths, strict=True)
        for which, (color, steps) in enumerate(drawn):
            ax.scatter(
                [of_both[which] for of_both in scores_of],
                range(len(scores_of)),
                s=26,
                color=color,
                label=f"after {steps:,} updates",
                zorder=2 + which,
            )
        ax.set_xlabel("score: share of the improvement of Adam after as many updates")
        fig.legend(loc="outside upper left", ncols=2, frameon=False)
        return fig


def on_tasks(groups: Sequence[Group]) -> Figure:
    """Draw the mean score of every set on every task, as a table of colours.

    Args:
      groups: the groups, all on the same tasks.
    """
    lines = [(group, line) for group in groups for line in group.lines]
    tasks = [row[0].task_name for row in groups[0].results]
    values = np.asarray([_scores_on_tasks(group, line) for group, line in lines])
    size = (0.62 * len(tasks) + 2.6, _LINE_HEIGHT * len(lines) + 2.6)
    with mpl.rc_context(look((7.2, size[1]))):
        fig, ax = plt.subplots(figsize=size, layout="constrained")
        norm = TwoSlopeNorm(vcenter=1.0, vmin=0.5, vmax=1.15)
        shown = np.clip(values, 0.5, 1.15)
        ax.imshow(shown, cmap="RdBu", norm=norm, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            is_dark = not 0.72 < shown[row, column] < 1.1
            ax.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if is_dark else "#111827",
            )
        ax.set_xticks(
            range(len(tasks)), tasks, rotation=38, ha="left", rotation_mode="anchor"
        )
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(lines)), [line.label for _, line in lines])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ends = np.cumsum([len(group.lines) for group in groups])[:-1]
        for end in ends:
            ax.axhline(end - 0.5, color="white", linewidth=4)
        return fig


def _scores_on_tasks(group: Group, line: Line) -> list[float]:
    reference = group.verdict.reference
    found = scores(group.results, line.set_name, reference)
    return [float(of_task.mean()) for of_task in found]


def curves(groups: Sequence[Group]) -> Figure:
    """Draw the test loss of the first two of each group, and of the reference.

    Args:
      groups: the groups.
    """
    names = [groups[0].verdict.reference]
    names += [line.set_name for group in groups for line in group.lines[:2]]
    tasks = [row[0].task_name for row in groups[0].results]
    labels = {line.set_name: line.label for group in groups for line in group.lines}
    chosen = list(dict.fromkeys(names))
    columns = 3 if len(tasks) > 4 else 2
    rows = -(-len(tasks) // columns)
    size = (9.6, 2.5 * rows + 0.5)
    with mpl.rc_context(look(size)):
        fig = plot_many_tasks(
            tasks,
            chosen,
            num_columns=columns,
            labels={name: labels[name] for name in chosen},
            split="test",
            size=size,
            alpha_on_confidence=0.12,
            confidence_alpha=0.0,
        )
        for ax, task in zip(fig.axes, tasks, strict=False):
            set_title(ax, task, "small")
        for at, ax in enumerate(fig.axes[: len(tasks)]):
            ax.set_ylabel("test loss" if at % columns == 0 else "")
            ax.set_xlabel("updates" if at + columns >= len(tasks) else "")
        return fig
