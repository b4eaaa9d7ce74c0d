"""How far a tuned baseline has come at each step: the curve normalizers invert.

The curve is what Metz et al. 2022 (VeLO, arXiv:2211.09760) measure speed-ups
against: of all configurations of the baseline, the lowest training loss so far.
Each configuration's loss is the mean over seeds, smoothed. Which configuration is the
lowest is decided at each step, so the baseline is tuned for every length of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.analysis.best_of_set import common_steps
from learned_optimization.baselines.analysis.smoothing import decaying
from learned_optimization.baselines.release.thin import THIN_KEYS, thinned_of
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.errors import LoptError, check_at_least

EMA = 0.95
"""Decay, per evaluation, of the average that smooths the baseline's losses."""


@dataclass(frozen=True, eq=False)
class Band:
    """What the curve might have been with other seeds of the baseline.

    Attributes:
      low: float64 `[points]`, a low quantile of the resampled curves at each step.
      high: float64 `[points]`, a high quantile.
      level: share of the resampled curves between them at each step.
      num_resamples: how often seeds were resampled.
      seed: of the resampling.
    """

    low: np.ndarray
    high: np.ndarray
    level: float
    num_resamples: int
    seed: int


@dataclass(frozen=True, eq=False)
class BaselineCurve:
    """The lowest loss a baseline has reached by each step.

    Attributes:
      steps: float64 `[points]`, evenly from 0 to the horizon.
      losses: float64 `[points]`, never rising.
      band: of resampled seeds; None where it is not known, or there is one seed.
    """

    steps: np.ndarray
    losses: np.ndarray
    band: Band | None = None


def ema(
    values: np.ndarray, decay: float = EMA, gaps: np.ndarray | None = None
) -> np.ndarray:
    """Return the average normalizers are defined with: it starts at the first value.

    That value keeps the weight `decay**i` at evaluation `i`; `vis.smooth` weighs it
    as any other. What is not finite makes all later values NaN: a configuration that
    diverged drops out, even where its loss becomes finite again.

    Args:
      values: float `[..., num_evals]`.
      decay: per evaluation, in [0, 1).
      gaps: int `[num_evals - 1]`, of `smoothing.spacings`; see `smoothing.decaying`.

    Returns:
      Float64 array of the same shape.
    """
    out = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    rows = np.moveaxis(out, -1, 0)
    return np.moveaxis(decaying(rows, decay, rows[0], gaps), 0, -1)


