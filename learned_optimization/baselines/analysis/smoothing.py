"""Smoothing of curves, and thinning them without hiding what they do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learned_optimization.errors import LoptError


def spacings(xs: np.ndarray) -> np.ndarray:
    """Return distances of evaluations over the least of them: 1 of a whole archive.

    Args:
      xs: rising numbers `[num_evals]`.

    Returns:
      Int64 `[num_evals - 1]`, at least 1.
    """
    distances = np.diff(np.asarray(xs, np.float64))
    if not distances.size:
        return np.empty(0, np.int64)
    return np.round(distances / distances.min()).astype(np.int64)


def decaying(
    values: np.ndarray, ema: float, start: np.ndarray, gaps: np.ndarray | None = None
) -> np.ndarray:
    """Return averages of curves that decay with evaluations.

    What a thin archive lacks lies on straight lines between what it has: averages then
    reach as far back as those of a whole archive, and lag as much behind a curve that
    falls.

    Args:
      values: float64 `[num_evals, ...]`, NaN where there is no curve.
      ema: decay per evaluation, in [0, 1).
      start: float64 `[...]`, the average at the first evaluation.
      gaps: int `[num_evals - 1]`, of `spacings`. Evenly spaced if None.

    Returns:
      Float64 `[num_evals, ...]`.
    """
    gaps = np.ones(len(values) - 1) if gaps is None else np.asarray(gaps, np.float64)
    kept = ema**gaps
    # The sum of `(1 - ema) * ema**(gap - j) * j / gap` over the places j of a line: the
    # weight of its end. That of its beginning is what is left.
    ends = 1.0 - ema * (1.0 - kept) / (gaps * (1.0 - ema))
    is_next = gaps == 1
    ends = np.where(is_next, 1.0 - ema, ends)
    begins = np.where(is_next, 0.0, 1.0 - kept - ends)
    averages = np.empty_like(values)
    averages[0] = start
    for i in range(len(gaps)):
        averages[i + 1] = ends[i] * values[i + 1] + kept[i] * averages[i]
        if not is_next[i]:
            averages[i + 1] += begins[i] * values[i]
    return averages


def smooth(
    values: np.ndarray, ema: float, gaps: np.ndarray | None = None
) -> np.ndarray:
    """Return the exponential moving average over the last axis, corrected at its start.

    Non-finite values make all later ones NaN: a diverged run stays diverged.

    Args:
      values: float `[..., num_evals]`.
      ema: decay per evaluation, in [0, 1); 0 leaves the values as they are.
      gaps: int `[num_evals - 1]`, of `spacings`; see `decaying`.

    Returns:
      Float64 array of the same shape.

    Raises:
      LoptError: if `ema` is outside [0, 1).
    """
    if not 0.0 <= ema < 1.0:
        raise LoptError(f"ema must be at least 0 and below 1, got {ema!r}.")
    # The sum of two losses may be more than float32 holds.
    values = np.asarray(values, np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    # One row per evaluation, so that each step is of numbers side by side.
    rows = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    total = decaying(rows, ema, (1.0 - ema) * rows[0], gaps)
    steps = np.ones(len(rows) - 1) if gaps is None else np.asarray(gaps, np.float64)
    weights = 1.0 - ema ** np.cumsum([1.0, *steps])
    return np.moveaxis(total, 0, -1) / weights


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over the first axis and its standard error, 0 of one value.

    Args:
      values: float `[num_seeds, ...]`.
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    spread = values.std(axis=0, ddof=1 if count > 1 else 0)
    return values.mean(axis=0), spread / np.sqrt(count)


def kept_points(xs: np.ndarray, values: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the points of a curve to keep, so that the thinned one looks the same.

    The axis is cut into bins, half of them of equal width and half of equal ratio,
    so that it holds on linear and on logarithmic axes. Of each bin the points that
    are lowest and highest are kept, the first and the last point too: the curve's
    envelope stays, spikes included.

    Args:
      xs: rising numbers `[num_points]`, not negative.
      values: float `[num_points]`; NaN where there is no curve.
      num_bins: number of bins; at most about twice as many points are kept.

    Returns:
      Rising indices of the points kept.

    Raises:
      LoptError: if there are fewer than two bins.
    """
    if num_bins < 2:
        raise LoptError(f"thinning needs at least 2 bins, got {num_bins!r}.")
    if len(xs) <= 2 * num_bins:
        return np.arange(len(xs))
    kept = {0, len(xs) - 1}
    for start, end in _bins(xs, num_bins):
        inside = values[start:end]
        finite = np.flatnonzero(np.isfinite(inside))
        # Where a curve ends or begins is part of its shape.
        kept |= {start, end - 1} if 0 < finite.size < inside.size else set()
        if finite.size:
            kept.add(start + int(finite[np.argmin(inside[finite])]))
            kept.add(start + int(finite[np.argmax(inside[finite])]))
    return np.asarray(sorted(kept))


def thinned_band(
    xs: np.ndarray, low: np.ndarray, high: np.ndarray, num_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a band with fewer points, nowhere narrower than the whole one.

    Args:
      xs: as in `kept_points`.
      low: float `[num_points]`, its lower border.
      high: float `[num_points]`, its upper border.
      num_bins: as in `kept_points`.

    Returns:
      Points of the axis, and for each the lowest and highest border of the bins on
      both sides of it.
    """
    if len(xs) <= num_bins:
        return xs, low, high
    bins = _bins(xs, num_bins)
    lows = [_finite(np.min, low[a:b]) for a, b in bins]
    highs = [_finite(np.max, high[a:b]) for a, b in bins]
    borders = np.asarray([*(xs[a] for a, _ in bins), xs[-1]])
    lows, highs = np.asarray(lows), np.asarray(highs)
    return (
        borders,
        np.fmin(np.append(lows, np.nan), np.append(np.nan, lows)),
        np.fmax(np.append(highs, np.nan), np.append(np.nan, highs)),
    )


def _finite(extreme: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(extreme(finite)) if finite.size else float("nan")


def _bins(xs: np.ndarray, num_bins: int) -> list[tuple[int, int]]:
    first = max(float(xs[xs > 0].min()), 1e-12) if (xs > 0).any() else 1.0
    half = num_bins // 2
    last = float(xs[-1])
    cuts = np.union1d(
        np.linspace(float(xs[0]), last, num_bins - half + 1),
        np.geomspace(first, max(last, first), half + 1),
    )
    places = np.unique(np.searchsorted(xs, cuts[1:-1], side="left"))
    places = places[(places > 0) & (places < len(xs))]
    return list(zip([0, *places], [*places, len(xs)], strict=True))
