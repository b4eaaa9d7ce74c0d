"""Scores of many runs and tasks as one number, against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 5), (5, 20), (7, 3)])
def test_iqm_is_scipys_trimmed_mean(shape):
    scores = np.random.default_rng(0).standard_t(2, size=(4, *shape))
    expected = [trim_mean(s.reshape(-1), 0.25) for s in scores]
    np.testing.assert_allclose(stats.iqm(scores), expected, rtol=1e-12)


def test_iqm_over_one_axis():
    scores = np.random.default_rng(0).normal(size=(6, 9, 4))
    for axis in (0, 1, -1):
        np.testing.assert_allclose(
            stats.iqm(scores, axis=axis), trim_mean(scores, 0.25, axis=axis)
        )
    assert stats.iqm([5.0, 1.0, 3.0, 100.0], axis=0) == 4.0
    with pytest.raises(LoptError, match="axis must name axes of scores"):
        stats.iqm(scores, axis=3)


def test_aggregates_by_hand():
    scores = [[0.0, 2.0, 8.0], [1.0, 4.0, 6.0]]
    assert stats.mean(scores) == 3.5
    # Means over runs: 0.5, 3, 7.
    assert stats.median(scores) == 3.0
    # Of six, one is left out at either end: 1, 2, 4, 6.
    assert stats.iqm(scores) == 13 / 4
    # Below 5: by 5, 3, 4 and 1.
    assert stats.optimality_gap(scores, target=5) == 13 / 6
    assert stats.optimality_gap(scores) == 1 / 6


@pytest.mark.parametrize(
    "statistic", [stats.iqm, stats.median, stats.mean, stats.optimality_gap]
)
def test_leading_axes_are_kept(statistic):
    scores = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    values = statistic(scores)
    assert values.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert values[i, j] == pytest.approx(float(statistic(scores[i, j])), rel=1e-14)


def test_diverged_runs_are_the_worst():
    # Of twelve values three, a quarter, may diverge; of three tasks one.
    scores = np.arange(12.0).reshape(4, 3)
    scores[:3, 0] = -INF
    assert stats.iqm(scores) == np.mean([1, 2, 4, 5, 7, 8])
    assert stats.median(scores) == np.mean([1, 4, 7, 10])
    assert stats.mean(scores) == -INF
    assert stats.optimality_gap(scores) == INF
    scores[3, 0] = -INF
    assert stats.iqm(scores) == -INF
    scores[0, 1] = -INF
    assert stats.median(scores) == -INF


def test_losses_rank_the_other_way_round():
    losses = [[1.0, 2.0], [3.0, INF]]
    assert stats.iqm(losses) == 2.5
    assert stats.mean(losses) == INF


def test_diverged_losses_are_marked():
    losses = np.array([1, np.nan, INF, -INF, 2], dtype=np.float32)
    marked = stats.mark_diverged(losses)
    assert marked.tolist() == [1, INF, INF, INF, 2]
    assert marked.dtype == np.float64
    assert np.isnan(losses[1])
