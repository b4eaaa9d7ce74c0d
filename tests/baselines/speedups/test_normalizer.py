"""Normalizers of straight lines, whose inverse is known, and of resampled curves."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.baselines.speedups.curve import (
    Band,
    BaselineCurve,
    build_curve,
    ema,
)
from learned_optimization.baselines.speedups.normalizer import (
    NonFinite,
    Normalizer,
    NormalizerMap,
)
from learned_optimization.errors import LoptError, UnknownNameError
from tests.baselines.curves import geometric, write_losses

STEPS = np.linspace(0.0, 1000.0, 101)
LOSSES = 4.0 - STEPS / 500
"""From 4 to 2: a loss of `l` is reached after `(4 - l) * 500` steps."""


def line(nonfinite: NonFinite = "zero", half: float = 0.2) -> Normalizer:
    band = Band(LOSSES - half, LOSSES + half, 0.95, 500, 0)
    return Normalizer("T", BaselineCurve(STEPS, LOSSES, band), nonfinite)


def test_line_is_inverted():
    to_steps = line()
    losses = np.linspace(2.0, 4.0, 8)
    got = to_steps(losses)
    np.testing.assert_allclose(got, (4.0 - losses) * 500, rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(jax.jit(to_steps)(losses), got)
    np.testing.assert_array_equal(jax.vmap(to_steps)(losses), got)
    assert float(to_steps(3.0)) == pytest.approx(500.0)
    assert to_steps.horizon == 1000.0


def test_losses_the_baseline_never_has():
    to_steps = line()
    losses = np.array([-5.0, 1.9, 2.0, 3.0, 3.5, 4.0, 4.1, 9.0])
    np.testing.assert_allclose(
        to_steps(losses), [1000, 1000, 1000, 500, 250, 0, 0, 0], atol=1e-3
    )
    for is_censored in (to_steps.is_censored, jax.jit(to_steps.is_censored)):
        np.testing.assert_array_equal(is_censored(losses), [True] * 2 + [False] * 6)
    is_worse = jax.vmap(to_steps.is_worse_than_start)(losses)
    np.testing.assert_array_equal(is_worse, [False] * 6 + [True] * 2)


def test_losses_that_are_not_finite():
    losses = np.array([np.nan, np.inf, -np.inf, 3.0, 3.0, 3.0, 1.0, 5.0])
    np.testing.assert_allclose(
        line()(losses), [0, 0, 0, 500, 500, 500, 1000, 0], atol=1e-3
    )
    marked = line("nan")
    for got in (marked(losses), jax.jit(marked)(losses), *marked.interval(losses)):
        np.testing.assert_array_equal(np.isnan(got), [True] * 3 + [False] * 5)
    assert not marked.is_censored(losses)[:3].any()
    assert not marked.is_worse_than_start(losses)[:3].any()
    wrong: Any = "none"
    with pytest.raises(UnknownNameError, match="known: nan, zero"):
        line(wrong)


def test_first_step_of_a_plateau():
    steps = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
    to_steps = Normalizer("T", BaselineCurve(steps, np.array([5.0, 3, 3, 3, 1])))
    assert float(to_steps(3.0)) == 10.0
    assert float(to_steps(4.0)) == 5.0
    assert float(to_steps(2.0)) == 35.0


def test_interval_of_shifted_lines():
    to_steps = line(half=0.2)
    losses = np.array([1.7, 1.9, 2.1, 2.3, 3.0, 3.9, 4.1, 4.3])
    fewest, most = jax.jit(to_steps.interval)(losses)
    np.testing.assert_allclose(fewest, [1000, 950, 850, 750, 400, 0, 0, 0], atol=1e-2)
    np.testing.assert_allclose(
        most, [np.inf, np.inf, np.inf, 950, 600, 150, 50, 0], atol=1e-2
    )


def test_no_band():
    with pytest.raises(LoptError, match="the normalizer of T has no band"):
        Normalizer("T", BaselineCurve(STEPS, LOSSES)).interval(3.0)


def test_interval_is_the_quantile_of_the_steps_of_resampled_baselines():
    noise = np.random.default_rng(1).normal(size=(3, 5, 101))
    losses = geometric(3.0, 0.97, 1.0) + 0.2 * noise
    write_losses("T", "A", losses)
    curve = build_curve("T", ["A"], 101, num_resamples=200, level=0.8, seed=7)
    wanted = np.linspace(curve.losses[-1], curve.losses[0], 25)[:-1]

    draws = np.random.default_rng(7).integers(5, size=(200, 5))
    steps = np.empty((200, len(wanted)))
    for b, draw in enumerate(draws):
        drawn = np.stack([losses[:, seed] for seed in draw]).mean(axis=0)
        lowest = np.minimum.accumulate(ema(drawn).min(axis=0))
        for w, loss in enumerate(wanted):
            reached = np.flatnonzero(lowest <= loss)
            steps[b, w] = 10 * reached[0] if reached.size else np.inf
    steps.sort(axis=0)
    fewest, most = map(np.asarray, Normalizer("T", curve).interval(wanted))
    # Of 200, the 20th and the 180th; ours are interpolated between evaluations.
    for got, want in ((fewest, steps[19]), (most, steps[179])):
        beyond = np.isinf(want)
        np.testing.assert_array_equal(np.isinf(got) | (got == 1000.0), beyond)
        assert (got[~beyond] <= want[~beyond] + 1e-2).all()
        assert (got[~beyond] > want[~beyond] - 10.01).all()
    assert np.isinf(most).any()
    assert (fewest < most).all()


def test_map_names_the_nearest_task():
    maps = NormalizerMap({"ImageMLP_Cifar10_8_Relu32": line()}, "mine.json")
    assert "ImageMLP" not in maps
    assert maps.get("ImageMLP") is None
    with pytest.raises(
        UnknownNameError, match=r"did you mean ImageMLP_Cifar10_8_Relu32.*mine\.json"
    ):
        maps["ImageMLP_Cifar10_8_Relu3"]
