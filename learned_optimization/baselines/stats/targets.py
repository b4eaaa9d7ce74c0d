"""How soon a target is reached, and how often within how much of the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.errors import LoptError


def steps_to_target(losses: ArrayLike, xs: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Return when the lowest loss so far is first at or below a target.

    Between two evaluations the lowest loss so far is taken to fall linearly. An
    evaluation that diverged (`+inf`) never reaches anything; after one, the target is
    reached at the evaluation itself.

    Args:
      losses: `[..., evals]`; `+inf` is allowed, see `mark_diverged`.
      xs: `[evals]`, steps or seconds of the evaluations, increasing.
      target: finite, a number or an array that broadcasts to `[...]`.

    Returns:
      float64 `[...]`, in units of `xs`; `inf` where it is never reached.

    Raises:
      LoptError: on NaN, `-inf`, or axes that do not fit.
    """
    losses = checked_array("losses", losses, "[..., evals]", infinities="+")
    xs = checked_array("xs", xs, "[evals]")
    targets = checked_array("targets", target, "[...]")
    if xs.shape != losses.shape[-1:] or (np.diff(xs) <= 0).any():
        raise LoptError(
            f"xs must increase, one for each evaluation of losses {losses.shape}, got "
            f"{xs.tolist()}."
        )
    try:
        targets = np.broadcast_to(targets, losses.shape[:-1])
    except ValueError as error:
        raise LoptError(
            f"targets must broadcast to {losses.shape[:-1]}, got shape {targets.shape}."
        ) from error
    lowest = np.minimum.accumulate(losses, axis=-1)
    reached = lowest <= targets[..., None]
    first = np.argmax(reached, axis=-1)
    before = np.maximum(first - 1, 0)
    loss_before = np.take_along_axis(lowest, before[..., None], axis=-1)[..., 0]
    loss_first = np.take_along_axis(lowest, first[..., None], axis=-1)[..., 0]
    # Where there is nothing finite before, there is nothing to interpolate from.
    between = np.isfinite(loss_before) & (loss_first <= targets) & (first > 0)
    share = np.ones_like(loss_first)
    fall = np.subtract(loss_before, loss_first, out=share.copy(), where=between)
    np.divide(loss_before - targets, fall, out=share, where=between)
    steps = xs[before] + share * (xs[first] - xs[before])
    return np.where(reached.any(axis=-1), steps, np.inf)


def performance_ratios(costs: ArrayLike) -> np.ndarray:
    """Return the cost of each method over that of the best method of the task.

    Dolan & More 2002, "Benchmarking optimization software with performance
    profiles", Mathematical Programming 91.

    Args:
      costs: `[..., methods, tasks]`, steps or seconds, above 0; `inf` where a method
        never solved a task.

    Returns:
      float64 of the same shape, at least 1; `inf` where a method never solved a task,
      for all methods where none did.

    Raises:
      LoptError: on NaN, or costs that are not above 0.
    """
    costs = _checked_costs("costs", costs, "[..., methods, tasks]")
    best = costs.min(axis=-2, keepdims=True)
    solved = np.isfinite(costs)
    return np.divide(costs, best, out=np.full_like(costs, np.inf), where=solved)


def performance_profile(
    ratios: ArrayLike, taus: ArrayLike, *, count_unsolved: bool = False
) -> np.ndarray:
    """Return the share of tasks a method solves within `tau` times the best's cost.

    Args:
      ratios: `[..., methods, tasks]` of `performance_ratios`, of all methods compared.
      taus: `[points]`, at least 1 to be of interest.
      count_unsolved: the share is of all tasks, as in Dolan & More 2002. By default
        it is of the tasks that any method solved: those that none solved lower all
        profiles by the same factor and say nothing about the methods.

    Returns:
      float64 `[..., methods, points]`; 0 where no task was solved.

    Raises:
      LoptError: on NaN, or ratios below 1.
    """
    ratios = _checked_ratios(ratios)
    taus = checked_array("taus", taus, "[points]")
    num_within = np.stack([(ratios <= tau).sum(axis=-1) for tau in taus], axis=-1)
    return num_within / _num_tasks(ratios, count_unsolved)[..., None]


def integrated_profile(
    ratios: ArrayLike, max_ratio: float = 4.0, *, count_unsolved: bool = False
) -> np.ndarray:
    """Return the area, in [0, 1], under a performance profile from 1 to `max_ratio`.

    It is 1 for a method that is the best of every task. It is exact: a task of ratio
    r adds `(max_ratio - r) / (max_ratio - 1)` if that is above 0. This is the score
    of AlgoPerf: Dahl et al. 2023, "Benchmarking Neural Network Training Algorithms",
    arXiv:2306.07179, section 4.

    Args:
      ratios: `[..., methods, tasks]` of `performance_ratios`, of all methods compared.
      max_ratio: where the integral ends, above 1.
      count_unsolved: see `performance_profile`.

    Returns:
      float64 `[..., methods]`.

    Raises:
      LoptError: on NaN, ratios below 1, or a `max_ratio` that is not above 1.
    """
    ratios = _checked_ratios(ratios)
    check_between("max_ratio", max_ratio, 1, np.inf)
    areas = np.maximum(max_ratio - ratios, 0.0) / (max_ratio - 1)
    return areas.sum(axis=-1) / _num_tasks(ratios, count_unsolved)


