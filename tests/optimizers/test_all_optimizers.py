"""What every registered optimizer must do; a new one is covered with no edit."""

import dataclasses
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import UnknownNameError
from learned_optimization.optimizers.base import (
    all_optimizers,
    get_optimizer,
    summary,
)
from learned_optimization.optimizers.learning_rate_schedules import CosineDecay

NAMES = list(all_optimizers())
SHAPES = {"scalar": (), "vector": (3,), "matrix": (4, 3), "kernel": (3, 3, 2, 4)}


def initial() -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.PRNGKey(0), len(SHAPES))
    return {
        name: 1.0 + 0.3 * jax.random.normal(key, shape)
        for key, (name, shape) in zip(keys, SHAPES.items(), strict=True)
    }


def loss(params: Any) -> jax.Array:
    return sum(jnp.sum((leaf - 0.5) ** 2) for leaf in jax.tree.leaves(params))


def steps(opt: Any, num_steps: int = 10) -> Any:
    """The state after some steps on `loss`."""
    state = opt.init(initial(), num_steps=num_steps, key=jax.random.PRNGKey(1))

    def step(state, key):
        value, grad = jax.value_and_grad(loss)(opt.get_params(state))
        return opt.update(state, grad, loss=value, key=key), None

    keys = jax.random.split(jax.random.PRNGKey(2), num_steps)
    return jax.lax.scan(step, state, keys)[0]


@pytest.mark.parametrize("name", NAMES)
def test_lowers_a_quadratic_for_some_learning_rate(name):
    cls = get_optimizer(name)
    rates = jnp.array([1e-3, 1e-2, 1e-1, 1.0])
    final = jax.jit(
        jax.vmap(
            lambda lr: loss(
                cls(learning_rate=lr).get_params(steps(cls(learning_rate=lr), 50))
            )
        )
    )(rates)
    assert float(jnp.nanmin(final)) < 0.7 * float(loss(initial()))


@pytest.mark.parametrize("name", NAMES)
def test_one_program_serves_all_learning_rates(name):
    cls = get_optimizer(name)
    traces = []

    def run(opt):
        traces.append(1)
        return opt.get_params(steps(opt))

    rates = [3e-3, 1e-2, 3e-2]
    opts = [cls(learning_rate=lr) for lr in rates]
    stacked = jax.tree.map(lambda *x: jnp.stack(jnp.asarray(x)), *opts)
    together = jax.jit(jax.vmap(run))(stacked)
    assert len(traces) == 1
    one = jax.jit(run)
    for i, opt in enumerate(opts):
        alone = one(jax.tree.map(jnp.asarray, opt))
        for key, value in alone.items():
            np.testing.assert_allclose(together[key][i], value, rtol=2e-5, atol=1e-6)
    assert len(traces) == 2


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_model_state(name):
    opt = get_optimizer(name)()
    params, model_state = initial(), {"mean": jnp.arange(3.0)}
    state = opt.init(params, model_state=model_state)
    assert jax.tree.structure(opt.get_params(state)) == jax.tree.structure(params)
    got_params, got_state = opt.get_params_state(state)
    jax.tree.map(np.testing.assert_array_equal, got_params, params)
    np.testing.assert_array_equal(got_state["mean"], model_state["mean"])

    other = jax.tree.map(lambda x: x + 1, params)
    moved = opt.set_params(state, other)
    jax.tree.map(np.testing.assert_array_equal, opt.get_params(moved), other)
    jax.tree.map(np.testing.assert_array_equal, opt.get_params(state), params)

    grad = jax.grad(loss)(params)
    after = opt.update(state, grad, model_state={"mean": jnp.ones(3)})
    np.testing.assert_array_equal(opt.get_state(after)["mean"], np.ones(3))
    for key, value in opt.get_params(after).items():
        assert value.shape == SHAPES[key]
        assert value.dtype == jnp.float32
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", NAMES)
def test_is_deterministic(name):
    opt = get_optimizer(name)()
    run = jax.jit(lambda: opt.get_params(steps(opt)))
    jax.tree.map(np.testing.assert_array_equal, run(), run())


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_name_of_its_own(name):
    cls = get_optimizer(name)
    opt = cls()
    assert opt.name.startswith(f"{name}_lr")
    names = {opt.name}
    for field in dataclasses.fields(cls):
        value = getattr(opt, field.name)
        if isinstance(value, bool):
            changed = not value
        elif value is None:
            changed = 0.5
        elif isinstance(value, int):
            changed = value + 1
        else:
            # The nearest other number is another setting.
            changed = float(np.nextafter(value, np.inf))
        names.add(dataclasses.replace(opt, **{field.name: changed}).name)
    assert len(names) == 1 + len(dataclasses.fields(cls))


@pytest.mark.parametrize("name", NAMES)
def test_is_documented_with_its_source(name):
    text = summary(get_optimizer(name))
    assert text.endswith(".")
    assert len(text) > 20


@pytest.mark.parametrize("name", NAMES)
def test_gin_binds_and_records(name):
    gin.parse_config([f"{name}.learning_rate = 0.125"])
    assert get_optimizer(name)().learning_rate == 0.125
    assert f"{name}.learning_rate = 0.125" in gin.operative_config_str()


def test_documented_names():
    names = {cls: get_optimizer(cls)(learning_rate=0.001).name for cls in NAMES}
    assert names["Adam"] == "Adam_lr0.001_b10.9_b20.999_eps1e-08_epsroot1e-08"
    assert get_optimizer("SGD")().name == "SGD_lr0.01"
    float32 = get_optimizer("SGD")(learning_rate=jnp.float32(1e-3))
    assert float32.name == "SGD_lr0.001"


def test_a_schedule_is_part_of_the_name():
    first, second = (
        get_optimizer("SGD")(learning_rate=CosineDecay(num_steps=n, learning_rate=0.1))
        for n in (10.0, 20.0)
    )
    assert first.name != second.name
    assert "CosineDecay" in first.name


def test_unknown_optimizer_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean .*AdamW"):
        get_optimizer("AdmW")
