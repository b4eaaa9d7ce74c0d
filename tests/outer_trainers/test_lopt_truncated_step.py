"""Inner problems: how they begin, end, and are unrolled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import UnknownNameError
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.outer_trainers.lopt_truncated_step import (
    SimpleVecLOptTruncatedStep,
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
    LogUniformLengthSchedule,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import single_task_to_family
from tests.outer_trainers.linear import SumOfSquares, sgd_on_squares, weights
from tests.tiny import TinyTask


def tiny_step(**settings: Any) -> VectorizedLOptTruncatedStep:
    return VectorizedLOptTruncatedStep(
        single_task_to_family(TinyTask()),
        MLPLOpt(hidden_size=4, exp_mult=0.1, step_mult=0.01),
        LogUniformLengthSchedule(3, 9),
        4,
        **settings,
    )


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_groups_of_tasks_do_what_all_do_together(at_once: int) -> None:
    step = tiny_step(tasks_at_once=at_once)
    theta = step.outer_init(key_of_seed(0))
    outer = weights(theta).outer_state
    begun = step.init_step_state(theta, outer, key_of_seed(1))
    data = step.get_batch(30)
    args = (theta, begun, key_of_seed(2), data, outer, 30)
    got_state, got = jax.jit(step.unroll, static_argnums=5)(*args)

    def all_together(*args: Any) -> Any:
        return VectorizedTruncatedStep.unroll(step, *args)

    state, expected = jax.jit(all_together, static_argnums=5)(*args)
    # Of four tasks some end while others go on.
    ends = np.asarray(expected.is_done)
    assert ends.sum() > 8
    assert len({tuple(row) for row in ends}) > 3
    for a, b in zip(
        jax.tree.leaves((got_state, got)),
        jax.tree.leaves((state, expected)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_lengths_are_drawn_again_and_told() -> None:
    step = tiny_step()
    theta = step.outer_init(key_of_seed(0))
    outer = weights(theta).outer_state
    begun = step.init_step_state(theta, outer, key_of_seed(1))
    _, out = jax.jit(step.unroll, static_argnums=5)(
        theta, begun, key_of_seed(2), step.get_batch(60), outer, 60
    )
    of_first = np.asarray(out.iteration)[:, 0]
    lengths = of_first[np.flatnonzero(np.asarray(out.is_done)[:, 0]) - 1]
    assert len(set(lengths.tolist())) > 2
    assert lengths.min() >= 3
    assert lengths.max() < 9
    np.testing.assert_array_equal(out.mask, out.iteration != 0)


def test_late_losses_weigh_more() -> None:
    """By a power of the share that is done, of a mean that tends to 1."""
    length, made = 40, {}
    for lateness in (0.0, 1.0, 2.0):
        step = sgd_on_squares(ConstantTruncationSchedule(length), 3, lateness=lateness)
        theta = step.outer_init(key_of_seed(0))
        outer = weights(theta).outer_state
        begun = step.init_step_state(theta, outer, key_of_seed(1))
        data = step.get_batch(length)
        args = (theta, begun, key_of_seed(2), data, outer, length)
        _, made[lateness] = jax.jit(step.unroll, static_argnums=5)(*args)
    plain = np.asarray(made[0.0].loss, np.float64)
    share = np.arange(1, length + 1)[:, None] / length
    np.testing.assert_allclose(made[1.0].loss, plain * 2 * share, rtol=1e-5)
    np.testing.assert_allclose(made[2.0].loss, plain * 3 * share**2, rtol=1e-5)
    assert np.mean(2 * share) == pytest.approx(1, rel=0.03)


@pytest.mark.slow
def test_an_offset_spreads_the_first_problems() -> None:
    step = sgd_on_squares(
        ConstantTruncationSchedule(100), 50, random_initial_iteration_offset=40
    )
    theta = step.outer_init(key_of_seed(0))
    state = step.init_step_state(theta, weights(theta).outer_state, key_of_seed(1))
    steps = np.asarray(state.inner_step)
    assert 0 <= steps.min() < 8
    assert 32 <= steps.max() < 40


@pytest.mark.slow
@pytest.mark.parametrize("split", [None, "same_data", "outer_valid"])
def test_the_meta_loss_is_of_the_batch_that_it_says(split: str | None) -> None:
    step = VectorizedLOptTruncatedStep(
        single_task_to_family(TinyTask(noise=0.0)),
        MLPLOpt(),
        ConstantTruncationSchedule(5),
        1,
        meta_loss_split=split,
    )
    theta = step.outer_init(key_of_seed(0))
    outer = weights(theta).outer_state
    begun = step.init_step_state(theta, outer, key_of_seed(1))
    data = step.get_batch()
    after, out = step.unroll_step(theta, begun, key_of_seed(2), data, outer)
    batch = data[1] if split == "outer_valid" else data
    params = jax.tree.map(
        lambda x: np.asarray(x[0], np.float64),
        (begun if split is None else after).inner_opt_state.params,
    )
    error = batch["x"][0] @ params["w"] + params["b"] - batch["y"][0]
    expected = np.clip(np.mean(np.asarray(error, np.float64) ** 2), 0, 10)
    np.testing.assert_allclose(out.loss[0], expected, rtol=1e-4)


def test_a_split_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="outer_valid"):
        tiny_step(meta_loss_split="outer_vlaid")


def test_simple_problems_begin_again_after_their_length() -> None:
    from learned_optimization.learned_optimizers.learnable import LearnableSGD

    step = SimpleVecLOptTruncatedStep(SumOfSquares(), LearnableSGD(0.1), 2, 3)
    theta = step.outer_init(key_of_seed(0))
    outer = weights(theta).outer_state
    begun = step.init_step_state(theta, outer, key_of_seed(1))
    _, out = step.unroll(theta, begun, key_of_seed(2), step.get_batch(8), outer, 8)
    np.testing.assert_array_equal(out.iteration[:, 0], [1, 2, 3, 0, 1, 2, 3, 0])
    ratio = np.asarray(out.loss)[1:3] / np.asarray(out.loss)[:2]
    np.testing.assert_allclose(ratio, 0.64, rtol=1e-5)
    assert jnp.all(out.loss[3] == 0)