def geometric_mean_speedup(
    costs: ArrayLike, baseline_costs: ArrayLike, *, censored_at: float | None = None
) -> np.ndarray:
    """Return how many times faster than a baseline, as the geometric mean over tasks.

    `exp(mean(log(baseline_cost / cost)))`: the speed-up of the baseline over the
    method is its inverse, whichever is called the baseline (Fleming & Wallace 1986,
    "How not to lie with statistics", CACM 29).

    Tasks that neither solved (`inf` in both) say nothing and are left out. Where one
    solved a task and the other did not, the speed-up is only known to be above
    (or below) `budget / cost`: with `censored_at` that bound is taken, which pulls
    the result towards 1. Without, the result is `inf`, or 0 where it is the baseline
    that solved it.

    Args:
      costs: `[..., tasks]`, steps or seconds, above 0; `inf` where never solved.
      baseline_costs: likewise, of the baseline.
      censored_at: the cost at which runs that had not solved their task ended.

    Returns:
      float64 `[...]`.

    Raises:
      LoptError: on NaN, costs that are not above 0 or beyond `censored_at`, axes that
        do not fit, no task that either solved, or, without `censored_at`, tasks that
        only one and tasks that only the other solved.
    """
    costs = _checked_costs("costs", costs, "[..., tasks]")
    baseline = _checked_costs("baseline costs", baseline_costs, "[..., tasks]")
    if costs.shape != baseline.shape:
        raise LoptError(
            "costs and baseline costs must be of the same tasks, got shapes "
            f"{costs.shape} and {baseline.shape}."
        )
    known = np.isfinite(costs) | np.isfinite(baseline)
    if not known.any(axis=-1).all():
        raise LoptError(
            "neither the method nor the baseline solved any of the tasks: there is "
            "no speed-up. Set an easier target."
        )
    if censored_at is not None:
        costs = _censored("costs", costs, censored_at)
        baseline = _censored("baseline costs", baseline, censored_at)
    only_one, only_other = np.isinf(costs) & known, np.isinf(baseline) & known
    if (only_one.any(axis=-1) & only_other.any(axis=-1)).any():
        raise LoptError(
            "some tasks only the method and some only the baseline solved: their "
            "speed-ups are infinite and 0, and have no mean. Give censored_at, the "
            "cost at which runs ended."
        )
    # Where neither solved: log(1) adds nothing, and is not counted below.
    ratios = np.where(known, baseline, 1.0) / np.where(known, costs, 1.0)
    with np.errstate(divide="ignore"):
        logs = np.log(ratios)
    return np.exp(logs.sum(axis=-1) / known.sum(axis=-1))


def score_profile(scores: ArrayLike, taus: ArrayLike) -> np.ndarray:
    """Return the share of all runs of all tasks with a score above `tau`.

    Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
    Precipice", NeurIPS, call it the run-score distribution.

    Args:
      scores: `[..., runs, tasks]`, higher is better; infinities are allowed.
      taus: `[points]`.

    Returns:
      float64 `[..., points]`.

    Raises:
      LoptError: on NaN, or too few axes.
    """
    scores = checked_array("scores", scores, "[..., runs, tasks]", infinities="both")
    taus = checked_array("taus", taus, "[points]")
    return np.stack([(scores > tau).mean(axis=(-2, -1)) for tau in taus], axis=-1)


def _checked_costs(what: str, costs: ArrayLike, axes: str) -> np.ndarray:
    costs = checked_array(what, costs, axes, infinities="+")
    if (bad := costs[costs <= 0]).size:
        raise LoptError(
            f"{what} must be above 0, got {bad.size} that are not, such as {bad[0]}: a "
            "target met before the first step compares nothing. Set a harder one."
        )
    return costs


def _checked_ratios(ratios: ArrayLike) -> np.ndarray:
    ratios = checked_array("ratios", ratios, "[..., methods, tasks]", infinities="+")
    if (ratios < 1).any():
        raise LoptError(
            f"ratios must be at least 1, got {ratios.min()}: give costs to "
            "stats.performance_ratios, of all methods at once."
        )
    return ratios


def _num_tasks(ratios: np.ndarray, count_unsolved: bool) -> np.ndarray:
    """Return how many tasks count, `[..., 1]`; 1 where none, so that a share is 0."""
    counted = np.isfinite(ratios).any(axis=-2) | count_unsolved
    return np.maximum(counted.sum(axis=-1, keepdims=True), 1)


def _censored(what: str, costs: np.ndarray, censored_at: float) -> np.ndarray:
    check_between("censored_at", censored_at, 0, np.inf)
    if (beyond := costs[np.isfinite(costs) & (costs > censored_at)]).size:
        raise LoptError(
            f"{what} are censored at {censored_at}, but {beyond.size} are beyond, up "
            f"to {beyond.max()}."
        )
    return np.minimum(costs, censored_at)
