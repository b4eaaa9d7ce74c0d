"""`ScaledSteps` against numpy in float64, and what it leaves as it is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.learning_rate_schedules import (
    CosineDecay,
    CosineLearningRateSchedule,
    Schedule,
)
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam
from learned_optimization.optimizers.scaled_steps import ScaledSteps

LENGTH = 12


def _gradient(p: Any, target: np.ndarray) -> Any:
    """Return the gradient of `sum (p - target)^2 / 2`, of either library's arrays."""
    return p - target


def _cosine(step: int, peak: float, warmup: int) -> float:
    """The schedule in words: a straight line up, then half a cosine down to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / (LENGTH - warmup)
    return peak * (1 + np.cos(np.pi * done)) / 2


def _by_hand(
    start: np.ndarray, target: np.ndarray, rates: list[float], decay: float
) -> np.ndarray:
    """SGD with momentum 0.9 and a rate of its own of 0.3, its steps scaled."""
    p, momentum = start.astype(np.float64), np.zeros(start.shape)
    for rate in rates:
        momentum = 0.9 * momentum + _gradient(p, target.astype(np.float64))
        inner = p - 0.3 * momentum
        p = p + rate * (inner - p) - rate * decay * p
    return p


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("is_scheduled", [False, True])
def test_steps_are_those_of_numpy(decay: float, is_scheduled: bool) -> None:
    rng = np.random.default_rng(0)
    start, target = rng.normal(size=(2, 3, 2)).astype(np.float32)
    rate: float | Schedule = 0.07
    rates = [0.07] * LENGTH
    if is_scheduled:
        rate = CosineDecay(num_steps=float(LENGTH), learning_rate=0.5, warmup_steps=3.0)
        rates = [_cosine(step, 0.5, 3) for step in range(LENGTH)]
    opt = ScaledSteps(
        opt=SGDM(learning_rate=0.3, momentum=0.9),
        learning_rate=rate,
        weight_decay=decay,
    )

    def step(state: Any, _: None) -> tuple[Any, None]:
        return opt.update(state, _gradient(opt.get_params(state), target)), None

    state, _ = jax.jit(lambda p: jax.lax.scan(step, opt.init(p), None, length=LENGTH))(
        start
    )
    want = _by_hand(start, target, rates, decay)
    np.testing.assert_allclose(opt.get_params(state), want, rtol=2e-6)
    assert int(state.iteration) == LENGTH


def test_a_schedule_that_plans_is_given_the_length() -> None:
    opt = ScaledSteps(learning_rate=CosineLearningRateSchedule())
    assert opt.needs == {"num_steps"}
    with pytest.raises(LoptError, match="ScaledSteps needs the length of the run"):
        opt.init(jnp.zeros(2))
    inside = ScaledSteps(opt=opt, learning_rate=0.5)
    assert inside.needs == {"num_steps"}
    start = jnp.ones(2)
    rate = opt.learning_rate
    assert isinstance(rate, Schedule)
    for length in (10, 1000):
        state = opt.init(start, num_steps=length)
        for _ in range(5):
            state = opt.update(state, jnp.ones(2))
        want = 1 - 0.01 * sum(float(rate(i, length)) for i in range(5))
        np.testing.assert_allclose(opt.get_params(state), want, rtol=1e-6)


def test_a_rate_of_one_is_the_optimizer_inside() -> None:
    params = {"w": jnp.linspace(-1.0, 1.0, 7), "b": jnp.zeros([])}
    grad = jax.tree.map(lambda p: p + 0.5, params)
    inside, opt = Adam(learning_rate=0.1), ScaledSteps(opt=Adam(learning_rate=0.1))
    state, want = opt.init(params, {"n": 0}), inside.init(params, {"n": 0})
    for n in (1, 2, 3):
        state = opt.update(state, grad, model_state={"n": n})
        want = inside.update(want, grad, model_state={"n": n})
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
        opt.get_params(state),
        inside.get_params(want),
    )
    assert opt.get_state(state) == {"n": 3}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_keep_their_types(dtype: Any) -> None:
    params = {"w": jnp.ones((2, 2), dtype), "none": jnp.zeros((0, 3), dtype)}
    opt = ScaledSteps(opt=SGD(learning_rate=1.0), learning_rate=CosineDecay())
    state = opt.init(params)
    after = opt.update(state, jax.tree.map(jnp.ones_like, params))
    assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)
    # 16 bits have no 1 - 0.01 * 1 next to it; the nearest is taken, once.
    want = np.asarray(1 - 0.01, dtype)
    np.testing.assert_array_equal(np.asarray(opt.get_params(after)["w"]), want)


def test_many_rates_are_one_program() -> None:
    def final(rate: jax.Array, decay: jax.Array) -> jax.Array:
        opt = ScaledSteps(
            opt=SGD(learning_rate=0.5), learning_rate=rate, weight_decay=decay
        )
        return opt.get_params(opt.update(opt.init(jnp.ones(2)), jnp.ones(2)))

    rates, decays = jnp.array([0.0, 0.1, 1.0]), jnp.array([1.0, 1.0, 0.5])
    got = jax.jit(jax.vmap(final))(rates, decays)
    want = 1 - rates * 0.5 - rates * decays
    np.testing.assert_allclose(got[:, 0], want, rtol=1e-6, atol=1e-7)


def test_its_name_says_all() -> None:
    opt = ScaledSteps(opt=SGD(), learning_rate=0.5, weight_decay=0.1)
    assert opt.name == f"ScaledSteps_opt({SGD().name})_lr0.5_wd0.1"
