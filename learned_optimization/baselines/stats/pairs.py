"""Two methods against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.errors import LoptError

_MOST_SEEDS_TO_FLIP = 40


@dataclass(frozen=True)
class PairedComparison:
    """How two methods differ on the seeds they share.

    Attributes:
      difference: mean over seeds of the loss of a minus that of b; below 0 a is better.
      low: lower end of the t interval of the difference.
      high: upper end of it.
      level: nominal probability that the interval covers the true difference.
      p_value: two-sided p value of the paired t test.
      sign_flip_p: two-sided p value of the exact sign-flip test, which assumes no
        normal distribution; at best `2 ** (1 - num_seeds)`, so 0.0625 for 5 seeds.
        None for more than 40 seeds.
      num_seeds: seeds compared.
    """

    difference: float
    low: float
    high: float
    level: float
    p_value: float
    sign_flip_p: float | None
    num_seeds: int


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return how likely a run of x is better than one of y, mean over tasks.

    `P(X > Y) + P(X = Y) / 2` of each task, the Mann-Whitney U statistic over the number
    of pairs of runs. It does not say how much better. Agarwal et al. 2021, "Deep
    Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS.

    Args:
      x: `[..., runs_x, tasks]`, higher is better; infinities are allowed, and equal
        ones are ties.
      y: `[..., runs_y, tasks]`, of the same tasks.

    Returns:
      float64 `[...]`, between 0 and 1.

    Raises:
      LoptError: on NaN, or axes that do not fit.
    """
    x = checked_array("scores x", x, "[..., runs, tasks]", infinities="both")
    y = checked_array("scores y", y, "[..., runs, tasks]", infinities="both")
    if x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-1]:
        raise LoptError(
            f"scores x and y must be of the same tasks, got shapes {x.shape} and "
            f"{y.shape}."
        )
    # Run by run: all pairs at once would need as many times the memory.
    wins = np.zeros(x.shape[:-2])
    for i in range(x.shape[-2]):
        run = x[..., i, None, :]
        wins += (run > y).mean(axis=(-2, -1)) + (run == y).mean(axis=(-2, -1)) / 2
    return wins / x.shape[-2]


def paired_comparison(
    losses_a: ArrayLike, losses_b: ArrayLike, level: float = 0.95
) -> PairedComparison:
    """Compare two methods run with the same seeds, seed by seed.

    What a seed decides for both (data order, initial parameters) cancels in their
    difference. The seeds are the units: with several tasks, each seed counts with its
    mean over tasks, so bring the tasks' losses to one scale first. The statement is
    about these tasks.

    Args:
      losses_a: `[seeds]` or `[seeds, tasks]`, finite; entry by entry of the same seed
        and task as those of `losses_b`.
      losses_b: of the same shape.
      level: nominal probability that the interval covers the true difference.

    Raises:
      LoptError: on NaN or infinite losses (a diverged run has no difference: compare
        by `probability_of_improvement`), shapes that differ, or fewer than 2 seeds.
    """
    check_between("level", level, 0, 1)
    a, b = np.asarray(losses_a), np.asarray(losses_b)
    axes = "[seeds, tasks]" if a.ndim == 2 else "[seeds]"
    a = checked_array("losses of a", a, axes)
    b = checked_array("losses of b", b, axes)
    if a.shape != b.shape or len(a) < 2:
        raise LoptError(
            "losses must be of the same seeds and tasks, of at least 2 seeds, got "
            f"shapes {a.shape} and {b.shape}."
        )
    differences = (a - b).reshape(len(a), -1).mean(axis=1)
    num_seeds = len(differences)
    difference = float(differences.mean())
    error = float(differences.std(ddof=1)) / num_seeds**0.5
    half = float(special.stdtrit(num_seeds - 1, (1 + level) / 2)) * error
    if error:
        t = abs(difference) / error
        p_value = 2 * float(special.stdtr(num_seeds - 1, -t))
    else:
        p_value = float(difference == 0)
    return PairedComparison(
        difference=difference,
        low=difference - half,
        high=difference + half,
        level=level,
        p_value=p_value,
        sign_flip_p=_sign_flip_p(differences),
        num_seeds=num_seeds,
    )


def _sign_flip_p(differences: np.ndarray) -> float | None:
    """Return the share of all sign flips with a sum as far from 0 as the one observed.

    Every sum is one of the first half of the seeds plus one of the second: so 2**40
    sums are counted from two lists of 2**20.
    """
    if len(differences) > _MOST_SEEDS_TO_FLIP:
        return None
    half = len(differences) // 2
    first, second = _sums(differences[:half]), np.sort(_sums(differences[half:]))
    # Sums that are equal on paper may differ in the last bits.
    observed = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    above = len(second) - np.searchsorted(second, observed - first, side="left")
    below = np.searchsorted(second, -observed - first, side="right")
    if observed <= 0:
        return 1.0
    return int(above.sum() + below.sum()) / 2 ** len(differences)


def _sums(values: np.ndarray) -> np.ndarray:
    """Return the sums of values under every choice of signs, `[2 ** len(values)]`."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjust p values for being several: Holm's step-down correction.

    To reject where the adjusted value is below alpha makes a single false rejection
    among all of them less likely than alpha, however they depend on each other. Holm
    1979, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6.

    Args:
      p_values: `[tests]`, between 0 and 1.

    Returns:
      float64 `[tests]`, in the order given.

    Raises:
      LoptError: on NaN, or values that are not between 0 and 1.
    """
    p_values = checked_array("p values", p_values, "[tests]")
    if p_values.min() < 0 or p_values.max() > 1:
        raise LoptError(
            f"p values must be between 0 and 1, got {p_values.min()} to "
            f"{p_values.max()}."
        )
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return adjusted
