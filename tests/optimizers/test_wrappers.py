"""Accumulation, clipping and grafting, against the optimizers inside."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.gradient_clip import GradientClipOptimizer
from learned_optimization.optimizers.grafting import GraftedOptimizer
from learned_optimization.optimizers.opt_list import OptList
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam
from learned_optimization.optimizers.schedule_free import ScheduleFreeSGD
from learned_optimization.optimizers.second_order import LBFGS, Sophia

PARAMS = {"w": jnp.arange(6.0).reshape(2, 3) - 2.5, "b": jnp.array([0.3, -0.2])}


def gradients(count: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        jax.tree.map(lambda p: jnp.float32(rng.normal(size=p.shape)), PARAMS)
        for _ in range(count)
    ]


def assert_same(got: Any, want: Any, **tolerance: float) -> None:
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, **tolerance), got, want)


def test_accumulating_one_gradient_changes_nothing() -> None:
    inner, outer = Adam(learning_rate=0.1), GradientAccumulator(Adam(learning_rate=0.1))
    a, b = inner.init(PARAMS), outer.init(PARAMS)
    for grad in gradients(5):
        a, b = inner.update(a, grad), outer.update(b, grad, loss=jnp.ones([]))
        assert_same(outer.get_params(b), inner.get_params(a), rtol=1e-6)


@pytest.mark.parametrize("num_average", [2, 4, 7])
def test_steps_with_means(num_average: int) -> None:
    inner = SGDM(learning_rate=0.1)
    opt = GradientAccumulator(inner, num_average=num_average)
    state, by_hand = opt.init(PARAMS, {"seen": 0}), inner.init(PARAMS)
    grads = gradients(15)
    update = jax.jit(opt.update)
    for i, grad in enumerate(grads, 1):
        state = update(state, grad, loss=jnp.float32(i), model_state={"seen": i})
        assert int(opt.get_state(state)["seen"]) == i
        if i % num_average == 0:
            group = grads[i - num_average : i]
            mean = jax.tree.map(lambda *g: sum(g) / num_average, *group)
            by_hand = inner.update(by_hand, mean)
        assert_same(
            opt.get_params(state), inner.get_params(by_hand), rtol=1e-5, atol=1e-6
        )
    assert int(state.iteration) == 15
    assert int(state.inner.iteration) == 15 // num_average


def test_numbers_of_gradients_share_a_program() -> None:
    grads = jax.tree.map(lambda *g: jnp.stack(g), *gradients(8))

    def run(num_average: Any) -> Any:
        opt = GradientAccumulator(SGD(learning_rate=0.5), num_average=num_average)
        state, _ = jax.lax.scan(
            lambda s, g: (opt.update(s, g), None), opt.init(PARAMS), grads
        )
        return opt.get_params(state)

    together = jax.vmap(run)(jnp.array([1, 2, 8]))
    for i, num_average in enumerate((1, 2, 8)):
        alone = run(num_average)
        assert_same(jax.tree.map(lambda x, i=i: x[i], together), alone, rtol=1e-6)
    # The sum of all gradients, once, halved or divided by eight.
    total = jax.tree.map(lambda g: g.sum(0), grads)
    want = jax.tree.map(lambda p, t: p - 0.5 * t / 8, PARAMS, total)
    assert_same(run(8), want, rtol=1e-5)


def test_the_optimizer_inside_plans_for_its_own_steps() -> None:
    opt = GradientAccumulator(OptList(), num_average=4)
    assert opt.needs == {"num_steps"}
    assert int(opt.init(PARAMS, num_steps=100).inner.num_steps) == 25


def test_what_cannot_work_on_means_is_refused() -> None:
    with pytest.raises(LoptError, match="cannot serve LBFGS"):
        GradientAccumulator(LBFGS()).prepare()
    with pytest.raises(LoptError, match="num_average must be at least 1, got 0"):
        GradientAccumulator(Adam(), num_average=0).prepare()
    GradientAccumulator(LBFGS(learning_rate=0.1), num_average=2).prepare()


def test_clipped_entry_by_entry() -> None:
    opt = GradientClipOptimizer(SGD(learning_rate=1.0), grad_clip=0.5)
    state = opt.init({"w": jnp.zeros(4)}, model_state={"n": 0})
    grad = {"w": jnp.array([-9.0, -0.4, 0.2, 3.0])}
    state = opt.update(state, grad, model_state={"n": 1})
    np.testing.assert_allclose(opt.get_params(state)["w"], [0.5, 0.4, -0.2, -0.5])
    assert opt.get_state(state) == {"n": 1}
    assert GradientClipOptimizer().grad_clip == 3.0


def test_grafting_takes_length_and_direction() -> None:
    long, towards = SGD(learning_rate=0.3), Adam(learning_rate=0.01)
    opt = GraftedOptimizer(long, towards)
    state = opt.init(PARAMS, model_state={"n": 0})
    for i, grad in enumerate(gradients(6), 1):
        before = opt.get_params(state)
        only = towards.update(state.direction, grad)
        state = opt.update(state, grad, model_state={"n": i})
        for key in PARAMS:
            step = np.asarray(opt.get_params(state)[key] - before[key])
            direction = np.asarray(towards.get_params(only)[key] - before[key])
            length = 0.3 * np.linalg.norm(grad[key])
            np.testing.assert_allclose(np.linalg.norm(step), length, rtol=1e-5)
            cosine = (step * direction).sum() / length / np.linalg.norm(direction)
            assert cosine == pytest.approx(1.0, abs=1e-5)
        assert_same(long.get_params(state.magnitude), opt.get_params(state), rtol=0)
        assert opt.get_state(state) == {"n": i}


def test_no_direction_no_step() -> None:
    opt = GraftedOptimizer(Adam(), SGD(learning_rate=0.0))
    state = opt.update(opt.init(PARAMS), gradients(1)[0])
    assert_same(opt.get_params(state), PARAMS, rtol=0)


def test_wrappers_in_wrappers() -> None:
    opt = GradientAccumulator(
        GradientClipOptimizer(ScheduleFreeSGD(learning_rate=1.0), grad_clip=0.1),
        num_average=2,
    )
    opt.prepare()
    assert opt.name == (
        "GradientAccumulator_opt(GradientClipOptimizer_opt(ScheduleFreeSGD_lr1.0_b10.9_"
        "wd0.0_weight_lr_power2.0)_clip0.1)_average2"
    )
    state = opt.init(PARAMS)
    for grad in gradients(6):
        state = opt.update(state, grad)
    evaluated, trained = opt.get_eval_params(state), opt.get_params(state)
    assert not np.allclose(evaluated["w"], trained["w"])
    other = jax.tree.map(jnp.ones_like, PARAMS)
    assert_same(opt.get_params(opt.set_params(state, other)), other, rtol=0)


@pytest.mark.parametrize("inner", [Sophia(), LBFGS()])
def test_needs_of_the_optimizer_inside(inner: Any) -> None:
    def loss_fn(params: Any) -> jax.Array:
        return sum(((p - 1) ** 2).sum() for p in jax.tree.leaves(params))

    for opt in (GradientClipOptimizer(inner), GraftedOptimizer(SGD(), inner)):
        assert opt.needs == inner.needs
        value, grad = jax.value_and_grad(loss_fn)(PARAMS)
        state = opt.update(
            opt.init(PARAMS),
            grad,
            loss=value,
            key=jax.random.PRNGKey(0),
            loss_fn=loss_fn,
        )
        assert float(loss_fn(opt.get_params(state))) < float(value)
