"""What the page's charts draw, as data that JSON holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import Comparison
from learned_optimization.baselines.analysis.costs import seconds_over_tasks
from learned_optimization.baselines.analysis.overall import (
    FEWEST_TASKS_OF_PROFILE,
    MAX_RATIO,
)
from learned_optimization.baselines.analysis.searches import (
    column,
    is_logarithmic,
    telling_pair,
)
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.smoothing import (
    kept_points,
    mean_and_error,
    smooth,
    spacings,
    thinned_band,
)
from learned_optimization.baselines.analysis.standings import TaskVerdict
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.eval_training import EVAL_SPLITS

SMOOTHING = (0.0, 0.9)
"""Decays per evaluation that curves can be looked at with."""

# Together with plotly, sixteen sets on five tasks have to stay below 3 MB.
_BINS = {0.0: 90, 0.9: 45}
_BINS_OF_BANDS = 45
_DIGITS = 4


def content(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> dict[str, Any]:
    """Return everything the charts draw.

    Args:
      results: for each task one result per set.
      verdict: the verdict on them.

    Returns:
      `sets`: name to label, colour and dash; `tasks`: for each task its target, sets
      and forest; `profile`: the performance profile of each set over tasks, in updates,
      and `profile_seconds` the same in seconds, where their costs were measured on at
      least `FEWEST_TASKS_OF_PROFILE` tasks, None if not; `scores`:
      intervals of each set over tasks; `forest`: how much worse each set is than the
      best other one, of all tasks, in the order of the table, None where there are no
      two sets. What is left out of a task is its `left_out`, in
      sentences; there is no profile where no task has a target. Numbers have four
      digits; what is not finite is null.
    """
    names = list(verdict.set_names)
    both = list(zip(verdict.tasks, results, strict=True))
    look, labels = styles(names), short_labels(names).of
    names_in_order = [o.set_name for o in verdict.overall]
    in_seconds = seconds_over_tasks(results, verdict)
    of_tasks = [_forest_of_task(task, row[0].report) for task, row in both]
    return {
        "sets": {
            name: {
                "label": labels[name],
                "color": look[name].color,
                "dash": look[name].dash,
            }
            for name in names
        },
        "splits": list(EVAL_SPLITS),
        "smoothing": list(SMOOTHING),
        "report": results[0][0].report,
        "tasks": [
            {
                "name": row[0].task_name,
                "target": number(task.target),
                "order": [standing.set_name for standing in task.standings],
                "sets": {result.set_name: _of_set(result) for result in row},
                "forest": forest,
                "left_out": [
                    str(left)
                    for left in verdict.left_out
                    if left.task_name == task.task_name
                ],
            }
            for (task, row), forest in zip(both, of_tasks, strict=True)
        ],
        "forest": of_tasks[0] if len(of_tasks) == 1 else _forest_over_tasks(verdict),
        "profile": _profile(names_in_order, verdict.ratios)
        if verdict.over_tasks.timed
        else None,
        "profile_seconds": _profile(names_in_order, in_seconds.ratios)
        if len(in_seconds.task_names) >= FEWEST_TASKS_OF_PROFILE
        else None,
        "scores": [
            {
                "set": o.set_name,
                "score": numbers([o.score.estimate, o.score.low, o.score.high]),
            }
            for o in verdict.overall
        ],
    }


def _forest_of_task(task: TaskVerdict, report: str) -> dict[str, Any] | None:
    if task.comparison is None:
        return None
    return _forest(
        f"{report} loss above that of the best other set",
        task.comparison,
        [(s.set_name, s.difference, s.is_out) for s in task.standings if s.has_loss],
    )


def _forest_over_tasks(verdict: Verdict) -> dict[str, Any] | None:
    comparison = verdict.over_tasks.comparison
    if comparison is None:
        return None
    return _forest(
        "score below that of the best other set",
        comparison,
        [(o.set_name, o.difference, o.is_out) for o in verdict.overall],
    )


def _forest(
    axis: str,
    comparison: Comparison,
    sets: Sequence[tuple[str, stats.Interval, bool]],
) -> dict[str, Any]:
    return {
        "axis": axis,
        "tolerance": number(comparison.look.tolerance) or None,
        "rows": [
            {
                "set": name,
                "difference": number(difference.estimate),
                "low": number(difference.low),
                "high": number(difference.high),
                "is_out": is_out,
            }
            for name, difference, is_out in sets
        ],
    }


def number(value: float) -> float | None:
    """Return a number with four digits; None if it is not finite."""
    value = float(value)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def numbers(values: Any) -> list[float | None]:
    """Return numbers as `number` has them."""
    return [number(value) for value in values]


def _of_set(result: SetResult) -> dict[str, Any]:
    tuning = result.tuning
    return {
        "config": result.best.opt_name,
        "curves": {
            split: [_curve(result, split, ema) for ema in SMOOTHING]
            for split in EVAL_SPLITS
        },
        "sensitivity": _sensitivity(result),
        "search": _search(result),
        "tuning": {
            "steps": result.num_steps,
            "k": [int(k) for k in tuning.ks],
            "loss": numbers(tuning.expected),
            "low": numbers(tuning.low),
            "high": numbers(tuning.high),
        },
    }


def _curve(result: SetResult, split: str, ema: float) -> dict[str, Any]:
    """Return the mean over seeds, and a standard error to both sides, thinned."""
    xs = result.curves.xs
    mean, error = mean_and_error(smooth(result.best_curves(split), ema, spacings(xs)))
    # A curve ends where it diverges, and so does its band.
    finite = np.flatnonzero(np.isfinite(mean))
    end = int(finite[-1]) + 1 if finite.size else 1
    xs, mean, error = xs[:end], mean[:end], error[:end]
    kept = kept_points(xs, mean, _BINS[ema])
    band_xs, low, high = thinned_band(xs, mean - error, mean + error, _BINS_OF_BANDS)
    return {
        "x": xs[kept].tolist(),
        "y": numbers(mean[kept]),
        "bx": np.asarray(band_xs).tolist(),
        "lo": numbers(low),
        "hi": numbers(high),
    }


def _sensitivity(result: SetResult) -> dict[str, Any] | None:
    over_rates = result.final_over_rates()
    if over_rates is None:
        return None
    rates, final = over_rates
    return {
        "lr": [float(rate) for rate in rates],
        "loss": numbers(final.mean(axis=1)),
        "low": numbers(final.min(axis=1)),
        "high": numbers(final.max(axis=1)),
    }


def _search(result: SetResult) -> dict[str, Any] | None:
    """Return the losses over two hyper-parameters, where a set varies more than one."""
    hparams = result.curves.hparams
    if len(hparams.varied()) < 2:
        return None
    losses = stats.mark_diverged(result.final).mean(axis=1)
    where = f"{result.set_name} on {result.task_name}"
    axes = []
    for name in telling_pair(hparams, losses, where):
        values = column(hparams, name)
        axes.append(
            {
                "name": name.rpartition(".")[2].replace("_", " "),
                "values": numbers(values),
                "log": is_logarithmic(values),
            }
        )
    return {
        "across": axes[0],
        "up": axes[1],
        "loss": numbers(losses),
        "best": None if result.best.all_diverged else int(result.best.index),
    }


def _profile(set_names: Sequence[str], ratios: np.ndarray) -> dict[str, Any]:
    ratios = np.where(np.isfinite(ratios), ratios, np.inf)
    taus = np.unique(np.clip(ratios[ratios <= MAX_RATIO], 1.0, MAX_RATIO))
    taus = np.unique([1.0, *taus, MAX_RATIO])
    shares = stats.performance_profile(ratios, taus)
    return {
        "tau": numbers(taus),
        "share": {
            name: numbers(row) for name, row in zip(set_names, shares, strict=True)
        },
    }
