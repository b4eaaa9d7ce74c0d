"""The smaller of two t statistics, against scipy and another way to write Hall's."""

import statistics

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.single_tests import share_of_level
from learned_optimization.baselines.stats.student_hall import (
    critical_t,
    lower_bound_of_mean,
    seeds_needed,
    smaller_t,
)
from learned_optimization.errors import LoptError
from tests.baselines.stats.race_cases import golden


def hall(x: list[float]) -> float:
    """Return Hall's t as he writes it, `(1 + g u / 3)^3`, without numpy."""
    n, mean, sd = len(x), statistics.fmean(x), statistics.stdev(x)
    g = statistics.fmean([((v - mean) / sd) ** 3 for v in x])
    u = mean / sd
    return n**0.5 * (((1 + g * u / 3) ** 3 - 1) / g + g / (6 * n))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_smaller_of_students_and_halls(seed):
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=3 + seed) * rng.choice([-1, 1]) + rng.normal()
    student, _ = scipy_stats.ttest_1samp(x, 0.0)
    assert smaller_t(x) == pytest.approx(min(student, hall(x.tolist())), rel=1e-9)


def test_of_units():
    for unit in golden()["units"]["tstat"]:
        t = smaller_t(unit["x"], unit["shift"])
        assert t == pytest.approx(float(unit["t"]), abs=1e-6), unit
    for unit in golden()["units"]["t_needed"]:
        share = 1 / 7 if unit["seeds"] <= 128 else 1 / 14
        level = unit["alpha"] * share / unit["sets_left"]
        t = critical_t(level, unit["seeds"] - 1)
        assert t == pytest.approx(unit["t"], abs=1e-4), unit
    for unit in golden()["units"]["more_seeds"]:
        asked = (unit["d"], unit["s"], unit["level"])
        assert seeds_needed(*asked, at_least=unit["n_now"]) == unit["n"], unit


def test_critical_values_are_those_of_scipy():
    levels = np.array([0.4, 0.05, 1e-3, 1e-6])
    for n in (2, 3, 5, 40, 10_000):
        expected = scipy_stats.t.isf(levels, n - 1)
        np.testing.assert_allclose(critical_t(levels, n), expected, rtol=1e-9)


def test_two_differences_have_no_skewness():
    expected, _ = scipy_stats.ttest_1samp([0.1, 0.4], 0.0)
    assert smaller_t([0.1, 0.4]) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_no_scale_is_too_small_or_large(scale):
    x = np.random.default_rng(0).exponential(size=(4, 9)) - 0.7
    np.testing.assert_allclose(smaller_t(scale * x), smaller_t(x), rtol=1e-12)
    shifted = smaller_t(scale * x, 0.3 * scale)
    np.testing.assert_allclose(shifted, smaller_t(x, 0.3), rtol=1e-12)
    bounds = lower_bound_of_mean(scale * x, 2.0) / scale
    np.testing.assert_allclose(bounds, lower_bound_of_mean(x, 2.0), rtol=1e-12)


def test_what_is_equal_but_for_rounding_has_no_spread():
    third = [0.1 + 0.2, 0.3, 0.3, 0.3]
    assert smaller_t(third) == np.inf
    assert smaller_t(-np.array(third)) == -np.inf
    # They all are 0 after the shift, but for rounding.
    assert smaller_t(third, -0.3) == 0.0
    assert smaller_t([0.0, 0.0]) == 0.0
    assert smaller_t([1.0, 1.0 + 1e-9, 1.0]) < 1e10


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_bound_is_the_test_inverted(sign):
    x = sign * np.random.default_rng(1).exponential(size=(50, 7))
    for t in (-1.0, 0.0, 1.9, 6.0):
        bound = lower_bound_of_mean(x, t)
        np.testing.assert_allclose(smaller_t(x - bound[:, None]), t, atol=1e-6)
    assert lower_bound_of_mean([0.2, 0.2, 0.2], 3.0) == 0.2


def test_seeds_needed_by_trying_every_number():
    z = scipy_stats.norm.ppf(0.8)
    for difference in (0.3, 0.5, 1.1):
        tried = next(
            n
            for n in range(2, 10_000)
            if difference >= (scipy_stats.t.isf(0.005, n - 1) + z) / n**0.5
        )
        assert seeds_needed(difference, 1.0, 0.005) == tried
    assert seeds_needed(0.0, 1.0, 0.005) is None
    assert seeds_needed(1e-9, 1.0, 0.005) is None
    assert seeds_needed(0.1, 0.0, 0.005, at_least=7) == 7


@pytest.mark.parametrize("x", [[0.1], [], [0.1, np.nan], [0.1, np.inf]])
def test_what_has_no_t_is_refused(x):
    with pytest.raises(LoptError, match="differences"):
        smaller_t(x)


def test_skewed_differences_pass_seldom():
    # A tight set against a skewed one of equal mean. Student's t would pass in 11%
    # to 12% of 5 seeds; the binomial sd of a share is 0.0015 here.
    x = 1 - np.random.default_rng(0).exponential(size=(20_000, 9))
    for num_seeds, at_most in ((4, 0.05), (5, 0.06), (8, 0.075), (10, 0.068)):
        n = num_seeds - 1
        t = critical_t(0.025 * share_of_level(num_seeds), n)
        assert (smaller_t(x[:, :n]) > t).mean() < at_most, num_seeds
    assert share_of_level(3) == 0.0
