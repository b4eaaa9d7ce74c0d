"""Steps to a target and performance profiles, by hand and by numerical integration."""

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import gmean

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf


@pytest.mark.parametrize(
    ("losses", "target", "expected"),
    [
        ([4, 3, 2, 1], 2.5, 15),  # half way from 10 to 20
        ([4, 3, 2, 1], 2, 20),  # met exactly at an evaluation
        ([4, 3, 2, 1], 4, 0),  # met at once
        ([4, 3, 2, 1], 5, 0),
        ([4, 3, 2, 1], 0.5, INF),
        ([4, 2, 3, 1], 1.5, 25),  # falls from the lowest so far, 2
        ([2, 3, 3, 1], 1.5, 25),
        ([INF, INF, 2, 1], 2.5, 20),  # nothing to interpolate from
        ([INF, INF, INF, INF], 9, INF),
        ([4, 3, INF, INF], 3.5, 5),  # reached before it diverged
        ([4, 3, INF, INF], 2, INF),
    ],
)
def test_steps_to_target_by_hand(losses, target, expected):
    xs = [0, 10, 20, 30]
    assert stats.steps_to_target(losses, xs, target) == expected


def test_steps_to_target_of_many_curves():
    rng = np.random.default_rng(0)
    losses = rng.normal(size=(3, 4, 50)) + np.linspace(3, -3, 50)
    xs = np.cumsum(rng.uniform(1, 5, 50))
    targets = np.array([1.0, 0.0, -1.0, -9.0])
    steps = stats.steps_to_target(losses, xs, targets)
    fine = np.linspace(xs[0], xs[-1], 200_001)
    for i, j in np.ndindex(3, 4):
        lowest = np.interp(fine, xs, np.minimum.accumulate(losses[i, j]))
        reached = fine[lowest <= targets[j]]
        expected = reached[0] if reached.size else INF
        assert steps[i, j] == pytest.approx(expected, abs=fine[1] - fine[0])
    assert np.isinf(steps[:, 3]).all()


@pytest.mark.parametrize("xs", [[0, 1], [0, 1, 1], [2, 1, 3]])
def test_evaluations_must_fit(xs):
    with pytest.raises(LoptError, match="xs must increase, one for each evaluation"):
        stats.steps_to_target([3, 2, 1], xs, 1)


def test_targets_must_fit():
    with pytest.raises(LoptError, match=r"targets must broadcast to \(2,\), got shape"):
        stats.steps_to_target(np.ones((2, 3)), [0, 1, 2], [1, 2, 3])


COSTS = [[10, 20, INF, INF, 50], [20, 10, 60, INF, 100], [40, 40, 30, INF, INF]]
RATIOS = [[1, 2, INF, INF, 1], [2, 1, 2, INF, 2], [4, 4, 1, INF, INF]]


def test_ratios_by_hand():
    np.testing.assert_array_equal(stats.performance_ratios(COSTS), RATIOS)


def test_profile_by_hand():
    # One of the five tasks is solved by none.
    profile = stats.performance_profile(RATIOS, [0.5, 1, 1.9, 2, 4, 1e9])
    expected = [[0, 2, 2, 3, 3, 3], [0, 1, 1, 4, 4, 4], [0, 1, 1, 1, 3, 3]]
    np.testing.assert_array_equal(profile, np.array(expected) / 4)
    counted = stats.performance_profile(RATIOS, [1, 2], count_unsolved=True)
    np.testing.assert_array_equal(counted, np.array([[2, 3], [1, 4], [1, 1]]) / 5)


