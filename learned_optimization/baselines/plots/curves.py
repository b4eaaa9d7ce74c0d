"""Figures that compare sets: the best configuration of each, over training."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from learned_optimization.baselines.analysis import best_of_set as _best_of_set
from learned_optimization.baselines.analysis.best_of_set import (
    BestOfSet,
    Curves,
    best_of_set,
    check_eval_split,
)
from learned_optimization.baselines.analysis.left_out import OnLeftOut, load_some
from learned_optimization.baselines.analysis.smoothing import mean_and_error, smooth
from learned_optimization.baselines.plots.axes import (
    LARGE,
    finish,
    legend_beside,
    line_options,
    new_axes,
    set_loss_range,
)
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.errors import LoptError

BestCurve = tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]
"""Steps, and the mean over seeds, then the least and the greatest, of the losses."""


@overload
def load_curves(task: str, sets: str) -> Curves: ...


@overload
def load_curves(task: str, sets: list[str] | tuple[str, ...]) -> list[BestCurve]: ...


def load_curves(task: str, sets: str | Sequence[str]) -> Curves | list[BestCurve]:
    """Load the evaluation curves of one set, or the best curve of each of several.

    Args:
      task: the task's name.
      sets: name of an archived set, or several names.

    Returns:
      Of one set, the curves of all its trials. Of several, for each the steps int64
      `[num_evals]` and the training loss of its best configuration, float
      `[num_evals]`: mean over seeds, and (least, greatest). The best has the lowest
      mean of the last training loss; NaN is the worst.

    Raises:
      ResultError: if a set is not archived for the task.
    """
    if isinstance(sets, str):
        return _best_of_set.load_curves(task, sets)
    return [_best_curve(_best_of_set.load_curves(task, name)) for name in sets]


def _best_curve(curves: Curves) -> BestCurve:
    losses = np.asarray(curves.losses["train"], np.float64)
    last = losses[:, :, -1].mean(axis=1)
    best = losses[np.where(np.isnan(last), np.inf, last).argmin()]
    return curves.xs, best.mean(axis=0), (best.min(axis=0), best.max(axis=0))


def plot_tasks_and_sets(
    task: str,
    opt_sets: Sequence[str],
    ax: Axes | None = None,
    alpha_on_confidence: float = 0.1,
    confidence_alpha: float = 1.0,
    ema: float = 0.9,
    initial_shift: int = 500,
    legend: bool = True,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    colors: Mapping[str, Any] | Sequence[Any] | None = None,
    always_include_first_opt: bool = False,
    split: str = "test",
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> Axes:
    """Plot the best configuration of each set on one task.

    The best configuration is the one with the lowest final loss on `select`,
    averaged over seeds. Its curve is the mean over seeds of the smoothed loss
    on `split`.

    Args:
      task: the task's name.
      opt_sets: names of archived sets.
      ax: axes to draw on; new ones if None.
      alpha_on_confidence: opacity of the band around each curve, one standard error
        over seeds to each side; 0 leaves the bands out.
      confidence_alpha: opacity of the thin lines at the edges of the bands.
      ema: smoothing per evaluation, in [0, 1).
      initial_shift: updates at the start that do not decide the range of the
        loss axis (a tenth of the run, if that is less).
      legend: whether to draw a legend, best set first.
      labels: names in the legend, by set or in the order of `opt_sets`.
      colors: colours, by set or in the order of `opt_sets`; if None every set has
        its own, the same in every figure.
      always_include_first_opt: keep the whole curve of the first set in range.
      split: split whose loss is drawn: `train`, `outer_valid` or `test`.
      select: split whose loss selects the configuration.
      on_left_out: told of each set that is archived and cannot be drawn, while the
        others are; where it is None, that is an error.

    Returns:
      The axes.

    Raises:
      ResultError: if a set is not archived for the task, or cannot be drawn, or no
        set can.
      LoptError: if a split is unknown or no set is given.
    """
    check_eval_split(split)
    check_eval_split(select)
    if not opt_sets:
        raise LoptError("plotting needs at least one set, got none.")
    load = functools.partial(_best_of_set.load_curves, task)
    loaded = load_some(task, opt_sets, load, on_left_out)
    ax = new_axes() if ax is None else ax

    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    handles: list[tuple[float, Any]] = []
    look = styles(list(opt_sets))
    for name, curves in loaded.items():
        best = best_of_set(curves, select)
        losses = smooth(curves.losses[split][best.index], ema)
        mean, error = mean_and_error(losses)
        place = list(opt_sets).index(name)
        color = _pick(colors, name, place, look[name].color)
        label = _pick(labels, name, place, _label(name, best))
        options = line_options(look[name]) | {"color": color, "label": label}
        [line] = ax.plot(curves.xs, mean, **options)
        if alpha_on_confidence > 0:
            ax.fill_between(
                curves.xs,
                mean - error,
                mean + error,
                facecolor=to_rgba(color, alpha_on_confidence),
                edgecolor=to_rgba(color, confidence_alpha),
                linewidth=0.3,
            )
        drawn.append((curves.xs, mean))
        handles.append((mean[-1] if np.isfinite(mean[-1]) else np.inf, line))

    _choose_loss_range(ax, drawn, initial_shift, always_include_first_opt)
    ax.set_xlim(0, max(xs[-1] for xs, _ in drawn))
    ax.set_xlabel("updates")
    ax.set_ylabel(f"{split} loss")
    ax.set_title(f"{task}\nbest of each set by {select} loss", fontsize=LARGE)
    finish(ax)
    if legend:
        legend_beside(ax, [line for _, line in sorted(handles, key=lambda h: h[0])])
    return ax


def _pick(given: Any, name: str, index: int, default: Any) -> Any:
    if given is None:
        return default
    if isinstance(given, Mapping):
        return given.get(name, default)
    return given[index]


def _label(set_name: str, best: BestOfSet) -> str:
    return f"{set_name}: {'all diverged' if best.all_diverged else best.opt_name}"


def _choose_loss_range(
    ax: Axes,
    drawn: Sequence[tuple[np.ndarray, np.ndarray]],
    initial_shift: int,
    always_include_first: bool,
) -> None:
    after = [mean[xs >= min(initial_shift, xs[-1] // 10)] for xs, mean in drawn]
    after = [values[np.isfinite(values)] for values in after]
    tops = [float(values.max()) for values in after if values.size]
    if not tops:
        return
    # One poor set must not flatten all others: the better half and the ones
    # near it decide.
    bottom = min(float(values.min()) for values in after if values.size)
    reach = 3.0 * (float(np.median(tops)) - bottom)
    top = max(t for t in tops if t <= bottom + reach)
    if always_include_first and after[0].size:
        top = max(top, float(after[0].max()))
    set_loss_range(ax, bottom, top, margin=0.04)
