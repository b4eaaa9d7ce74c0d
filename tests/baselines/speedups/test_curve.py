"""The baseline's curve against closed forms, its band against enumeration."""

import numpy as np
import pytest

from learned_optimization.baselines.speedups.curve import build_curve, ema
from learned_optimization.errors import LoptError, ResultError
from tests.baselines.curves import (
    Shape,
    averaged_geometric,
    geometric,
    with_seeds,
    write_losses,
)

FAST: Shape = {"scale": 3.0, "rate": 0.9, "floor": 1.0}
SLOW: Shape = {"scale": 4.0, "rate": 0.98, "floor": 0.0}


def test_average_is_the_weighted_sum_it_is_defined_as():
    values = np.random.default_rng(0).random((2, 3, 40))
    got = ema(values, 0.8)
    for i in range(40):
        weights = 0.2 * 0.8 ** np.arange(i, -1.0, -1)
        weights[0] = 0.8**i
        assert weights.sum() == pytest.approx(1.0)
        want = (values[..., : i + 1] * weights).sum(-1)
        np.testing.assert_allclose(got[..., i], want, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_average_of_what_diverged_is_nan_from_then_on(bad):
    values = np.ones((2, 9), np.float32)
    values[1, 4] = bad
    got = ema(values)
    np.testing.assert_array_equal(got[0], 1.0)
    assert np.isfinite(got[1, :4]).all()
    assert np.isnan(got[1, 4:]).all()


def test_curve_is_the_lower_of_two_that_cross():
    curves = [geometric(**FAST), geometric(**SLOW)]
    write_losses("T", "A", with_seeds(curves, [-0.3, 0.0, 0.3]))
    curve = build_curve("T", ["A"], 101)
    fast, slow = averaged_geometric(**FAST), averaged_geometric(**SLOW)
    # They do cross.
    assert fast[30] < slow[30]
    assert fast[100] > slow[100]
    np.testing.assert_allclose(curve.steps, np.arange(0, 1001, 10))
    np.testing.assert_allclose(curve.losses, np.minimum(fast, slow), rtol=1e-12)


def test_several_sets_are_one_baseline():
    write_losses("T", "A", with_seeds([geometric(**FAST)], [0.0, 0.0]))
    write_losses("T", "B", with_seeds([geometric(**SLOW)], [0.0, 0.0]))
    curve = build_curve("T", ["A", "B"], 101)
    want = np.minimum(averaged_geometric(**FAST), averaged_geometric(**SLOW))
    np.testing.assert_allclose(curve.losses, want, rtol=1e-12)


@pytest.mark.parametrize("num_points", [4, 512])
def test_points_lie_on_straight_lines_between_evaluations(num_points):
    write_losses("T", "A", with_seeds([geometric(**FAST)], [0.0]))
    curve = build_curve("T", ["A"], num_points)
    at_evaluations = averaged_geometric(**FAST)
    assert (curve.steps[0], curve.steps[-1]) == (0.0, 1000.0)
    assert len(curve.steps) == num_points
    for step, loss in zip(curve.steps, curve.losses, strict=True):
        left = min(int(step // 10), 99)
        share = step / 10 - left
        want = (1 - share) * at_evaluations[left] + share * at_evaluations[left + 1]
        assert loss == pytest.approx(want, rel=1e-12)


def test_curve_never_rises():
    rising = np.concatenate([np.linspace(2.0, 1.0, 51), np.linspace(1.0, 5.0, 50)])
    write_losses("T", "A", with_seeds([rising], [0.0]))
    curve = build_curve("T", ["A"], 101)
    lowest = [min(ema(rising)[: i + 1]) for i in range(101)]
    np.testing.assert_allclose(curve.losses, lowest, rtol=1e-12)
    assert curve.losses[-1] == curve.losses[-2] > 1.0


def test_configuration_drops_out_where_a_seed_of_it_diverged():
    losses = with_seeds([geometric(**FAST), geometric(**SLOW)], [0.0, 0.0])
    losses[0, 1, 20:] = np.nan
    losses[0, 1, 25] = 0.0
    write_losses("T", "A", losses)
    fast, slow = averaged_geometric(**FAST), averaged_geometric(**SLOW)
    want = np.where(np.arange(101) < 20, np.minimum(fast, slow), slow)
    np.testing.assert_allclose(
        build_curve("T", ["A"], 101).losses, np.minimum.accumulate(want), rtol=1e-12
    )


def test_no_configuration_is_left():
    losses = with_seeds([geometric(**FAST), geometric(**SLOW)], [0.0, 0.0])
    losses[0, 1, 20:] = np.nan
    losses[1, 0, 70:] = np.inf
    write_losses("T", "A", losses)
    with pytest.raises(LoptError, match="A on T has a seed that diverged by step 700"):
        build_curve("T", ["A"], 101)


def test_band_of_two_seeds_is_known():
    # Of two draws, a quarter are the first seed twice, a half are both.
    write_losses("T", "A", with_seeds([geometric(**FAST)], [-0.5, 0.5]))
    middle = averaged_geometric(**FAST)
    for level, half in ((0.95, 0.5), (0.1, 0.0)):
        curve = build_curve("T", ["A"], 101, level=level)
        assert curve.band is not None
        np.testing.assert_allclose(curve.losses, middle, rtol=1e-12)
        np.testing.assert_allclose(curve.band.low, middle - half, rtol=1e-12)
        np.testing.assert_allclose(curve.band.high, middle + half, rtol=1e-12)


def test_band_draws_the_same_seeds_of_every_configuration():
    # One is low where the other is high: drawn together, they cancel in the minimum
    # only if both get the same seeds.
    offsets = np.array([[-0.5, 0.5], [0.5, -0.5]])
    write_losses("T", "A", geometric(**FAST) + offsets[:, :, None])
    curve = build_curve("T", ["A"], 101, level=0.99)
    assert curve.band is not None
    middle = averaged_geometric(**FAST)
    # (0, 0) and (1, 1) give the lower of the two, (0, 1) the mean: never above it.
    np.testing.assert_allclose(curve.band.low, middle - 0.5, rtol=1e-12)
    np.testing.assert_allclose(curve.band.high, middle, rtol=1e-12)


def test_one_seed_has_no_band():
    write_losses("T", "A", with_seeds([geometric(**FAST)], [0.0]))
    assert build_curve("T", ["A"], 101).band is None


def test_seed_decides_the_band():
    losses = geometric(**FAST) + np.random.default_rng(0).random((3, 5, 101))
    write_losses("T", "A", losses)

    def bands(seed):
        band = build_curve("T", ["A"], 101, num_resamples=20, seed=seed).band
        assert band is not None
        return np.stack([band.low, band.high])

    np.testing.assert_array_equal(bands(3), bands(3))
    assert (bands(3) != bands(4)).any()


def test_missing_archive_names_the_command():
    with pytest.raises(ResultError, match="no archive of AdamLR_1000_R5 on T"):
        build_curve("T", ["AdamLR_1000_R5"], 101)


def test_one_evaluation_is_no_curve():
    write_losses("T", "A", with_seeds([[2.0]], [0.0]))
    with pytest.raises(LoptError, match="A on T has one evaluation"):
        build_curve("T", ["A"], 101)


@pytest.mark.parametrize("changed", [{"every": 20}, {"seeds": [0.0]}])
def test_sets_that_do_not_fit(changed):
    seeds = changed.pop("seeds", [0.0, 0.0])
    write_losses("T", "A", with_seeds([geometric(**FAST)], [0.0, 0.0]))
    write_losses("T", "B", with_seeds([geometric(**SLOW)], seeds), **changed)
    with pytest.raises(LoptError, match="A and B on T cannot be one baseline"):
        build_curve("T", ["A", "B"], 101)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_points": 1}, "number of points must be .* at least 2, got 1"),
        ({"num_resamples": 0}, "num_resamples must be .* at least 1, got 0"),
        ({"level": 1.0}, "level must be above 0 and below 1, got 1.0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(LoptError, match=message):
        build_curve("T", ["A"], **{"num_points": 101, **arguments})
