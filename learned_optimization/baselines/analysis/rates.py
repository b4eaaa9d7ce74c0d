"""The learning rates of a set, where all else is as in its best configuration."""

from __future__ import annotations

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.hyperparameters import Hyperparameters


def rate_line(
    hparams: Hyperparameters, best: int
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return the line and the rates of a `SetResult`, if it has them.

    Args:
      hparams: hyper-parameters of each configuration.
      best: place of the best configuration.
    """
    name = hparams.learning_rate()
    if name is None:
        return None, None
    line = hparams.line(best, name)
    given = [row.get(name) for row in hparams.rows]
    # One that is a schedule, or None, is no number.
    rates = np.asarray([_as_float(value) for value in given])
    on_line = rates[line]
    if not len(np.unique(on_line)) == len(line) > 1:
        return None, None
    # On a logarithmic axis there is no other.
    if not (np.isfinite(on_line) & (on_line > 0)).all():
        return None, None
    return line, rates


def _as_float(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else float("nan")
    except OverflowError:
        return float("nan")


def sensitivity_on(
    line: np.ndarray | None, rates: np.ndarray | None, reported: np.ndarray
) -> stats.Sensitivity | None:
    """Return how wide the range of good learning rates is, if there is a line.

    Args:
      line: int64 `[num_rates]`, as `SetResult.rate_line`.
      rates: as `SetResult.learning_rates`.
      reported: float64 `[num_configs, num_seeds]`, final losses, inf if diverged.
    """
    if line is None or rates is None:
        return None
    means = reported.mean(axis=1)[line]
    if not 0 < means.min() < np.inf:
        return None
    return stats.sensitivity_width(rates[line], means)
