"""How often trials diverge: compared by itself, as no mean of losses sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from learned_optimization.baselines.stats.checks import check_between
from learned_optimization.errors import LoptError, check_at_least


@dataclass(frozen=True)
class DivergenceComparison:
    """The shares of seeds that diverge, of two sets.

    Attributes:
      share_a: of set a.
      share_b: of set b.
      p_value: two-sided, of Fisher's exact test that both are equal. What the two
        share by running the same seeds makes it larger than it need be, never smaller.
    """

    share_a: float
    share_b: float
    p_value: float


def divergence_bound(num_diverged: int, num_seeds: int, alpha: float = 0.05) -> float:
    """Return the largest share of diverging trials that could show so few.

    Of Clopper & Pearson 1934: a larger share shows no more than `num_diverged` with a
    probability below alpha. Where none has diverged it is `1 - alpha^(1/num_seeds)`.

    Args:
      num_diverged: seeds that diverged.
      num_seeds: all seeds.
      alpha: one-sided.

    Raises:
      LoptError: if there are no seeds, or more diverged than there are.
    """
    _check(num_diverged, num_seeds)
    check_between("alpha", alpha, 0, 1)
    if num_diverged == num_seeds:
        return 1.0
    return float(
        special.betaincinv(num_diverged + 1, num_seeds - num_diverged, 1 - alpha)
    )


def compare_divergence(
    diverged_a: int, seeds_a: int, diverged_b: int, seeds_b: int
) -> DivergenceComparison:
    """Compare how often two sets diverge.

    Args:
      diverged_a: seeds of a that diverged, of the configuration that stands for it.
      seeds_a: all seeds of a.
      diverged_b: the same of b.
      seeds_b: the same of b.

    Raises:
      LoptError: if there are no seeds, or more diverged than there are.
    """
    _check(diverged_a, seeds_a)
    _check(diverged_b, seeds_b)
    if not diverged_a + diverged_b:
        return DivergenceComparison(0.0, 0.0, 1.0)
    table = [
        [diverged_a, seeds_a - diverged_a],
        [diverged_b, seeds_b - diverged_b],
    ]
    # Takes half a second to import, and few comparisons come here.
    from scipy import stats as scipy_stats

    p_value = float(np.asarray(scipy_stats.fisher_exact(table))[1])
    return DivergenceComparison(diverged_a / seeds_a, diverged_b / seeds_b, p_value)


def spare_diverged(differences: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return differences where diverging weighs no more than the worst other seed.

    One seed at the ceiling among five makes their spread so large that no mean of them
    is above 0, however bad the other four are. To take it for the worst of the others
    lowers it, so that a set is never found worse for it than it is: what is found is
    found from the seeds that did not diverge.

    Args:
      differences: `[configs, seeds]`, how much worse each configuration is.
      diverged: bool of the same shape; a row of nothing else stays as it is.
    """
    some = ~diverged.all(axis=1, keepdims=True)
    rest = np.where(diverged & some, -np.inf, differences)
    worst = rest.max(axis=1, keepdims=True, initial=-np.inf)
    return np.where(diverged, np.minimum(differences, worst), differences)


def _check(num_diverged: int, num_seeds: int) -> None:
    check_at_least("the number of seeds", num_seeds, 1)
    check_at_least("the number of diverged seeds", num_diverged, 0)
    if num_diverged > num_seeds:
        raise LoptError(
            f"of {num_seeds} seeds no more can have diverged, got {num_diverged}."
        )
