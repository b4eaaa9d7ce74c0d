"""Thinning keeps what the eye would see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_optimization.baselines.analysis.smoothing import (
    decaying,
    kept_points,
    smooth,
    spacings,
    thinned_band,
)
from learned_optimization.errors import LoptError


def test_short_curves_stay_whole():
    xs = np.arange(20)
    assert kept_points(xs, np.zeros(20), 10).tolist() == list(range(20))


@given(st.integers(0, 1000), st.integers(2, 60), st.integers(200, 700))
def test_every_peak_and_dip_stays(seed, num_bins, num_points):
    rng = np.random.default_rng(seed)
    xs = np.cumsum(rng.integers(1, 9, num_points))
    values = rng.standard_normal(num_points)
    values[rng.integers(num_points)] = 1e6
    values[rng.integers(num_points)] = -1e6
    kept = kept_points(xs, values, num_bins)
    assert kept[0] == 0
    assert kept[-1] == num_points - 1
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 2 * num_bins + 2
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()


def test_in_equal_stretches_the_envelope_is_exact():
    xs = np.arange(1000)
    values = np.sin(xs / 3) + np.random.default_rng(0).standard_normal(1000)
    kept = kept_points(xs, values, 100)
    # Half of a hundred bins are 20 points wide: none of theirs is lost.
    for start in range(0, 1000, 20):
        inside = values[start : start + 20]
        drawn = values[[k for k in kept if start <= k < start + 20]]
        assert drawn.max() == inside.max()
        assert drawn.min() == inside.min()


def test_where_a_curve_ends_stays():
    xs, values = np.arange(500), np.ones(500)
    values[321:] = np.nan
    kept = kept_points(xs, values, 10)
    finite = [k for k in kept if k < 321]
    assert np.isnan(values[kept[len(finite) :]]).all()
    assert np.isfinite(values[finite]).all()
    assert kept_points(xs, np.full(500, np.nan), 10).tolist() == [0, 499]


def test_too_few_bins():
    with pytest.raises(LoptError, match="at least 2 bins, got 1"):
        kept_points(np.arange(9), np.zeros(9), 1)


@given(st.integers(0, 1000), st.integers(4, 60))
def test_a_band_is_nowhere_narrower(seed, num_bins):
    rng = np.random.default_rng(seed)
    xs = np.arange(400) * 10
    middle = rng.standard_normal(400).cumsum()
    low, high = middle - rng.random(400), middle + rng.random(400)
    thin_xs, thin_low, thin_high = thinned_band(xs, low, high, num_bins)
    assert len(thin_xs) <= num_bins + 2
    assert (np.interp(xs, thin_xs, thin_low) <= low + 1e-12).all()
    assert (np.interp(xs, thin_xs, thin_high) >= high - 1e-12).all()


def by_hand(values: np.ndarray, ema: float, gaps: np.ndarray) -> list[float]:
    """Average a curve place by place, with straight lines in the gaps."""
    places = np.concatenate([[0], np.cumsum(gaps)])
    line = np.interp(np.arange(places[-1] + 1), places, values)
    average, averages = float(values[0]), [float(values[0])]
    for value in line[1:]:
        average = ema * average + (1 - ema) * value
        averages.append(average)
    return [averages[place] for place in places]


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.9, 0.99]))
def test_averages_reach_over_gaps_as_over_straight_lines(seed, ema):
    rng = np.random.default_rng(seed)
    gaps = rng.integers(1, 40, 12)
    values = rng.standard_normal(13)
    got = decaying(values, ema, values[0], gaps)
    np.testing.assert_allclose(got, by_hand(values, ema, gaps), rtol=1e-9, atol=1e-11)


def test_a_gap_takes_no_room():
    gaps = spacings(np.asarray([0, 1, 2**50]))
    assert gaps.tolist() == [1, 2**50 - 1]
    # So long a line is at its end, less the mean lag of the average.
    got = smooth(np.asarray([3.0, 2.0, 1.0]), 0.9, gaps)
    np.testing.assert_allclose(got[-1], 1.0, rtol=1e-12)


def test_an_average_ends_where_its_curve_does():
    values = np.asarray([2.0, 1.0, np.inf, 1.0])
    got = smooth(values, 0.5, np.asarray([1, 5, 3]))
    assert np.isfinite(got[:2]).all()
    assert np.isnan(got[2:]).all()
