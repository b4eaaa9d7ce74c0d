"""Sums over tasks, of the combination of configurations that is hardest to refuse."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.sums import lower_bound_of_sum, sum_over_tasks

LEVEL = 0.02


def welch(rows, shift=0.0):
    """Return t, degrees of freedom, mean and error of a sum of rows, by hand."""
    variances = np.array([np.var(x, ddof=1) / len(x) for x in rows])
    free = np.array([len(x) - 1 for x in rows])
    error = np.sqrt(variances.sum())
    freedom = variances.sum() ** 2 / (variances**2 / free).sum()
    mean = sum(np.mean(x) + shift for x in rows)
    return mean / error, freedom, mean, error


def drawn(rng):
    """Return differences of tasks whose configurations differ in mean and spread."""
    num_tasks, num_configs = rng.integers(2, 5), rng.integers(1, 6)
    found = []
    for _ in range(num_tasks):
        mean = rng.exponential(rng.choice([0.1, 1.0]), size=(num_configs, 1)) - 0.05
        sd = mean.clip(0.02) * rng.exponential(1.0, size=(num_configs, 1))
        noise = rng.normal(size=(num_configs, rng.integers(3, 9)))
        found.append(mean + sd * noise)
    return found


def test_of_one_configuration_each_it_is_welchs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, size=8), rng.normal(-0.1, 3, size=5)
    total = sum_over_tasks([x[None], y[None]])
    # The sum of x and y is the difference of x and -y.
    of_welch = {"equal_var": False, "alternative": "greater"}
    t, p_value = scipy_stats.ttest_ind(x, -y, **of_welch)
    assert total.t == pytest.approx(t)
    assert total.p_value() == pytest.approx(p_value)
    bound = lower_bound_of_sum([x[None], y[None]], 0.05)
    _, p_value = scipy_stats.ttest_ind(x - bound, -y, **of_welch)
    assert p_value == pytest.approx(0.05)
    assert sum_over_tasks([x[None], y[None]], 0.2).mean == pytest.approx(
        total.mean + 0.4
    )


def test_no_combination_is_harder_to_refuse():
    rng = np.random.default_rng(1)
    for _ in range(100):
        differences = drawn(rng)
        total = sum_over_tasks(differences, tolerance=0.01)
        every = [welch(rows, 0.01) for rows in itertools.product(*differences)]
        hardest = max(scipy_stats.t.sf(t, freedom) for t, freedom, *_ in every)
        assert total.p_value() == pytest.approx(hardest, rel=1e-9)
        chosen = [x[b] for x, b in zip(differences, total.configs, strict=True)]
        assert (total.t, total.freedom) == pytest.approx(welch(chosen, 0.01)[:2])


def test_no_combination_has_a_lower_bound():
    rng = np.random.default_rng(2)
    for _ in range(100):
        differences = drawn(rng)
        every = [welch(rows) for rows in itertools.product(*differences)]
        lowest = min(
            mean - scipy_stats.t.isf(LEVEL, freedom) * error
            for _, freedom, mean, error in every
        )
        bound = lower_bound_of_sum(differences, LEVEL)
        assert bound == pytest.approx(lowest, rel=1e-9)
        # It inverts the test.
        is_refused = sum_over_tasks(differences).p_value() < LEVEL
        assert is_refused == (bound > 0.0)


def test_a_wide_configuration_that_is_far_off_does_not_hide_a_tight_one():
    near = np.array([0.09, 0.10, 0.11, 0.10])
    far = np.array([3.0, 9.0, 6.0, 5.0])
    one, other = (sum_over_tasks([x, x]) for x in (near[None], np.stack([near, far])))
    assert one.p_value() < 1e-6
    # Worse than of the near one alone, and than of the far one alone.
    assert one.p_value() < other.p_value() < 0.02
    assert set(other.configs) == {0, 1}


def test_without_any_spread():
    same = [np.full((1, 4), 0.1)] * 2
    assert sum_over_tasks(same).t == np.inf
    assert lower_bound_of_sum(same, 0.05) == pytest.approx(0.2)
    assert sum_over_tasks([np.zeros((1, 4))]).t == 0.0
    assert sum_over_tasks([np.zeros((1, 4))]).p_value() == 0.5
    assert sum_over_tasks([np.full((2, 4), -0.1)]).p_value() == 1.0


def test_differences_may_be_tiny():
    x = np.random.default_rng(3).normal(0.5, 1.0, size=(3, 6))
    plain, tiny = sum_over_tasks([x, x]), sum_over_tasks([1e-300 * x, 1e-300 * x])
    assert tiny.t == pytest.approx(plain.t)
    assert lower_bound_of_sum([1e-300 * x], 0.05) == pytest.approx(
        1e-300 * lower_bound_of_sum([x], 0.05)
    )
