"""Estimators on problems whose meta-gradients are known in closed form."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import UnknownNameError
from learned_optimization.outer_trainers.full_es import FullES
from learned_optimization.outer_trainers.full_grad import FullGrad
from learned_optimization.outer_trainers.truncated_es import TruncatedES
from learned_optimization.outer_trainers.truncated_grad import TruncatedGrad
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
    NeverEndingTruncationSchedule,
)
from learned_optimization.prng import key_of_seed
from tests.outer_trainers.linear import (
    LEARNING_RATE,
    PERIOD,
    SLOPE,
    ReportedAsPublished,
    SumOfTheta,
    losses_at,
    sgd_on_squares,
    slopes_at,
    smoothed_slopes_at,
    weights,
)

LOG_LR = np.log(LEARNING_RATE)
TRUNCATION = 5


def estimates_of(estimator: Any, num_calls: int, theta: Any) -> tuple[Any, list[Any]]:
    """Return the gradients of some calls in turn, and what they returned."""
    given = weights(theta)
    state = estimator.init_worker_state(given, key_of_seed(1))
    outs = []
    for i in range(num_calls):
        out, _ = estimator.compute_gradient_estimate(given, key_of_seed(100 + i), state)
        state = out.unroll_state
        outs.append(out)
    return [out.grad for out in outs], outs


def linear_estimates(
    estimator_of: Any, num_tasks: int, one: type[SumOfTheta] = SumOfTheta
) -> np.ndarray:
    """Return one mean over a period's truncations for each of many groups of tasks."""
    step = VectorizedTruncatedStep(one(), num_tasks)
    grads, _ = estimates_of(
        estimator_of(step), 10 * PERIOD // TRUNCATION, {"theta": jnp.zeros([])}
    )
    return np.asarray([g["theta"] for g in grads]).reshape(10, -1).mean(1)


EXACT = SLOPE * (PERIOD + 1) / 2
CUT = SLOPE * (TRUNCATION + 1) / 2


@pytest.mark.slow
def test_pes_has_no_bias_where_the_others_have() -> None:
    pes = linear_estimates(lambda s: TruncatedPES(s, TRUNCATION, std=0.1), 1000)
    error = pes.std(ddof=1) / np.sqrt(len(pes))
    assert abs(pes.mean() - EXACT) < 4 * error
    # It tells them apart.
    assert 10 * error < EXACT - CUT

    es = linear_estimates(lambda s: TruncatedES(s, TRUNCATION, std=0.1), 1000)
    error = es.std(ddof=1) / np.sqrt(len(es))
    assert abs(es.mean() - CUT) < 4 * error
    assert 10 * error < EXACT - CUT

    grad = linear_estimates(lambda s: TruncatedGrad(s, TRUNCATION), 3)
    np.testing.assert_allclose(grad, CUT, rtol=1e-6)


@pytest.mark.slow
def test_when_a_run_is_reported_over_decides_the_bias_of_pes() -> None:
    def pes(one: type[SumOfTheta]) -> tuple[float, float]:
        means = linear_estimates(
            lambda step: TruncatedPES(step, TRUNCATION, std=0.1), 1000, one
        )
        return means.mean(), means.std(ddof=1) / np.sqrt(len(means))

    # The last of the losses then lacks the perturbations of all truncations but one.
    biased = EXACT - SLOPE * (PERIOD - TRUNCATION) / PERIOD
    assert round(biased, 3) == 2.925
    mean, error = pes(ReportedAsPublished)
    print(f"as published {mean:.3f} +- {error:.3f}, expected {biased:.3f}")
    assert abs(mean - biased) < 4 * error
    assert EXACT - mean > 4 * error
    mean, error = pes(SumOfTheta)
    print(f"here {mean:.3f} +- {error:.3f}, expected {EXACT:.3f}")
    assert abs(mean - EXACT) < 4 * error


def test_one_pair_of_es_is_what_it_says() -> None:
    # Both sides begin alike: the difference is twice the perturbation's share.
    step = VectorizedTruncatedStep(SumOfTheta(), 1)
    _, (out,) = estimates_of(
        TruncatedES(step, TRUNCATION, std=0.1), 1, {"theta": jnp.asarray(0.7)}
    )
    losses = SLOPE * np.arange(1, TRUNCATION + 1) * 0.7 + 1
    np.testing.assert_allclose(out.mean_loss, losses.mean(), rtol=1e-6)
    # With e, the gradient is e CUT e / std^2: it has the sign of a square.
    assert float(out.grad["theta"]) > 0


