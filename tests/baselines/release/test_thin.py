"""Thin archives: which evaluations stay, how exact they are, and what stays whole."""

from decimal import Decimal

import numpy as np
import pytest

from learned_optimization.baselines.release.thin import (
    LOSS_BITS,
    NUM_KEPT,
    OTHER_BITS,
    THIN_KEYS,
    Thinned,
    log_spaced,
    rounded,
    thin,
    thinned_of,
)
from learned_optimization.errors import LoptError


@pytest.mark.parametrize("num", [1, 2, 24, 25, 26, 27, 30, 101, 1_001, 10_001, 300_001])
def test_places_are_distinct_and_hold_both_ends(num):
    places = log_spaced(num)
    assert len(places) == min(num, NUM_KEPT)
    assert places[0] == 0
    assert places[-1] == num - 1
    assert (np.diff(places) > 0).all()


def test_places_are_log_spaced_where_they_are_further_apart_than_one():
    places = log_spaced(10_001)
    ratios = (places[9:] + 1) / (places[8:-1] + 1)
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=0.05)


def nearest(value: float, bits: int) -> float:
    """The nearest number of so many bits behind the leading one, by exact decimals."""
    mantissa, exponent = np.frexp(value)
    scale = Decimal(2) ** (bits + 1)
    whole = (Decimal(float(mantissa)) * scale).to_integral_value("ROUND_HALF_EVEN")
    return float(whole / scale * Decimal(2) ** int(exponent))


@pytest.mark.parametrize("bits", [1, 4, 7, 22])
def test_rounding_is_to_the_nearest(bits):
    rng = np.random.default_rng(bits)
    values = (rng.normal(size=200) * 10.0 ** rng.integers(-20, 20, 200)).astype("f4")
    ties = np.asarray([1.5, 2.5, -3.5, 1.0, 255.0], np.float32)
    values = np.concatenate([values, ties])
    got = rounded(values, bits)
    assert got.dtype == np.float32
    assert got.tolist() == [nearest(float(v), bits) for v in values]
    assert (np.abs(got - values) <= 2.0 ** -(bits + 1) * np.abs(values)).all()


def test_what_is_no_number_stays_and_nothing_becomes_infinite():
    largest = np.finfo(np.float32).max
    values = np.asarray([np.nan, np.inf, -np.inf, 0.0, largest, -largest], np.float32)
    np.testing.assert_array_equal(rounded(values, 7), values)
    exact = np.asarray([1.2345678], np.float32)
    np.testing.assert_array_equal(rounded(exact, 23), exact)


@pytest.fixture
def archive():
    rng = np.random.default_rng(0)
    axes = (2, 3)
    curves = {
        f"eval/{split}/{key}": rng.random((*axes, 101)).astype(np.float32)
        for split in ("train", "outer_valid", "test")
        for key in ("loss", "loss_normalized", "accuracy")
    }
    return {
        "train/xs": np.broadcast_to(np.arange(1001), (*axes, 1001)),
        "train/loss": rng.random((*axes, 1001)).astype(np.float32),
        "eval/xs": np.broadcast_to(10 * np.arange(101), (*axes, 101)),
        **curves,
        "eval/eval_batches": np.full(axes, 5),
        "final/test/loss": rng.random(axes).astype(np.float32),
        "seed": np.broadcast_to(np.arange(3), axes),
        "opt_name": np.asarray([["a"] * 3, ["b"] * 3]),
    }


def test_thinning(archive):
    got = thin(archive)
    assert set(got) == {*archive, *THIN_KEYS}
    assert thinned_of(got) == Thinned(101, 1001, LOSS_BITS, OTHER_BITS)
    assert thinned_of(archive) is None
    assert got["eval/xs"].shape == got["train/xs"].shape == (2, 3, NUM_KEPT)
    assert got["eval/xs"][0, 0, [0, -1]].tolist() == [0, 1000]
    for key, bits in (("eval/test/loss", 7), ("eval/test/accuracy", 4)):
        kept = archive[key][..., got["eval/xs"][0, 0] // 10]
        np.testing.assert_allclose(got[key], kept, rtol=2.0 ** -(bits + 1))
        assert (got[key] != kept).any()
    # Scores are of the loss before training.
    first = archive["eval/test/loss"][..., 0]
    np.testing.assert_array_equal(got["eval/test/loss"][..., 0], first)
    for key in ("final/test/loss", "seed", "opt_name", "eval/eval_batches"):
        np.testing.assert_array_equal(got[key], archive[key])


def test_all_evaluations_may_stay(archive):
    got = thin(archive, all_evaluations=True)
    assert got["eval/test/loss"].shape == (2, 3, 101)
    assert got["train/loss"].shape == (2, 3, NUM_KEPT)


def test_refusals(archive):
    with pytest.raises(LoptError, match="thin already"):
        thin(thin(archive))
    with pytest.raises(LoptError, match="no archive"):
        thin({"a": np.zeros(3)})
    with pytest.raises(LoptError, match="bits must be at most 23, got 24"):
        rounded(np.zeros(1), 24)
    with pytest.raises(LoptError, match="at least 1, got 0"):
        log_spaced(0)