def build_curve(
    task: str,
    hparam_sets: Sequence[str],
    num_points: int,
    *,
    num_resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> BaselineCurve:
    """Build the curve of a task from archives of the baseline.

    The average of losses is taken over evaluations of the mean over seeds; of the
    configurations of all sets the lowest counts, leaving out those that are NaN; it
    is interpolated to the points, and then never rises again.

    For the band, seeds are drawn with replacement, the same ones for every
    configuration, as configurations of a seed share their data and initialization;
    the curve is computed again from each draw.

    Args:
      task: the task's name.
      hparam_sets: names of the archived sets.
      num_points: points of the curve, at least 2.
      num_resamples: draws of seeds.
      level: of the band, in (0, 1).
      seed: of the draws.

    Raises:
      ResultError: if an archive is missing, naming the command that makes it.
      LoptError: if the sets differ in their evaluations or seeds, if at some
        evaluation no configuration has a finite loss, or an argument is wrong.
    """
    check_at_least("the number of points", num_points, 2)
    check_at_least("num_resamples", num_resamples, 1)
    if not 0.0 < level < 1.0:
        raise LoptError(f"level must be above 0 and below 1, got {level!r}.")
    xs, losses = _load(task, hparam_sets)
    if len(xs) < 2:
        raise LoptError(
            f"{hparam_sets[0]} on {task} has one evaluation: a curve needs two."
        )
    # An average of means is the mean of averages: seeds are smoothed once for all.
    smoothed = ema(losses)
    _check_finite(task, hparam_sets, xs, smoothed)
    steps = np.linspace(0.0, float(xs[-1]), num_points)
    # In long runs most evaluations lie next to no point of the curve.
    after = np.clip(np.searchsorted(xs, steps), 1, len(xs) - 1)
    kept = np.union1d(after - 1, after)
    xs, smoothed = xs[kept], smoothed[..., kept]
    curve = _curve(steps, xs, smoothed)
    num_seeds = losses.shape[1]
    if num_seeds == 1:
        return BaselineCurve(steps, curve)
    draws = np.random.default_rng(seed).integers(
        num_seeds, size=(num_resamples, num_seeds)
    )
    resampled = np.stack([_curve(steps, xs, smoothed[:, draw]) for draw in draws])
    tail = (1.0 - level) / 2.0
    # A quantile that is one of the curves' values is the same quantile of the steps
    # at which they reach a loss.
    low, high = np.quantile(
        resampled, [tail, 1.0 - tail], axis=0, method="inverted_cdf"
    )
    return BaselineCurve(steps, curve, Band(low, high, level, num_resamples, seed))


def _curve(steps: np.ndarray, xs: np.ndarray, smoothed: np.ndarray) -> np.ndarray:
    lowest = np.fmin.reduce(smoothed.mean(axis=1), axis=0)
    return np.minimum.accumulate(np.interp(steps, xs, lowest))


def _load(task: str, hparam_sets: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return all sets' steps `[evals]` and losses `[configs, seeds, evals]`."""
    archives = {name: _load_losses(task, name) for name in hparam_sets}
    xs = {
        name: common_steps(f"{name} on {task}", archive["eval/xs"])
        for name, archive in archives.items()
    }
    losses = {name: archive["eval/train/loss"] for name, archive in archives.items()}
    _check_alike(task, xs, losses)
    return next(iter(xs.values())), np.concatenate(list(losses.values()))


def _load_losses(task: str, hparam_set: str) -> Result:
    keys = ["eval/xs", "eval/train/loss", *THIN_KEYS]
    path = find_archive(task, hparam_set)
    arrays = read_archive(path, keys, missing_ok=True)
    for key in keys[:2]:
        if key not in arrays:
            raise LoptError(f"the archive of {hparam_set} on {task} lacks {key}.")
    thinned, kept = thinned_of(arrays, path), arrays["eval/xs"].shape[-1]
    if thinned is not None and kept < thinned.evaluations:
        raise LoptError(
            f"the archive of {hparam_set} on {task} is thin: it has {kept} of "
            f"{thinned.evaluations} evaluations, each over a few batches, and a "
            "baseline is an average over all of them. Sweep the set on this task: an "
            "archive of your own comes before a release's."
        )
    return arrays


def _check_alike(
    task: str, xs: Mapping[str, np.ndarray], losses: Mapping[str, np.ndarray]
) -> None:
    first, *others = losses
    for name in others:
        seeds, first_seeds = losses[name].shape[1], losses[first].shape[1]
        if seeds != first_seeds or not np.array_equal(xs[name], xs[first]):
            raise LoptError(
                f"{first} and {name} on {task} cannot be one baseline: {first_seeds} "
                f"and {seeds} seeds, {len(xs[first])} and {len(xs[name])} evaluations "
                f"up to steps {xs[first][-1]} and {xs[name][-1]}. Their seeds and "
                "evaluations must be the same: sweep one of them again."
            )


def _check_finite(
    task: str, hparam_sets: Sequence[str], xs: np.ndarray, smoothed: np.ndarray
) -> None:
    finite = np.isfinite(smoothed).all(axis=1).any(axis=0)
    if not finite.all():
        raise LoptError(
            f"every configuration of {', '.join(hparam_sets)} on {task} has a seed "
            f"that diverged by step {xs[np.argmin(finite)]}: there is no loss to "
            "measure against from there on. The baseline needs settings that train, "
            "such as lower learning rates."
        )
