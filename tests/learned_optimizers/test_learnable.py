"""Hand-made optimizers with learned hyper-parameters, against published steps."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from learned_optimization.learned_optimizers.base import LearnedOptimizer
from learned_optimization.learned_optimizers.learnable import (
    LearnableAdam,
    LearnableSGD,
    LearnableSGDM,
)
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam
from tests.learned_optimizers.golden import first_way, golden_run, worst_difference

CLASSES = [LearnableSGD, LearnableSGDM, LearnableAdam]


@first_way
@pytest.mark.parametrize("cls", CLASSES)
def test_published_steps(cls: type[LearnedOptimizer], way) -> None:
    assert worst_difference(cls(), golden_run(cls.__name__), way) < 1e-5


@pytest.mark.parametrize(
    ("lopt", "plain"),
    [
        (LearnableSGD(initial_lr=0.3), SGD(0.3)),
        (LearnableSGDM(initial_lr=0.3, initial_momentum=0.7), SGDM(0.3, 0.7)),
        (
            LearnableAdam(0.3, 0.7, 0.8, 1e-3),
            Adam(0.3, 0.7, 0.8, 1e-3),
        ),
    ],
    ids=lambda x: type(x).__name__,
)
def test_initial_hyper_parameters_are_those_given(lopt, plain) -> None:
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    assert type(opt) is type(plain)
    got, want = jax.tree.leaves(opt), jax.tree.leaves(plain)
    np.testing.assert_allclose(got, want, rtol=3e-6)


def test_learned_adam_steps_as_optax() -> None:
    theta = {
        "log_lr": np.log(np.float32(0.02)),
        "one_minus_beta1": np.log(np.float32(0.2)),
        "one_minus_beta2": np.log(np.float32(0.01)),
        "log_epsilon": np.log(np.float32(1e-3)),
    }
    opt = LearnableAdam().opt_fn(theta)
    adam = optax.adam(0.02, 0.8, 0.99, 1e-3, 1e-8)
    params = {"w": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)}
    state, other = opt.init(params), adam.init(params)
    want: Any = params
    for i in range(5):
        grad = {"w": np.cos(i + np.arange(6, dtype=np.float32)).reshape(2, 3)}
        state = opt.update(state, grad)
        updates, other = adam.update(grad, other, want)
        want = optax.apply_updates(want, updates)
    got = opt.get_params(state)["w"]
    np.testing.assert_allclose(got, want["w"], rtol=1e-5)
    assert np.max(np.abs(got - params["w"])) > 0.05
