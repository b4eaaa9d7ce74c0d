"""Shares of divergence, against closed forms and scipy."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.divergence import (
    compare_divergence,
    divergence_bound,
    spare_diverged,
)
from learned_optimization.errors import LoptError


@pytest.mark.parametrize("n", [1, 8, 32])
def test_where_none_diverged_the_bound_is_closed(n):
    assert divergence_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n))


def test_the_bound_is_that_of_clopper_and_pearson():
    test = scipy_stats.binomtest(3, 20, alternative="less")
    expected = test.proportion_ci(0.95, method="exact").high
    assert divergence_bound(3, 20) == pytest.approx(expected)
    assert divergence_bound(4, 4) == 1.0


def test_shares_are_compared_exactly():
    # All of 5 against none of 5: 1 of the 252 ways to choose 5 of 10, on either side.
    result = compare_divergence(5, 5, 0, 5)
    assert result.p_value == pytest.approx(2 / 252)
    assert (result.share_a, result.share_b) == (1.0, 0.0)
    assert compare_divergence(0, 5, 0, 20).p_value == 1.0


def test_a_diverged_seed_weighs_no_more_than_the_worst_other():
    x = np.array([[0.5, 0.4, 2.0], [2.0, 1.9, 1.8], [-3.0, 0.1, 0.2]])
    diverged = np.array(
        [[False, False, True], [True, True, True], [True, False, False]]
    )
    spared = spare_diverged(x, diverged)
    np.testing.assert_array_equal(spared[0], [0.5, 0.4, 0.5])
    # Nothing else to go by; and an opponent that did worse there is kept.
    np.testing.assert_array_equal(spared[1:], x[1:])


@pytest.mark.parametrize("counts", [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(LoptError, match="seeds"):
        divergence_bound(*counts)
