"""Two methods against each other, against scipy and by enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf


@pytest.mark.parametrize("decimals", [0, 9])
def test_probability_of_improvement_is_mann_whitneys_u(decimals):
    rng = np.random.default_rng(0)
    # With no decimals there are ties.
    x = rng.normal(size=(4, 6)).round(decimals)
    y = rng.normal(0.5, size=(7, 6)).round(decimals)
    us = [
        scipy_stats.mannwhitneyu(x[:, t], y[:, t], alternative="greater").statistic
        for t in range(6)
    ]
    probability = stats.probability_of_improvement(x, y)
    assert probability == pytest.approx(np.mean(us) / (4 * 7), rel=1e-12)
    assert stats.probability_of_improvement(y, x) == pytest.approx(1 - probability)


def test_probability_of_improvement_keeps_leading_axes():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 2, 4, 5)), rng.normal(size=(3, 2, 6, 5))
    probability = stats.probability_of_improvement(x, y)
    assert probability.shape == (3, 2)
    assert probability[2, 1] == pytest.approx(
        float(stats.probability_of_improvement(x[2, 1], y[2, 1]))
    )


def test_diverged_runs_tie():
    x, y = [[-INF], [1.0]], [[-INF], [0.0]]
    # A tie, a loss, and two wins.
    assert stats.probability_of_improvement(x, y) == 2.5 / 4
    with pytest.raises(LoptError, match=r"same tasks, .* \(2, 1\) and \(1, 2\)"):
        stats.probability_of_improvement(x, [[0.0, 1.0]])


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("num_seeds", [2, 5, 30])
def test_paired_comparison_is_the_paired_t_test(num_seeds, level):
    rng = np.random.default_rng(num_seeds)
    a, b = rng.normal(size=(2, num_seeds))
    expected = scipy_stats.ttest_rel(a, b)
    compared = stats.paired_comparison(a, b, level)
    assert compared.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert compared.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(level)
    assert (compared.low, compared.high) == pytest.approx((interval.low, interval.high))
    assert (compared.level, compared.num_seeds) == (level, num_seeds)


def test_seeds_are_the_units_of_many_tasks():
    a, b = np.random.default_rng(0).normal(size=(2, 6, 4))
    compared = stats.paired_comparison(a, b)
    expected = scipy_stats.ttest_rel(a.mean(axis=1), b.mean(axis=1))
    assert compared.p_value == pytest.approx(expected.pvalue)
    assert compared.num_seeds == 6


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 8])
def test_sign_flips_are_enumerated(num_seeds):
    rng = np.random.default_rng(num_seeds)
    a, b = rng.normal(size=(2, num_seeds))
    sums = [
        abs(sum(s * d for s, d in zip(signs, a - b, strict=True)))
        for signs in itertools.product((1, -1), repeat=num_seeds)
    ]
    expected = np.mean([s >= abs(sum(a - b)) - 1e-9 for s in sums])
    assert stats.paired_comparison(a, b).sign_flip_p == expected


def test_sign_flips_of_many_seeds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 24))
    p_value = stats.paired_comparison(a, b).sign_flip_p
    flipped = scipy_stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    # Four standard errors of scipy's random flips.
    assert p_value == pytest.approx(flipped.pvalue, abs=4 * 0.5 / 20_000**0.5)
    assert stats.paired_comparison(*rng.normal(size=(2, 41))).sign_flip_p is None


def test_wilcoxon_and_sign_flips_agree_on_ranks():
    # With differences of 1, 2, ... the sum of signed differences is Wilcoxon's.
    differences = np.array([1, -2, 3, 4, 5, 6, -7, 8.0])
    _, expected = scipy_stats.wilcoxon(differences, method="exact")
    compared = stats.paired_comparison(differences, np.zeros(8))
    assert compared.sign_flip_p == pytest.approx(expected)


def test_differences_that_are_all_the_same():
    same = stats.paired_comparison([1.0, 2.0], [1.0, 2.0])
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert (same.p_value, same.sign_flip_p) == (1, 1)
    shifted = stats.paired_comparison([1.0, 2.0, 3.0], [3.0, 4.0, 5.0])
    assert (shifted.difference, shifted.p_value, shifted.sign_flip_p) == (-2, 0, 0.25)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [2.0]), ([1.0, 2.0], [1.0, 2.0, 3.0]), ([[1.0, 2.0]], [1.0])]
)
def test_pairs_must_fit(a, b):
    with pytest.raises(LoptError, match=r"losses .* got .*shape"):
        stats.paired_comparison(a, b)


def test_holm_by_hand():
    # Times 4, 3, 2 and 1 in order of size, never below the one before.
    adjusted = stats.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1, 1])
    with pytest.raises(LoptError, match=r"between 0 and 1, got 0\.5 to 1\.5"):
        stats.holm([0.5, 1.5])


def test_holm_rejects_what_closed_testing_rejects():
    # Holm is closed testing with Bonferroni's test of each intersection.
    p_values = np.random.default_rng(0).uniform(0, 0.2, size=5)
    for i, adjusted in enumerate(stats.holm(p_values)):
        worst = max(
            min(1, len(subset) * p_values[list(subset)].min())
            for size in range(1, 6)
            for subset in itertools.combinations(range(5), size)
            if i in subset
        )
        assert adjusted == pytest.approx(worst)
