"""The interquartile mean of tasks with different numbers of runs."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.aggregates import iqm
from learned_optimization.baselines.stats.pooled import pooled_iqm
from learned_optimization.baselines.stats.resampling import bootstrap


def test_each_run_counts_once():
    scores = [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0, 100.0, -100.0, 2.0])]
    found = pooled_iqm(scores, over=("runs",), seed=0)
    # Of eight runs two are cut at either end: 1, -100, and 5, 100.
    assert found.estimate == (2.0 + 2.0 + 3.0 + 4.0) / 4


@pytest.mark.parametrize("over", [("runs",), ("runs", "tasks")])
def test_of_equal_numbers_it_is_the_bootstrap(over):
    scores = np.random.default_rng(0).normal(size=(6, 5))
    found = pooled_iqm(list(scores.T), over=over, seed=3)
    assert found == bootstrap(iqm, scores, over=over, seed=3)


def test_the_interval_is_as_wide_as_that_of_as_many_runs():
    rng = np.random.default_rng(1)
    runs = rng.normal(size=24)
    even = pooled_iqm([runs[:12], runs[12:]], over=("runs",), seed=0)
    uneven = pooled_iqm([runs[:11], runs[11:]], over=("runs",), seed=0)
    assert uneven.estimate == pytest.approx(even.estimate)
    assert uneven.high - uneven.low == pytest.approx(even.high - even.low, rel=0.1)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    num_trials = 200
    covered = 0
    for i in range(num_trials):
        scores = [rng.normal(size=n) for n in (6, 9)]
        found = pooled_iqm(scores, over=("runs",), num_resamples=200, seed=i)
        covered += found.low <= 0.0 <= found.high
    # 95%, and three standard errors of 200 trials below.
    assert covered >= scipy_stats.binom.ppf(0.0015, num_trials, 0.95)


def test_one_run_has_no_interval():
    found = pooled_iqm([np.array([1.0]), np.array([2.0, 3.0])], over=("runs",), seed=0)
    assert found.estimate == 2.0
    assert np.isnan([found.low, found.high]).all()