@pytest.mark.parametrize("kind", ["avg", "last"])
def test_full_grad_is_exact(kind: str) -> None:
    step = sgd_on_squares(ConstantTruncationSchedule(100), 8)
    theta = {"log_lr": jnp.asarray(LOG_LR, jnp.float32)}
    _, (out,) = estimates_of(FullGrad(step, 10, kind), 1, theta)
    start = float(out.unroll_info.loss[0].mean())
    losses, slopes = losses_at(LOG_LR, start, 10), slopes_at(LOG_LR, start, 10)
    loss, slope = (
        (losses.mean(), slopes.mean()) if kind == "avg" else (losses[-1], slopes[-1])
    )
    np.testing.assert_allclose(out.mean_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(out.grad["log_lr"], slope, rtol=1e-4)
    # The published estimator, which draws other numbers, has the same ratio.
    reference_loss, reference_slope = {
        "avg": (2.951207160949707, -2.451185464859009),
        "last": (0.19362357258796692, -0.8713060021400452),
    }[kind]
    np.testing.assert_allclose(slope / loss, reference_slope / reference_loss, 1e-5)


@pytest.mark.slow
def test_truncated_grad_begins_again_where_a_run_ends() -> None:
    step = sgd_on_squares(ConstantTruncationSchedule(7), 3)
    theta = {"log_lr": jnp.asarray(LOG_LR, jnp.float32)}
    _, outs = estimates_of(TruncatedGrad(step, TRUNCATION), 4, theta)
    iteration = np.concatenate([o.unroll_info.iteration for o in outs])[:, 0]
    # A run of 7 takes 8 updates of the step.
    np.testing.assert_array_equal(iteration, np.arange(1, 21) % 8)
    is_done = np.concatenate([o.unroll_info.is_done for o in outs])[:, 0]
    np.testing.assert_array_equal(is_done, np.arange(1, 21) % 8 == 0)
    losses = np.concatenate([o.unroll_info.loss for o in outs])
    assert (losses[7] == 0).all()
    ratio = (1 - 2 * LEARNING_RATE) ** 2
    for run in (losses[:7], losses[8:15]):
        np.testing.assert_allclose(run[1:] / run[:-1], ratio, rtol=1e-5)
    # The second truncation: two updates of the first run, then three of the next.
    # Where it begins is a constant. One of its five updates was none.
    slopes = slopes_at(LOG_LR, 1.0, 2).sum() * losses[5] + (
        slopes_at(LOG_LR, 1.0, 2).sum() * losses[8]
    )
    np.testing.assert_allclose(outs[1].grad["log_lr"], slopes.mean() / 4, rtol=1e-4)


@pytest.mark.slow
def test_pes_of_two_truncations_has_the_smoothed_gradient() -> None:
    std, num_tasks = 0.05, 10_000
    step = sgd_on_squares(
        ConstantTruncationSchedule(10), num_tasks, tasks_at_once=num_tasks
    )
    theta = {"log_lr": jnp.asarray(LOG_LR, jnp.float32)}
    grads, _ = estimates_of(TruncatedPES(step, TRUNCATION, std=std), 2, theta)
    # E l_0 = 10; of a truncation the mean over its updates. The gradient of a loss of
    # the second truncation by both perturbations is that by one of the same size, to
    # first order in std^2: its derivative is nearly linear over them.
    first = smoothed_slopes_at(LOG_LR, 10.0, 10, std)[:5].mean()
    second = smoothed_slopes_at(LOG_LR, 10.0, 10, std)[5:].mean()
    np.testing.assert_allclose(first, -2.92, atol=0.01)
    np.testing.assert_allclose(second, -1.64, atol=0.01)
    np.testing.assert_allclose(grads[0]["log_lr"], first, atol=0.3)
    np.testing.assert_allclose(grads[1]["log_lr"], second, atol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["avg", "last", "min", "last_recompute"])
def test_full_es_has_the_smoothed_gradient(kind: Any) -> None:
    std, num_tasks = 0.05, 5_000
    step = sgd_on_squares(
        NeverEndingTruncationSchedule(), num_tasks, tasks_at_once=num_tasks
    )
    theta = {"log_lr": jnp.asarray(LOG_LR, jnp.float32)}
    estimator = FullES(
        step,
        ConstantTruncationSchedule(13),
        std=std,
        steps_per_jit=5,
        loss_type=kind,
        recompute_samples=2,
    )
    _, (out,) = estimates_of(estimator, 1, theta)
    # 13 is rounded down to two blocks of five.
    assert out.unroll_info.loss.shape == (10, num_tasks)
    slopes = smoothed_slopes_at(LOG_LR, 10.0, 11, std)
    expected = {
        "avg": slopes[:10].mean(),
        "last": slopes[9],
        "min": slopes[9],
        "last_recompute": slopes[10],
    }[kind]
    np.testing.assert_allclose(out.grad["log_lr"], expected, atol=0.25)


def test_a_loss_type_that_does_not_exist_is_refused() -> None:
    step = sgd_on_squares(ConstantTruncationSchedule(10), 2)
    with pytest.raises(UnknownNameError, match="avg"):
        FullGrad(step, 10, "mean")
    with pytest.raises(UnknownNameError, match="last_recompute"):
        FullES(step, ConstantTruncationSchedule(10), loss_type="final")  # pyright: ignore[reportArgumentType]
