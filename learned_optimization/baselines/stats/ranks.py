"""Many methods on many tasks, by their ranks.

Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7.
The tasks are the units: a method counts with one loss per task, e.g. the mean over runs
of its best configuration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.errors import LoptError, check_at_least


def mean_ranks(losses: ArrayLike) -> np.ndarray:
    """Return the rank of each method, mean over tasks; 1 is the best.

    Args:
      losses: `[methods, tasks]`, lower is better; `+inf` is the worst, ties share the
        mean of their ranks.

    Returns:
      float64 `[methods]`.

    Raises:
      LoptError: on NaN, `-inf`, or other axes.
    """
    losses = checked_array("losses", losses, "[methods, tasks]", infinities="+")
    return _ranks(losses).mean(axis=1)


def friedman_p(losses: ArrayLike) -> float:
    """Return the p value of Friedman's test that no method differs from another.

    The chi-squared form with correction for ties. It is approximate, and
    conservative, for few tasks (below about 10).

    Args:
      losses: `[methods, tasks]`, of at least 2 methods and 2 tasks; `+inf` is the
        worst.

    Returns:
      The p value; 1 if the methods tie on every task.

    Raises:
      LoptError: on NaN, `-inf`, other axes, or too few methods or tasks.
    """
    losses = checked_array("losses", losses, "[methods, tasks]", infinities="+")
    num_methods, num_tasks = losses.shape
    check_at_least("number of methods", num_methods, 2)
    check_at_least("number of tasks", num_tasks, 2)
    ranks = _ranks(losses)
    # Taken from the ranks themselves, the variance within tasks is right under ties.
    spread = (ranks - (num_methods + 1) / 2) ** 2
    within = spread.sum() / (num_tasks * (num_methods - 1))
    if within == 0:
        return 1.0
    between = ((ranks.mean(axis=1) - (num_methods + 1) / 2) ** 2).sum()
    return float(special.chdtrc(num_methods - 1, num_tasks * between / within))


def critical_difference(num_methods: int, num_tasks: int, alpha: float = 0.05) -> float:
    """Return the difference of mean ranks at which Nemenyi's test tells methods apart.

    `q * sqrt(k (k + 1) / (6 n))` for k methods and n tasks, q from the studentized
    range over the square root of 2 (Demsar 2006, section 3.2.2). Any two of the methods
    may be compared.

    Args:
      num_methods: methods compared, at least 2.
      num_tasks: tasks they are compared on, at least 1.
      alpha: probability to tell any apart if all are the same.

    Raises:
      LoptError: if an argument is out of range.
    """
    check_at_least("num_methods", num_methods, 2)
    check_at_least("num_tasks", num_tasks, 1)
    check_between("alpha", alpha, 0, 1)
    # Takes half a second to import.
    from scipy import stats as scipy_stats

    q = scipy_stats.studentized_range.ppf(1 - alpha, num_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(num_methods * (num_methods + 1) / (6 * num_tasks)))


def _ranks(losses: np.ndarray) -> np.ndarray:
    # scipy.stats has it, and takes half a second to import.
    below = (losses < losses[:, None]).sum(axis=1)
    equal = (losses == losses[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


def cliques(ranks: ArrayLike, difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of methods that are not told apart.

    They are the bars of a critical difference diagram. Methods whose mean ranks
    differ by the critical difference or more are told apart.

    Args:
      ranks: `[methods]`, of `mean_ranks`.
      difference: of `critical_difference`.

    Returns:
      Groups of two or more indices of methods, the best first in each and among them.

    Raises:
      LoptError: on NaN or infinite ranks, or a difference that is not above 0.
    """
    ranks = checked_array("ranks", ranks, "[methods]")
    if not 0 < difference < np.inf:
        raise LoptError(f"difference must be above 0 and finite, got {difference!r}.")
    order = np.argsort(ranks, kind="stable")
    groups: list[tuple[int, ...]] = []
    end_before = 0
    for start in range(len(order)):
        within = ranks[order] - ranks[order[start]] < difference
        end = start + int(within[start:].sum())
        if end > end_before and end - start > 1:
            groups.append(tuple(int(i) for i in order[start:end]))
        end_before = max(end_before, end)
    return groups
