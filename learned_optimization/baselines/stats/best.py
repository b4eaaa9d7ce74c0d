"""Which methods may be the best: a confidence set, on few seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.baselines.stats.resampling import Interval
from learned_optimization.errors import LoptError


def mean_interval(
    losses: ArrayLike, level: float = 0.95, *, nested: bool = False
) -> Interval:
    """Return Student's interval of a mean over seeds.

    Args:
      losses: `[seeds]`, finite.
      level: nominal probability that the interval covers the true mean.
      nested: they are `NestedSelection.report`. All but one of the seeds that choose
        are the same for any two of them, so they are not independent, and their
        spread says less than it seems. The variance of the mean is then taken to be
        `1/n + 1/(n - 1)` of theirs instead of `1/n`: Nadeau & Bengio 2003, "Inference
        for the Generalization Error", Machine Learning 52.

    Returns:
      The interval; its ends are NaN for a single seed.

    Raises:
      LoptError: on NaN or infinite losses.
    """
    check_between("level", level, 0, 1)
    losses = checked_array("losses", losses, "[seeds]")
    mean, count = float(losses.mean()), len(losses)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), level)
    half = float(special.stdtrit(count - 1, (1 + level) / 2)) * np.sqrt(
        losses.var(ddof=1) * _share_of_variance(count, nested)
    )
    return Interval(mean, mean - float(half), mean + float(half), level)


def p_value_of_worse(
    losses: ArrayLike, others: ArrayLike, *, paired: bool, nested: bool = False
) -> float:
    """Return how likely losses would be so much above others by chance alone.

    One-sided: Student's test of the differences seed by seed, or Welch's test.

    Args:
      losses: `[seeds]`, finite.
      others: `[seeds]`, finite.
      paired: whether entry i of both is of the same seed.
      nested: as in `mean_interval`.

    Returns:
      The p-value: small where `losses` are higher; NaN for a single seed.

    Raises:
      LoptError: on NaN or infinite losses, or paired ones of different numbers.
    """
    a = checked_array("losses", losses, "[seeds]")
    b = checked_array("others", others, "[seeds]")
    if paired and len(a) != len(b):
        raise LoptError(
            f"paired losses must be of the same seeds, got {len(a)} and {len(b)}."
        )
    if min(len(a), len(b)) < 2:
        return float("nan")
    difference = float(a.mean() - b.mean())
    if paired:
        variance = (a - b).var(ddof=1) * _share_of_variance(len(a), nested)
        freedom = len(a) - 1
    else:
        parts = [x.var(ddof=1) * _share_of_variance(len(x), nested) for x in (a, b)]
        variance = sum(parts)
        weights = [p**2 / (len(x) - 1) for p, x in zip(parts, (a, b), strict=True)]
        freedom = variance**2 / sum(weights) if variance else 1.0
    if not variance:
        return 0.0 if difference > 0 else 1.0
    return float(special.stdtr(freedom, -difference / np.sqrt(variance)))


def p_values_of_being_best(p_values: ArrayLike) -> np.ndarray:
    """Return which methods may be the best one.

    A method is ruled out where any other is better beyond chance. The best one is
    ruled out only by mistake, in one of at most k - 1 comparisons: those that are not
    ruled out at 0.05, each p-value being `k - 1` times the smallest of its row, hold
    the best method with a probability of at least 95%, however many there are and
    whichever looks best (Gupta 1965, "On some multiple decision (selection and
    ranking) rules", Technometrics 7; Hsu 1996, "Multiple Comparisons", chapter 4).
    Nothing is said of the order of the others.

    Args:
      p_values: `[methods, methods]`, row i column j: `p_value_of_worse` of i against
        j; NaN where unknown, and on the diagonal, which is not looked at.

    Returns:
      float64 `[methods]`, at most 1; NaN where nothing is known of a method.

    Raises:
      LoptError: if there is no square of p-values.
    """
    p_values = np.asarray(p_values, np.float64)
    if p_values.ndim != 2 or p_values.shape[0] != p_values.shape[1]:
        raise LoptError(
            f"p-values must be [methods, methods], got shape {p_values.shape}."
        )
    rows = p_values.copy()
    np.fill_diagonal(rows, np.nan)
    known = ~np.isnan(rows)
    smallest = np.where(known, rows, 1.0).min(axis=1, initial=1.0)
    bounded = np.minimum(smallest * known.sum(axis=1), 1.0)
    return np.where(known.any(axis=1), bounded, np.nan)


def _share_of_variance(count: int, nested: bool) -> float:
    return 1 / count + (1 / (count - 1) if nested else 0.0)
