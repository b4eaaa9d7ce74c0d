"""Which methods may be the best, against scipy and by simulation."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=5), RNG.normal(0.4, 2.0, size=5)


def test_one_sided_tests_are_those_of_scipy():
    want = scipy_stats.ttest_rel(A, B, alternative="greater").pvalue
    assert stats.p_value_of_worse(A, B, paired=True) == pytest.approx(want)
    c = RNG.normal(size=8)
    _, want = scipy_stats.ttest_ind(A, c, equal_var=False, alternative="greater")
    assert stats.p_value_of_worse(A, c, paired=False) == pytest.approx(want)


def test_nested_by_hand():
    d = A - B
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 5 + 1 / 4))
    want = scipy_stats.t.sf(t, 4)
    assert stats.p_value_of_worse(A, B, paired=True, nested=True) == pytest.approx(want)
    low, high = scipy_stats.t.interval(
        0.9, 4, loc=A.mean(), scale=A.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    )
    interval = stats.mean_interval(A, 0.9, nested=True)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    plain = stats.mean_interval(A)
    want = scipy_stats.t.interval(0.95, 4, loc=A.mean(), scale=scipy_stats.sem(A))
    assert (plain.low, plain.high) == pytest.approx(want)


def test_without_spread():
    for paired in (True, False):
        assert stats.p_value_of_worse([2, 2], [1, 1], paired=paired) == 0
        assert stats.p_value_of_worse([1, 1], [2, 2], paired=paired) == 1
        assert stats.p_value_of_worse([1, 1], [1, 1], paired=paired) == 1


def test_one_seed_says_nothing():
    assert np.isnan(stats.p_value_of_worse([1.0], [2.0], paired=True))
    interval = stats.mean_interval([1.5])
    assert interval.estimate == 1.5
    assert np.isnan([interval.low, interval.high]).all()


def test_p_values_of_being_best():
    nan = np.nan
    rows = [[nan, 0.9, 0.3], [0.01, nan, 0.6], [0.7, 0.4, nan]]
    np.testing.assert_allclose(stats.p_values_of_being_best(rows), [0.6, 0.02, 0.8])
    rows = [[0.0, nan, 0.3], [nan, 0.0, nan], [0.2, nan, 0.0]]
    np.testing.assert_allclose(stats.p_values_of_being_best(rows), [0.3, nan, 0.2])
    assert np.isnan(stats.p_values_of_being_best([[nan]])).all()


def test_refusals():
    with pytest.raises(LoptError, match="of the same seeds, got 2 and 3"):
        stats.p_value_of_worse([1, 2], [1, 2, 3], paired=True)
    with pytest.raises(LoptError, match="NaN"):
        stats.p_value_of_worse([1, np.nan], [1, 2], paired=True)
    with pytest.raises(LoptError, match="no infinity"):
        stats.mean_interval([1, np.inf])
    with pytest.raises(LoptError, match=r"\[methods, methods\], got shape \(2, 3\)"):
        stats.p_values_of_being_best(np.ones((2, 3)))


def nested_losses(rng, num_methods, num_configs=14, num_seeds=5):
    """Equal methods, each of equal configurations, as nested selection reports them."""
    shape = (num_methods, num_configs, num_seeds)
    select, report = rng.normal(size=shape), rng.normal(size=shape)
    report = select + report
    return [
        stats.nested_selection(s, r).report for s, r in zip(select, report, strict=True)
    ]


@pytest.mark.parametrize("num_methods", [2, 6])
def test_the_best_is_seldom_ruled_out(num_methods):
    # All are equally good; the first stands for the best, which has to stay.
    rng, simulations, wrong, naive = np.random.default_rng(1), 400, 0, 0
    for _ in range(simulations):
        first, *others = nested_losses(rng, num_methods)
        of_first = [
            stats.p_value_of_worse(first, other, paired=True, nested=True)
            for other in others
        ]
        wrong += min(of_first) * len(others) < 0.05
        naive += (
            min(stats.p_value_of_worse(first, other, paired=True) for other in others)
            * len(others)
            < 0.05
        )
    limit = scipy_stats.binom.ppf(1 - 1e-5, simulations, 0.05)
    assert wrong <= limit
    # Taken as independent, nested losses would mislead more often than that.
    assert naive > wrong
