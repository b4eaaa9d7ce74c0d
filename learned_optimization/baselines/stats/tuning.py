"""What to expect of an optimizer after so many trials of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.errors import LoptError, check_at_least

# Numbers of configurations of which a curve has a point each; more would not be seen.
_MOST_KS = 500


@dataclass(frozen=True)
class TuningCurve:
    """The loss of the best of k configurations tried.

    Attributes:
      ks: int64 `[points]`, how many configurations are tried.
      expected: float64 `[points]`, mean over all ways to choose them; `inf` where a
        diverged one may come out best.
      low: float64 `[points]`, the lower quantile over all ways to choose them.
      high: float64 `[points]`, the upper quantile.
    """

    ks: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray


def best_after(
    select: ArrayLike,
    report: ArrayLike,
    ks: Sequence[int] | None = None,
    quantiles: tuple[float, float] = (0.1, 0.9),
) -> TuningCurve:
    """Return what random search over a set finds with k of its configurations.

    Of each subset of k configurations the one with the lowest `select` loss is taken,
    and counts with its `report` loss. The mean and the quantiles are exact, over all
    subsets without replacement; ties in `select` are broken at random.

    With as many trials drawn from the set the mean is unbiased for a search over the
    space the set was sampled from (Tang et al. 2020, "Showing Your Work Doesn't Always
    Work", ACL, which corrects Dodge et al. 2019, "Show Your Work", EMNLP). Over a
    grid of learning rates it says what a random order of the grid would find.

    Args:
      select: `[configs]`, loss that decides, e.g. on `outer_valid`; `+inf` is worst.
      report: `[configs]`, loss that is reported, e.g. on `test`; `+inf` is allowed.
      ks: numbers of configurations, each between 1 and all. If None, every one up to a
        few hundred, and so many that are log-spaced of more.
      quantiles: of the band, between 0 and 1. A quantile is the lowest of the report
        losses that at least this share of the subsets does not exceed.

    Raises:
      LoptError: on NaN, `-inf`, losses of different configurations, or an argument out
        of range.
    """
    select = checked_array("select losses", select, "[configs]", infinities="+")
    report = checked_array("report losses", report, "[configs]", infinities="+")
    if select.shape != report.shape:
        raise LoptError(
            "select and report losses must be of the same configurations, got shapes "
            f"{select.shape} and {report.shape}."
        )
    num_configs = len(select)
    chosen_ks = _every_k(num_configs) if ks is None else ks
    for k in chosen_ks:
        check_at_least("k", k, 1)
        if k > num_configs:
            raise LoptError(
                f"k must be at most {num_configs}, the number of configurations, "
                f"got {k}."
            )
    for quantile in quantiles:
        check_between("a quantile", quantile, 0, 1)
    all_ks = np.asarray(chosen_ks, dtype=np.int64)
    chances = _chances_to_be_chosen(select, all_ks)
    order = np.argsort(report, kind="stable")
    losses, chances = report[order], chances[:, order]
    finite = np.isfinite(losses)
    expected = chances[:, finite] @ losses[finite]
    expected[(chances[:, ~finite] > 0).any(axis=1)] = np.inf
    not_above = np.cumsum(chances, axis=1)
    # A share that is exact on paper may be off in its last bits.
    low, high = (
        losses[np.argmax(not_above >= quantile * (1 - 1e-12) - 1e-15, axis=1)]
        for quantile in quantiles
    )
    return TuningCurve(all_ks, expected, low, high)


def _every_k(num_configs: int) -> Sequence[int]:
    """Return numbers of configurations, few enough for an array of each by each."""
    if num_configs <= _MOST_KS:
        return range(1, num_configs + 1)
    spaced = np.geomspace(1, num_configs, _MOST_KS).round().astype(np.int64)
    return np.unique(spaced).tolist()


def _chances_to_be_chosen(select: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Return how likely each configuration is the best of k chosen, `[ks, configs]`.

    The j-th best (from 0) of n is, if it is chosen and no better one is: with chance
    `C(n - 1 - j, k - 1) / C(n, k)`, here from one j to the next.
    """
    num_configs = len(select)
    place = np.arange(num_configs - 1)
    steps = (num_configs - ks[:, None] - place) / (num_configs - 1 - place)
    first = ks[:, None] / num_configs
    by_place = np.cumprod(np.hstack([first, np.maximum(steps, 0)]), axis=1)
    # Those that tie share their chances.
    values, group = np.unique(select, return_inverse=True)
    sizes = np.bincount(group, minlength=len(values))
    starts = np.cumsum(sizes) - sizes
    return (np.add.reduceat(by_place, starts, axis=1) / sizes)[:, group]
