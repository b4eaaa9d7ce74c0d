"""Ranks, Friedman and Nemenyi, against scipy and Demsar's tables."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf


def test_mean_ranks_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for _ in range(50):
        losses = rng.integers(0, 4, size=(5, 7)).astype(float)
        losses[rng.random(losses.shape) < 0.1] = np.inf
        want = scipy_stats.rankdata(losses, axis=0).mean(axis=1)
        np.testing.assert_array_equal(stats.mean_ranks(losses), want)


def test_mean_ranks_by_hand():
    losses = [[1.0, 2.0, INF], [2.0, 2.0, INF], [3.0, 1.0, 0.0]]
    np.testing.assert_allclose(
        stats.mean_ranks(losses), [(1 + 2.5 + 2.5) / 3, (2 + 2.5 + 2.5) / 3, 5 / 3]
    )


@pytest.mark.parametrize("decimals", [0, 9])
@pytest.mark.parametrize("shape", [(3, 4), (5, 12)])
def test_friedman_is_scipys(shape, decimals):
    losses = np.random.default_rng(0).normal(size=shape).round(decimals)
    expected = scipy_stats.friedmanchisquare(*losses).pvalue
    assert stats.friedman_p(losses) == pytest.approx(expected)


def test_friedman_of_two_methods_is_the_sign_test():
    # Seven wins of nine: (7 - 2)^2 / 9, chi-squared with one degree of freedom.
    losses = np.array([[0.0] * 9, [1.0] * 7 + [-1.0] * 2])
    expected = scipy_stats.chi2.sf(25 / 9, 1)
    assert stats.friedman_p(losses) == pytest.approx(expected)


def test_friedman_of_methods_that_all_tie():
    assert stats.friedman_p(np.ones((3, 4))) == 1
    assert stats.friedman_p(np.full((3, 4), INF)) == 1


def test_friedman_needs_methods_and_tasks():
    with pytest.raises(LoptError, match=r"number of methods .* at least 2, got 1"):
        stats.friedman_p(np.ones((1, 4)))
    with pytest.raises(LoptError, match=r"number of tasks .* at least 2, got 1"):
        stats.friedman_p(np.ones((3, 1)))


# Demsar 2006, table 5a: critical values for the two-tailed Nemenyi test.
Q_05 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
Q_10 = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]


@pytest.mark.parametrize(("alpha", "published"), [(0.05, Q_05), (0.1, Q_10)])
def test_critical_difference_is_demsars(alpha, published):
    for num_methods, q in enumerate(published, start=2):
        scale = np.sqrt(num_methods * (num_methods + 1) / (6 * 30))
        quantile = stats.critical_difference(num_methods, 30, alpha) / scale
        # The table is rounded, here and there in the wrong direction.
        assert quantile == pytest.approx(q, abs=1e-3), num_methods


def test_demsars_example():
    # Section 3.2.2: C4.5, with m, with cf, with both, on 14 data sets. At 5% nothing
    # is told apart; at 10% C4.5 from those with m, and cf from none.
    ranks = [3.143, 2.000, 2.893, 1.964]
    at_5 = stats.critical_difference(4, 14)
    at_10 = stats.critical_difference(4, 14, alpha=0.1)
    assert (at_5, at_10) == pytest.approx((1.25, 1.12), abs=0.005)
    assert stats.cliques(ranks, at_5) == [(3, 1, 2, 0)]
    assert stats.cliques(ranks, at_10) == [(3, 1, 2), (2, 0)]


@pytest.mark.parametrize(
    ("ranks", "difference", "expected"),
    [
        ([1, 2, 3, 4], 1.5, [(0, 1), (1, 2), (2, 3)]),
        ([4, 3, 2, 1], 2.5, [(3, 2, 1), (2, 1, 0)]),
        ([1, 2, 3, 4], 1.0, []),  # at the critical difference they are told apart
        ([1, 2, 3, 4], 9.0, [(0, 1, 2, 3)]),
        ([1, 1.5, 3, 3.2, 3.4], 1.0, [(0, 1), (2, 3, 4)]),
        ([2.0, 2.0], 0.1, [(0, 1)]),
        ([1.0], 1.0, []),
    ],
)
def test_cliques_by_hand(ranks, difference, expected):
    assert stats.cliques(ranks, difference) == expected


def test_cliques_are_the_maximal_groups():
    ranks = np.random.default_rng(0).uniform(1, 8, size=9)
    difference = 2.0
    together = np.abs(ranks[:, None] - ranks) < difference
    groups = stats.cliques(ranks, difference)
    for i in range(9):
        for j in range(i):
            shared = any(i in group and j in group for group in groups)
            assert shared == together[i, j]
    sets = [set(group) for group in groups]
    assert not any(a < b for a in sets for b in sets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 5), "num_methods .* at least 2, got 1"),
        ((3, 0), "num_tasks .* at least 1, got 0"),
        ((3, 5, 1.0), r"alpha .* between 0 and 1, got 1\.0"),
    ],
)
def test_critical_difference_out_of_range(arguments, message):
    with pytest.raises(LoptError, match=message):
        stats.critical_difference(*arguments)
    with pytest.raises(LoptError, match="difference must be above 0"):
        stats.cliques([1, 2], 0.0)
