"""Tuned Adam and scores, against numpy in float64."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learning_rates import LEARNING_RATES
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.outer_trainers import held_out
from learned_optimization.outer_trainers.held_out import Losses, TunedAdam
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.registry import own_fixed_task

START, CURVATURE = np.asarray([0.1, -0.2, 0.05]), np.asarray([1.0, 0.1, 3.0])
NUM_STEPS, NUM_SEEDS = 20, 2


@dataclass(frozen=True)
class Bowl(Task):
    """A quadratic that begins where it is told to, whatever the seed."""

    def init(self, key: jax.Array) -> jax.Array:
        del key
        return jnp.asarray(START, jnp.float32)

    def loss(self, params: jax.Array, key: jax.Array, data: Any) -> jax.Array:
        del key, data
        return jnp.sum(jnp.asarray(CURVATURE, jnp.float32) * params**2)


@pytest.fixture
def bowl() -> str:
    @own_fixed_task
    def HeldOutBowl() -> Bowl:
        """A quadratic."""
        return Bowl()

    return HeldOutBowl.__name__


def adam_on_bowl(rate: float, *, cosine: bool) -> float:
    """Return the loss after `NUM_STEPS` updates of Adam (Kingma & Ba 2015)."""
    x, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t in range(NUM_STEPS):
        share = (1 + np.cos(np.pi * t / NUM_STEPS)) / 2 if cosine else 1.0
        grad = 2 * CURVATURE * x
        m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad**2
        step = (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        x = x - rate * share * step
    return float(np.sum(CURVATURE * x**2))


def sgd_on_bowl(rate: float) -> float:
    x = START * (1 - 2 * rate * CURVATURE) ** NUM_STEPS
    return float(np.sum(CURVATURE * x**2))


@pytest.mark.slow
def test_losses_are_those_at_the_end_of_runs(bowl: str) -> None:
    rates = [0.01, 0.05]
    losses = held_out.final_losses(bowl, [SGD(r) for r in rates], NUM_STEPS, NUM_SEEDS)
    expected = np.repeat([[sgd_on_bowl(r)] for r in rates], NUM_SEEDS, 1)
    np.testing.assert_allclose(losses.selection, expected, rtol=1e-4)
    np.testing.assert_allclose(losses.report, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("cosine", [False, True])
def test_adam_is_tuned_over_all_rates(bowl: str, cosine: bool) -> None:
    expected = [adam_on_bowl(rate, cosine=cosine) for rate in LEARNING_RATES]
    tuned = held_out.tune_adam(bowl, NUM_STEPS, NUM_SEEDS, cosine=cosine)
    assert tuned.learning_rate == LEARNING_RATES[int(np.argmin(expected))]
    # Inside the list: a better one is not cut off.
    assert min(LEARNING_RATES) < tuned.learning_rate < max(LEARNING_RATES)
    for losses in (tuned.selection, tuned.report):
        np.testing.assert_allclose(losses, [min(expected)] * NUM_SEEDS, rtol=1e-3)


@pytest.mark.slow
def test_a_score_is_the_logarithm_of_a_ratio_of_means(bowl: str) -> None:
    adam = TunedAdam(0.1, [0.3, 0.5], [9.0, 9.0])
    scores = held_out.score(SGD(0.05), {bowl: adam}, NUM_STEPS)
    np.testing.assert_allclose(scores[bowl], np.log(sgd_on_bowl(0.05) / 0.4), rtol=1e-4)


def given(monkeypatch: pytest.MonkeyPatch, selection: Any, report: Any = None) -> None:
    """Let runs end with such losses, `[configs, seeds]`."""

    def losses(*args: Any) -> Losses:
        made = np.asarray(selection, np.float64)
        return Losses(made, made if report is None else np.asarray(report, np.float64))

    monkeypatch.setattr(held_out, "final_losses", losses)


def test_adam_is_chosen_by_the_split_for_choices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    selection = np.full((len(LEARNING_RATES), 2), 2.0)
    selection[3], selection[5], selection[7] = [1.0, 1.4], [0.1, np.nan], [1.1, 1.2]
    report = np.arange(2.0 * len(LEARNING_RATES)).reshape(-1, 2)
    report[4] = -1.0
    given(monkeypatch, selection, report)
    tuned = held_out.tune_adam("any", 10, 2, cosine=True)
    # A rate that diverged with one seed is not the best, and the test split is not
    # looked at.
    assert tuned == TunedAdam(LEARNING_RATES[7], [1.1, 1.2], [14.0, 15.0])


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_run_that_diverged_has_an_infinite_score(
    monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    given(monkeypatch, [[0.5, loss]])
    scores = held_out.score(SGD(1.0), {"any": TunedAdam(1.0, [1, 1], [1, 1])}, 10)
    assert scores == {"any": np.inf}


def test_a_loss_of_zero_has_a_finite_score(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, [[0.0, 0.0]])
    scores = held_out.score(SGD(1.0), {"any": TunedAdam(1.0, [1, 1], [1, 1])}, 10)
    assert scores["any"] == pytest.approx(np.log(1e-12))
