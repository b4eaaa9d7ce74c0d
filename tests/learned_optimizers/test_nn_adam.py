"""NNAdam against the published steps, and against plain arithmetic."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization.learned_optimizers.nn_adam import NNAdam
from tests.learned_optimizers import reference_networks as plain
from tests.learned_optimizers.golden import (
    TOLERANCE,
    final_state,
    first_way,
    golden_run,
    made_run,
    shaken,
    worst_difference,
)


@first_way
def test_steps_are_the_published(way: Any) -> None:
    assert worst_difference(NNAdam(), golden_run("NNAdam"), way) < TOLERANCE


def test_the_state_is_the_published() -> None:
    run = golden_run("NNAdam")
    state = final_state(NNAdam(), run)
    names = ["conv|w", "linear_0|b", "linear_0|w", "linear_1|b", "linear_1|w", "scale"]

    def check(got: Any, name: str) -> None:
        want = run.state[name]
        np.testing.assert_allclose(np.reshape(got, want.shape), want, 1e-3, 1e-7)

    for i, name in enumerate(names):
        check(state.momenta[i], f"rolling_features|m|{name}")
        check(state.squares[i], f"rolling_features|rms|{name}")
        for j, control in enumerate(plain.NAMES):
            check(state.controls[i, j], f"per_layer_{control}|{name}")
    check(state.lstm_state.hidden, "lstm_hidden_state|hidden")
    check(state.lstm_state.cell, "lstm_hidden_state|cell")
    check(state.iteration, "iteration")


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 0.1),
        # So that controls leave their ranges and are brought back.
        ({"output_scale": 3.0}, 0.3),
        ({"output_scale": 0.1, "decay_strength": 0.4}, 0.1),
    ],
)
def test_steps_are_those_of_plain_arithmetic(
    settings: dict[str, Any], scale: float
) -> None:
    lopt = NNAdam(lstm_hidden_size=8, initial_learning_rate=1e-2, **settings)
    theta = shaken(lopt.init(jax.random.PRNGKey(0)), scale)
    run = made_run(theta, plain.nn_adam, **settings)
    assert worst_difference(lopt, run) < TOLERANCE


def test_initial_meta_parameters_are_those_of_the_settings() -> None:
    lopt = NNAdam(
        initial_learning_rate=0.02,
        initial_beta1=0.8,
        initial_beta2=0.99,
        initial_epsilon=1e-5,
    )
    theta = lopt.init(jax.random.PRNGKey(0))
    got = [float(theta[f"per_layer_{name}"]) for name in plain.NAMES]
    want = 0.1 * np.log([0.02, 0.2, 0.01, 1e-5])
    np.testing.assert_allclose(got, want, 1e-5)
    values = [plain.value_of(n, x) for n, x in zip(plain.NAMES, got, strict=True)]
    np.testing.assert_allclose(values, [0.02, 0.8, 0.99, 1e-5], 1e-4)
    assert not np.any(theta["rnn_to_controls_params"]["rnn_to_controls"]["w"])


def test_without_training_it_is_adam_without_correction() -> None:
    """The LSTM then says nothing, and hyper-parameters stay what they were."""
    lopt = NNAdam(initial_learning_rate=0.1, initial_epsilon=1e-6)
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    params = {"w": jnp.asarray([1.0, -2.0, 0.5])}
    moments = optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-6, eps_root=1e-10)
    state: Any = opt.init(params)
    adam: Any = moments.init(params)
    for t in range(1, 6):
        before = np.asarray(state.params["w"])
        grad = {"w": jnp.asarray([0.3, 1.0, -0.2]) * t}
        state = opt.update(state, grad)
        _, adam = moments.update(grad, adam)
        m, v = adam.mu["w"], adam.nu["w"]
        step = 0.1 * (1 + 1e-6) * m / (1e-6 + np.sqrt(v + 1e-10))
        np.testing.assert_allclose(before - state.params["w"], step, 1e-4)


def test_gradients_are_clipped_to_a_thousand() -> None:
    lopt = NNAdam()
    opt = lopt.opt_fn(shaken(lopt.init(jax.random.PRNGKey(0))))
    state = opt.init({"w": jnp.ones(2)})
    far, near = (opt.update(state, {"w": jnp.asarray([x, -x])}) for x in (1e6, 1000.0))
    jax.tree.map(np.testing.assert_array_equal, far, near)
