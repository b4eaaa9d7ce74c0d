"""How often intervals hold the true value; more in benchmarks/interval_coverage.py.

Levels of tasks and noise of runs are symmetric about 0, so that the true value is 0
(0.5 for the probability of improvement) whatever the statistic.
"""

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from learned_optimization.baselines import stats

NUM_SIMULATIONS = 500
NUM_RUNS, NUM_TASKS = 3, 20
FALSE_ALARM = 1e-5


def hits(statistic, over, method, truth=0.0, num_arrays=1) -> int:
    rng = np.random.default_rng(0)
    levels = norm.ppf((np.arange(NUM_TASKS) + 0.5) / NUM_TASKS)
    found = 0
    for seed in range(NUM_SIMULATIONS):
        if "tasks" in over:
            levels = rng.normal(size=NUM_TASKS)
        noise = rng.normal(scale=0.5, size=(num_arrays, NUM_RUNS, NUM_TASKS))
        interval = stats.bootstrap(
            statistic,
            tuple(levels + noise),
            num_resamples=1000,
            over=over,
            method=method,
            seed=seed,
        )
        found += interval.low <= truth <= interval.high
    return found


@pytest.mark.slow
@pytest.mark.parametrize("over", [("runs",), ("runs", "tasks")])
@pytest.mark.parametrize("statistic", [stats.mean, stats.iqm])
def test_adjusted_intervals_cover(statistic, over):
    found = hits(statistic, over, "adjusted")
    assert found >= binom.ppf(FALSE_ALARM, NUM_SIMULATIONS, 0.93)
    assert found < NUM_SIMULATIONS


@pytest.mark.slow
def test_adjusted_intervals_of_two_methods_cover():
    found = hits(stats.probability_of_improvement, ("runs",), "adjusted", 0.5, 2)
    assert found >= binom.ppf(FALSE_ALARM, NUM_SIMULATIONS, 0.93)
    assert found < NUM_SIMULATIONS


@pytest.mark.slow
def test_percentile_intervals_fall_short_as_calculated():
    # They are normal quantiles of a variance that is (n - 1) / n of what it should be.
    degrees = NUM_TASKS * (NUM_RUNS - 1)
    quantile = norm.ppf(0.975) * ((NUM_RUNS - 1) / NUM_RUNS) ** 0.5
    expected = 1 - 2 * t.sf(quantile, degrees)
    assert expected == pytest.approx(0.88, abs=0.005)
    found = hits(stats.mean, ("runs",), "percentile")
    low, high = binom.ppf([FALSE_ALARM, 1 - FALSE_ALARM], NUM_SIMULATIONS, expected)
    assert low <= found <= high