@pytest.mark.parametrize("count_unsolved", [False, True])
@pytest.mark.parametrize("max_ratio", [1.5, 4.0, 10.0])
def test_integrated_profile_is_the_area(max_ratio, count_unsolved):
    rng = np.random.default_rng(0)
    costs = rng.lognormal(size=(3, 7))
    costs[0, 1] = costs[:, 2] = INF
    ratios = stats.performance_ratios(costs)
    areas = stats.integrated_profile(ratios, max_ratio, count_unsolved=count_unsolved)
    for method, area in enumerate(areas):

        def profile(tau, method=method):
            [share] = stats.performance_profile(
                ratios, [tau], count_unsolved=count_unsolved
            )[method]
            return share

        steps = sorted(r for r in ratios[method] if 1 < r < max_ratio)
        expected, _ = integrate.quad(profile, 1, max_ratio, points=steps, limit=200)
        assert area == pytest.approx(expected / (max_ratio - 1), abs=1e-6)


def test_profiles_keep_leading_axes():
    costs = np.random.default_rng(0).lognormal(size=(2, 3, 4, 5))
    costs[0, 0] = INF
    ratios = stats.performance_ratios(costs)
    taus = [1, 2, 3]
    profiles = stats.performance_profile(ratios, taus)
    areas = stats.integrated_profile(ratios)
    assert profiles.shape == (2, 3, 4, 3)
    for i, j in np.ndindex(2, 3):
        one = stats.performance_ratios(costs[i, j])
        np.testing.assert_array_equal(
            profiles[i, j], stats.performance_profile(one, taus)
        )
        np.testing.assert_array_equal(areas[i, j], stats.integrated_profile(one))
    # No task was solved by any method, within any factor.
    assert not profiles[0, 0].any()
    assert not areas[0, 0].any()


def test_costs_and_ratios_out_of_range():
    with pytest.raises(LoptError, match=r"must be above 0, got 2 .* such as 0\.0"):
        stats.performance_ratios([[1, 0, 2], [-1, 2, 3]])
    with pytest.raises(LoptError, match=r"ratios must be at least 1, got 0\.5"):
        stats.performance_profile([[0.5, 2]], [1])
    with pytest.raises(LoptError, match=r"max_ratio .* between 1 and inf, got 1"):
        stats.integrated_profile(RATIOS, 1)


def test_speedup_is_scipys_geometric_mean():
    rng = np.random.default_rng(0)
    costs, baseline = rng.lognormal(size=(2, 3, 6))
    speedups = stats.geometric_mean_speedup(costs, baseline)
    np.testing.assert_allclose(speedups, gmean(baseline / costs, axis=-1))
    np.testing.assert_allclose(
        stats.geometric_mean_speedup(baseline, costs), 1 / speedups
    )


def test_speedup_of_unsolved_tasks():
    speedup = stats.geometric_mean_speedup
    # Twice, and eight times as fast; the third task neither solved.
    costs, baseline = [10, 10, INF], [20, 80, INF]
    assert speedup(costs, baseline) == pytest.approx(4)
    assert speedup(costs, baseline, censored_at=1000) == pytest.approx(4)
    assert speedup([10, 10, 10], baseline) == INF
    assert speedup(costs, [20, 80, 5]) == 0
    assert speedup([10, 10], [20, INF], censored_at=80) == pytest.approx(4)
    assert speedup([20, INF], [10, 10], censored_at=80) == pytest.approx(1 / 4)
    with pytest.raises(LoptError, match="some only the baseline solved"):
        speedup([10, INF], [INF, 10])
    assert speedup([10, INF], [INF, 10], censored_at=80) == pytest.approx(1)
    with pytest.raises(LoptError, match="neither the method nor the baseline solved"):
        speedup([INF], [INF])
    with pytest.raises(LoptError, match=r"censored at 50, but 1 are beyond, up to 80"):
        speedup(costs, baseline, censored_at=50)
    with pytest.raises(LoptError, match=r"same tasks, got shapes \(2,\) and \(3,\)"):
        speedup([1, 2], [1, 2, 3])


def test_score_profile_by_hand():
    scores = [[0.0, 0.5], [1.0, -INF]]
    profile = stats.score_profile([scores, [[1, 1], [1, 1]]], [-1, 0, 0.5, 2])
    np.testing.assert_array_equal(profile, [[0.75, 0.5, 0.25, 0], [1, 1, 1, 0]])
