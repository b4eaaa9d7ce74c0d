"""Figures that compare sets: the best configuration of each, over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D

from learned_optimization.baselines.analysis import best_of_set as _best_of_set
from learned_optimization.baselines.analysis.best_of_set import (
    BestOfSet,
    Curves,
    FinalLosses,
    best_of_set,
    check_eval_split,
    comparable_ends,
)
from learned_optimization.baselines.analysis.left_out import OnLeftOut, load_some
from learned_optimization.baselines.analysis.smoothing import (
    mean_and_error,
    smooth,
    spacings,
)
from learned_optimization.baselines.plots.axes import (
    finish,
    line_options,
    new_axes,
    set_loss_range,
    set_title,
)
from learned_optimization.baselines.plots.labels import config_label, short_labels
from learned_optimization.baselines.plots.legends import Entry, add_legend, thin_curves
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
      legend: whether to draw a legend, best set first. A set is called by what tells
        its name from those of the others (`plots.labels`), and by its configuration
        where there is room.
      labels: other names in the legend, by set or in the order of `opt_sets`.
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
    ax, entries = draw_best_of_sets(
        task,
        opt_sets,
        ax,
        alpha_on_confidence,
        confidence_alpha,
        ema,
        initial_shift,
        labels,
        colors,
        always_include_first_opt,
        split,
        select,
        on_left_out,
    )
    if legend:
        add_legend(ax, entries)
    return ax


def draw_best_of_sets(
    task: str,
    opt_sets: Sequence[str],
    ax: Axes | None = None,
    alpha_on_confidence: float = 0.1,
    confidence_alpha: float = 1.0,
    ema: float = 0.9,
    initial_shift: int = 500,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    colors: Mapping[str, Any] | Sequence[Any] | None = None,
    always_include_first_opt: bool = False,
    split: str = "test",
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> tuple[Axes, list[Entry]]:
    """Draw what `plot_tasks_and_sets` does, and leave it to the caller to name lines.

    Returns:
      The axes, and the lines with their names, best set first.
    """
    check_eval_split(split)
    check_eval_split(select)
    if not opt_sets:
        raise LoptError("plotting needs at least one set, got none.")

    def load(name: str) -> tuple[Curves, FinalLosses]:
        ends = _best_of_set.load_final_losses(task, name)
        return _best_of_set.load_curves(task, name), ends

    loaded = load_some(task, opt_sets, load, on_left_out)
    ends = comparable_ends({name: of_set for name, (_, of_set) in loaded.items()})
    ax = new_axes() if ax is None else ax

    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    entries: list[tuple[float, Entry]] = []
    look = styles(list(opt_sets))
    given = _by_name(labels, opt_sets)
    short = short_labels(opt_sets, given)
    for name, (curves, _) in loaded.items():
        best = best_of_set(ends[name], select)
        losses = smooth(curves.losses[split][best.index], ema, spacings(curves.xs))
        mean, error = mean_and_error(losses)
        color = _by_name(colors, opt_sets).get(name, look[name].color)
        label = given.get(name, _label(name, best))
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
        entry = replace(
            _entry(line, short.of[name], curves, best, name in given),
            is_thin=curves.thinned is not None,
        )
        entries.append((mean[-1] if np.isfinite(mean[-1]) else np.inf, entry))

    _choose_loss_range(ax, drawn, initial_shift, always_include_first_opt)
    ax.set_xlim(0, max(xs[-1] for xs, _ in drawn))
    ax.set_xlabel("updates")
    ax.set_ylabel(f"{split} loss")
    of = f" ({short.pattern})" if short.pattern else ""
    named = [entry for _, entry in entries]
    thin = f", {said}" if (said := thin_curves(named)) else ""
    set_title(ax, f"{task}\nbest of each set{of} by {select} loss{thin}")
    finish(ax)
    return ax, [entry for _, entry in sorted(entries, key=lambda e: e[0])]


def _by_name(
    given: Mapping[str, Any] | Sequence[Any] | None, names: Sequence[str]
) -> Mapping[str, Any]:
    if isinstance(given, Mapping) or given is None:
        return given or {}
    return dict(zip(names, given, strict=False))


def _entry(
    line: Line2D, label: str, curves: Curves, best: BestOfSet, is_given: bool
) -> Entry:
    if is_given:
        return Entry(line, label)
    if best.all_diverged:
        return Entry(line, f"{label} (diverged)")
    about = config_label(curves.hparams, best.index) if curves.hparams.rows else ""
    return Entry(line, label, f"{label}: {about}" if about else "")


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
