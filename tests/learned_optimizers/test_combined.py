"""Learned optimizers made of others."""

import jax
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.base import LearnedOptimizer
from learned_optimization.learned_optimizers.combined import (
    SumLearnedOptimizer,
    SumOptimizer,
    learned_optimizer_from_opt,
    wrap_learned_opt,
)
from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam
from learned_optimization.optimizers.optimizer_wrappers import WeightDecayWrapper
from tests.learned_optimizers.golden import first_way, golden_run, worst_difference

PARAMS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, "f")}
GRAD = jax.tree.map(lambda p: 0.1 + np.cos(p), PARAMS)


@first_way
def test_published_steps_of_a_sum(way) -> None:
    lopt = SumLearnedOptimizer([LearnableSGD(), MLPLOpt(hidden_size=8, step_mult=0.05)])
    run = golden_run("SumLearnedOptimizer_SGD_MLPLOpt")
    assert worst_difference(lopt, run, way) < 1e-3


def test_a_sum_steps_by_the_sum_of_the_steps() -> None:
    opt = SumOptimizer((SGD(0.1), SGDM(0.2, 0.5), SGD(0.3)))
    state = opt.init(PARAMS, model_state={"n": np.float32(0)})
    want, trace = PARAMS, jax.tree.map(np.zeros_like, PARAMS)
    for i in range(3):
        model_state = {"n": np.float32(i + 1)}
        state = jax.jit(opt.update)(state, GRAD, model_state=model_state)
        trace = jax.tree.map(lambda t, g: 0.5 * t + g, trace, GRAD)
        want = jax.tree.map(lambda p, g, t: p - 0.4 * g - 0.2 * t, want, GRAD, trace)
    for name, got in opt.get_params(state).items():
        np.testing.assert_allclose(got, want[name], rtol=1e-5)
    assert opt.get_state(state) == {"n": 3}
    assert int(state.iteration) == 3


def test_a_sum_is_set_as_a_whole() -> None:
    opt = SumOptimizer((SGD(0.1), Adam(0.2)))
    other = jax.tree.map(lambda p: p + 7, PARAMS)
    state = opt.set_params(opt.init(PARAMS), other)
    for inside, of_inside in zip(opt.inside, opt.states_inside(state), strict=True):
        np.testing.assert_array_equal(inside.get_params(of_inside)["w"], other["w"])
    np.testing.assert_array_equal(opt.get_params(state)["w"], other["w"])


@pytest.mark.parametrize("lopts", [[], [SGD()], 3 * ["MLPLOpt"]])
def test_a_sum_of_anything_else_is_refused(lopts) -> None:
    with pytest.raises(LoptError, match="list of learned optimizers"):
        SumLearnedOptimizer(lopts)


def test_names_say_what_is_inside() -> None:
    lopt = SumLearnedOptimizer([LearnableSGD(), LearnableSGD(initial_lr=0.5)])
    assert (
        lopt.name == "SumLearnedOptimizer_(LearnableSGD),(LearnableSGD_initial_lr0.5)"
    )
    theta = lopt.init(jax.random.PRNGKey(0))
    assert sorted(theta) == ["inner_lopt_theta_0", "inner_lopt_theta_1"]
    assert lopt.opt_fn(theta).name.startswith("SumOptimizer_(SGD_lr0.0")


def test_an_optimizer_with_nothing_to_learn() -> None:
    lopt = learned_optimizer_from_opt(Adam(0.5))
    assert isinstance(lopt, LearnedOptimizer)
    theta = lopt.init(jax.random.PRNGKey(0))
    assert jax.tree.leaves(theta) == []
    assert lopt.opt_fn(theta) is lopt.opt_fn(theta, is_training=True)
    assert lopt.name == Adam(0.5).name


def test_wrapped_ones_learn_what_is_inside() -> None:
    lopt = wrap_learned_opt(
        LearnableSGD(0.1), lambda opt: WeightDecayWrapper(opt, 0.01)
    )
    theta = lopt.init(jax.random.PRNGKey(0))
    opt = lopt.opt_fn(theta)
    state = opt.update(opt.init(PARAMS), GRAD)
    want = PARAMS["w"] - 0.1 * (GRAD["w"] + 0.01 * PARAMS["w"])
    np.testing.assert_allclose(opt.get_params(state)["w"], want, rtol=1e-5)
    assert "(LearnableSGD_initial_lr0.1)" in lopt.name
