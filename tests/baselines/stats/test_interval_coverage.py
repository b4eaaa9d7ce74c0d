"""How often intervals hold the true value; more in benchmarks/interval_coverage.py.

Levels of tasks and noise of runs are symmetric about 0, so that the true value is 0
(0.5 for the probability of improvement) whatever the statistic.
"""

import re
import subprocess
import sys
from pathlib import Path

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
    covered = 0
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
        covered += interval.low <= truth <= interval.high
    return covered


@pytest.mark.slow
@pytest.mark.parametrize("over", [("runs",), ("runs", "tasks")])
@pytest.mark.parametrize("statistic", [stats.mean, stats.iqm])
def test_adjusted_intervals_cover(statistic, over):
    covered = hits(statistic, over, "adjusted")
    assert covered >= binom.ppf(FALSE_ALARM, NUM_SIMULATIONS, 0.93)
    assert covered < NUM_SIMULATIONS


@pytest.mark.slow
def test_adjusted_intervals_of_two_methods_cover():
    covered = hits(stats.probability_of_improvement, ("runs",), "adjusted", 0.5, 2)
    assert covered >= binom.ppf(FALSE_ALARM, NUM_SIMULATIONS, 0.93)
    assert covered < NUM_SIMULATIONS


@pytest.mark.slow
def test_percentile_intervals_fall_short_as_calculated():
    # They are normal quantiles of a variance that is (n - 1) / n of what it should be.
    degrees = NUM_TASKS * (NUM_RUNS - 1)
    quantile = norm.ppf(0.975) * ((NUM_RUNS - 1) / NUM_RUNS) ** 0.5
    expected = 1 - 2 * t.sf(quantile, degrees)
    assert expected == pytest.approx(0.88, abs=0.005)
    covered = hits(stats.mean, ("runs",), "percentile")
    low, high = binom.ppf([FALSE_ALARM, 1 - FALSE_ALARM], NUM_SIMULATIONS, expected)
    assert low <= covered <= high


@pytest.mark.slow
def test_the_script_prints_every_case_and_a_summary():
    script = Path(__file__).parents[3] / "benchmarks" / "interval_coverage.py"
    options = ["--law", "normal", "--simulations", "2", "--resamples", "100"]
    command = [sys.executable, str(script), *options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cases = re.findall(r"^\| normal \| \w+ \| \d+ \| \d+ ", output, re.MULTILINE)
    summary = re.findall(r"^\| [a-z ]+ \| \d+ \| \d+ \| \d+ \(", output, re.MULTILINE)
    # Four statistics of 3 numbers of runs, each over runs alone of one task, and in
    # three ways of 5 and of 20.
    assert (len(cases), len(summary)) == (4 * 3 * 7, 3 * 7)
