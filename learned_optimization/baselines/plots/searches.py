"""The final loss over two hyper-parameters at once, of a search or a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    check_eval_split,
    load_final_losses,
)
from learned_optimization.baselines.analysis.rates import rate_line
from learned_optimization.baselines.analysis.searches import (
    column,
    is_logarithmic,
    telling_pair,
)
from learned_optimization.baselines.plots.axes import finish, new_axes, set_title
from learned_optimization.errors import LoptError

_COLORS = "viridis"


def has_search(task_name: str, set_name: str) -> bool:
    """Return whether an archived set varies at least two numbers.

    Raises:
      ResultError: if it is not archived, or cannot be read.
    """
    return len(load_final_losses(task_name, set_name).hparams.varied()) > 1


def has_rate_line(task_name: str, set_name: str) -> bool:
    """Return whether `plot_sensitivity` has a line to draw of an archived set.

    Raises:
      ResultError: if it is not archived, or cannot be read.
    """
    ends = load_final_losses(task_name, set_name)
    return rate_line(ends.hparams, best_of_set(ends).index)[0] is not None


def plot_search(
    task_name: str,
    set_name: str,
    ax: Axes | None = None,
    hparams: Sequence[str] | None = None,
    select: str = "outer_valid",
    split: str = "test",
    label: str | None = None,
) -> Axes:
    """Draw the final loss of each configuration over two hyper-parameters, as a colour.

    A set that tried every pair of values once is a heat map, any other a scatter of
    its configurations. The colours reach from the best to the median: what is worse
    has the last colour. A configuration with a diverged seed is a cross, the best one
    a star.

    Args:
      task_name: the task.
      set_name: an archived set that varies at least two numbers.
      ax: axes to draw on; new ones if None.
      hparams: the two, across and up; by default the learning rate, where one varies,
        and that of the others whose values tell most about the loss.
      select: split whose loss selects the best.
      split: split whose loss is drawn.
      label: name of the set in the title; its own if None.

    Raises:
      LoptError: if fewer than two numbers vary, or other than two are named.
      ResultError: if the set is not archived on the task, or no loss is finite.
      UnknownNameError: if a split or a hyper-parameter is unknown.
    """
    check_eval_split(split)
    check_eval_split(select)
    ends = load_final_losses(task_name, set_name)
    losses = stats.mark_diverged(ends.losses[split]).mean(axis=1)
    finite = np.isfinite(losses)
    across, up = telling_pair(
        ends.hparams, losses, f"{set_name} on {task_name}", hparams
    )
    xs, ys = (column(ends.hparams, name) for name in (across, up))
    if not finite.any():
        raise LoptError(f"no loss of {set_name} on {task_name} is finite.")
    ax = new_axes() if ax is None else ax
    _draw_losses(ax, xs, ys, losses, f"final {split} loss")
    best = best_of_set(ends, select)
    star = {"marker": "*", "linestyle": "none", "markersize": 13, "color": "white"}
    if not best.all_diverged:
        at = [xs[best.index]], [ys[best.index]]
        ax.plot(*at, markeredgecolor="black", markeredgewidth=1.0, zorder=4, **star)
    ax.set_xlabel(_plain(across))
    ax.set_ylabel(_plain(up))
    crosses = int((~finite).sum())
    of = f", {crosses} diverged (\N{MULTIPLICATION SIGN})" if crosses else ""
    set_title(ax, f"{task_name}\n{label or set_name}: {len(losses)} configurations{of}")
    finish(ax)
    ax.grid(visible=False)
    return ax


def _plain(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")


def _draw_losses(
    ax: Axes, xs: np.ndarray, ys: np.ndarray, losses: np.ndarray, label: str
) -> None:
    finite = np.isfinite(losses)
    low, high = float(losses[finite].min()), float(np.median(losses[finite]))
    norm = Normalize(low, high if high > low else low + 1e-9)
    logarithmic = [is_logarithmic(values) for values in (xs, ys)]
    for axis, is_log in zip("xy", logarithmic, strict=True):
        if is_log:
            ax.set(**{f"{axis}scale": "log"})
    columns, rows = np.unique(xs), np.unique(ys)
    pairs = set(zip(xs.tolist(), ys.tolist(), strict=True))
    if len(pairs) == len(losses) == len(columns) * len(rows):
        cells = np.full((len(rows), len(columns)), np.nan)
        at = np.searchsorted(rows, ys), np.searchsorted(columns, xs)
        cells[at] = np.where(finite, losses, np.nan)
        edges = [
            _edges(values, is_log)
            for values, is_log in zip((columns, rows), logarithmic, strict=True)
        ]
        drawn = ax.pcolormesh(*edges, cells, norm=norm, cmap=_COLORS, linewidth=0)
    else:
        # The best are drawn last, above the others.
        order = np.argsort(-losses[finite])
        drawn = ax.scatter(
            *(values[finite][order] for values in (xs, ys)),
            c=losses[finite][order],
            norm=norm,
            cmap=_COLORS,
            s=36,
            edgecolors="0.3",
            linewidths=0.4,
        )
    ax.plot(xs[~finite], ys[~finite], "x", color="0.35", markersize=5)
    extend = "max" if losses[finite].max() > high else "neither"
    figure = ax.figure
    figure.colorbar(drawn, ax=ax, label=label, extend=extend, pad=0.02, fraction=0.08)


def _edges(values: np.ndarray, is_log: bool) -> np.ndarray:
    """Return the borders of cells around sorted values, midway between them."""
    at = np.log(values) if is_log else values
    inner = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - inner[0]], inner, [2 * at[-1] - inner[-1]]])
    return np.exp(edges) if is_log else edges
