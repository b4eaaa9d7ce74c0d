"""One number for the scores of many runs on many tasks.

Scores are `[..., runs, tasks]`, higher is better unless it is said otherwise; the
leading axes are kept, so that thousands of resamples are one call. The figures are
those of rliable: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice", NeurIPS.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.baselines.stats.checks import checked_array
from learned_optimization.errors import LoptError

_SCORES = "[..., runs, tasks]"


def mark_diverged(losses: ArrayLike) -> np.ndarray:
    """Return a float64 copy whose losses that are not finite are `+inf`, the worst.

    Only for losses, where NaN comes from a trial that diverged: NaN that means
    "never measured" has to be left out instead.
    """
    losses = np.array(losses, dtype=np.float64)
    losses[~np.isfinite(losses)] = np.inf
    return losses


def iqm(scores: ArrayLike, axis: int | tuple[int, ...] = (-2, -1)) -> np.ndarray:
    """Return the interquartile mean, of the middle half of all runs of all tasks.

    A quarter of the values, rounded down, is left out at either end. Diverged runs
    (`-inf`, or `+inf` where lower is better) are at one end: as long as they are no
    more than a quarter they weigh no more than any bad run; if they are more, the
    result is infinite.

    Args:
      scores: `[..., runs, tasks]`; infinities of one sign are allowed.
      axis: the axis or axes the mean is taken over.

    Returns:
      float64, of the axes left over.

    Raises:
      LoptError: on NaN, infinities of both signs, or too few axes.
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    kind = _SCORES if axes == (-2, -1) else "[...]"
    scores = checked_array("scores", scores, kind, infinities="either")
    try:
        last = np.moveaxis(scores, axes, range(-len(axes), 0))
    except ValueError as error:
        raise LoptError(
            f"axis must name axes of scores of shape {scores.shape}, got {axis!r}."
        ) from error
    kept = last.shape[: -len(axes)]
    flat = last.reshape(*kept, math.prod(last.shape[-len(axes) :]))
    size = flat.shape[-1]
    cut = size // 4
    middle = np.partition(flat, (cut, size - cut - 1), axis=-1)[..., cut : size - cut]
    return middle.mean(axis=-1)


def median(scores: ArrayLike) -> np.ndarray:
    """Return the median over tasks of the mean over runs.

    A task with a diverged run counts as the worst; the result is finite as long as
    fewer than half of the tasks have one.

    Args:
      scores: `[..., runs, tasks]`; infinities of one sign are allowed.

    Returns:
      float64 `[...]`.

    Raises:
      LoptError: on NaN, infinities of both signs, or too few axes.
    """
    scores = checked_array("scores", scores, _SCORES, infinities="either")
    return np.median(scores.mean(axis=-2), axis=-1)


def mean(scores: ArrayLike) -> np.ndarray:
    """Return the mean over runs and tasks; infinite if any run diverged.

    Args:
      scores: `[..., runs, tasks]`; infinities of one sign are allowed.

    Returns:
      float64 `[...]`.

    Raises:
      LoptError: on NaN, infinities of both signs, or too few axes.
    """
    scores = checked_array("scores", scores, _SCORES, infinities="either")
    return scores.mean(axis=(-2, -1))


def optimality_gap(scores: ArrayLike, target: float = 1.0) -> np.ndarray:
    """Return how far scores stay below a target, on average; lower is better.

    The mean over runs and tasks of `max(target - score, 0)`: what exceeds the target
    is worth nothing. A diverged run (`-inf`) makes it `+inf`: give scores a floor
    first if that is not meant.

    Args:
      scores: `[..., runs, tasks]`, higher is better; infinities are allowed.
      target: the score that is good enough.

    Returns:
      float64 `[...]`, at least 0.

    Raises:
      LoptError: on NaN, too few axes, or a target that is not finite.
    """
    scores = checked_array("scores", scores, _SCORES, infinities="both")
    if not np.isfinite(target):
        raise LoptError(f"target must be a finite score, got {target!r}.")
    return np.maximum(target - scores, 0.0).mean(axis=(-2, -1))
