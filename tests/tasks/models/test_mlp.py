"""The perceptron and its initial weights against numpy in float64."""

from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.tasks.models.init import truncated_fan_in
from learned_optimization.tasks.models.mlp import MLP

KEY = jax.random.PRNGKey(0)
IMAGES = jax.random.uniform(KEY, (16, 4, 4, 3))

ACTIVATIONS = {
    "relu": (nn.relu, lambda x: np.maximum(x, 0)),
    "tanh": (nn.tanh, np.tanh),
}


def variables_of(mlp):
    """Random variables of the right shapes: no bias zero, no scale one."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(mlp.init, KEY, IMAGES)
    return jax.tree.map(
        lambda a: (
            jnp.float32(rng.uniform(0.5, 1.5, a.shape) * rng.choice([-1, 1]))
            if a.ndim == 1
            else jnp.float32(rng.standard_normal(a.shape) / np.sqrt(a.shape[0]))
        ),
        shapes,
    )


def apply(mlp, variables, images=IMAGES, key=KEY):
    def forward(variables, images, key):
        rngs = {"dropout": key}
        return mlp.apply(variables, images, rngs=rngs, mutable=["batch_stats"])

    return jax.jit(forward)(variables, images, key)


def reference(params, images, activation, norm):
    """The outputs by the definition, and the input of every normalization."""
    x = np.float64(images).reshape(len(images), -1)
    num_layers = sum(name.startswith("Dense") for name in params)
    raw = []
    for i in range(num_layers):
        layer = params[f"Dense_{i}"]
        x = x @ np.float64(layer["kernel"]) + np.float64(layer["bias"])
        if i == num_layers - 1:
            break
        raw.append(x)
        if norm:
            axis = {"layer": 1, "batch": 0}[norm]
            mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
            own = params[f"{norm.title()}Norm_{i}"]
            x = (x - mean) / np.sqrt(var + 1e-5)
            x = x * np.float64(own["scale"]) + np.float64(own["bias"])
        x = activation(x)
    return x, raw


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_forward_matches_float64(activation, norm):
    function, numpy_function = ACTIVATIONS[activation]
    mlp = MLP((7, 5), 3, function, norm=norm)
    variables = variables_of(mlp)
    got, _ = apply(mlp, variables)
    want, _ = reference(variables["params"], IMAGES, numpy_function, norm)
    assert got.shape == (16, 3)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("hidden", [(), (32,), (128, 32, 128)])
@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_parameter_count(hidden, norm):
    variables = jax.eval_shape(MLP(hidden, 10, norm=norm).init, KEY, IMAGES)
    sizes = [4 * 4 * 3, *hidden, 10]
    want = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    want += 2 * sum(hidden) if norm else 0
    assert sum(a.size for a in jax.tree.leaves(variables["params"])) == want
    moving = sum(a.size for a in jax.tree.leaves(variables.get("batch_stats", {})))
    assert moving == (2 * sum(hidden) if norm == "batch" else 0)


@pytest.mark.parametrize("shape", [(400, 500), (3, 3, 30, 500)])
def test_initial_weights(shape):
    weights = np.float64(truncated_fan_in(KEY, shape))
    sigma = 1 / np.sqrt(np.prod(shape[:-1]))
    # The deviation of a standard normal cut off at 2: sqrt(1 - 4 phi(2) / P).
    cut_deviation = 0.8796256
    assert weights.shape == shape
    assert np.abs(weights).max() <= 2 * sigma * (1 + 1e-6)
    assert np.abs(weights).max() > 1.98 * sigma
    np.testing.assert_allclose(weights.std(), cut_deviation * sigma, rtol=0.01)
    assert abs(weights.mean()) < 0.01 * sigma


def test_initial_layers():
    params = jax.jit(MLP((50, 40), 10, norm="layer").init)(KEY, IMAGES)["params"]
    for i, fan_in in enumerate([48, 50, 40]):
        kernel, bias = params[f"Dense_{i}"]["kernel"], params[f"Dense_{i}"]["bias"]
        np.testing.assert_array_equal(bias, 0)
        np.testing.assert_allclose(kernel.std() * np.sqrt(fan_in), 0.88, rtol=0.1)
    np.testing.assert_array_equal(params["LayerNorm_0"]["scale"], 1)
    np.testing.assert_array_equal(params["LayerNorm_0"]["bias"], 0)


def test_batch_norm_keeps_moving_averages_with_decay():
    mlp = MLP((7,), 3, norm="batch")
    variables = variables_of(mlp)
    _, state = apply(mlp, variables)
    (raw,) = reference(variables["params"], IMAGES, lambda x: x, "batch")[1]
    moving = state["batch_stats"]["BatchNorm_0"]
    before = variables["batch_stats"]["BatchNorm_0"]
    for name, of_batch in {"mean": raw.mean(0), "var": raw.var(0)}.items():
        want = 0.9 * np.float64(before[name]) + 0.1 * of_batch
        np.testing.assert_allclose(moving[name], want, rtol=1e-4, atol=1e-5)


def test_batch_norm_does_not_use_its_moving_averages():
    mlp = MLP((7,), 3, norm="batch")
    variables = variables_of(mlp)
    other = jax.tree.map(lambda a: a + 5, variables["batch_stats"])
    outputs, _ = apply(mlp, variables)
    np.testing.assert_array_equal(
        outputs, apply(mlp, {**variables, "batch_stats": other})[0]
    )


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_dropout_zeroes_hidden_units_and_scales_the_others(rate):
    mlp = MLP((64,), 64, activation=lambda x: x, dropout=rate)
    # With identity weights the output shows the hidden units themselves.
    eye = {"kernel": jnp.eye(64), "bias": jnp.zeros(64)}
    ones = jnp.ones((200, 8, 8, 1))
    output, _ = apply(mlp, {"params": {"Dense_0": eye, "Dense_1": eye}}, ones)
    kept = np.asarray(output) != 0
    np.testing.assert_allclose(kept.mean(), 1 - rate, atol=0.02)
    np.testing.assert_allclose(output[kept], 1 / (1 - rate), rtol=1e-5)


def test_dropout_is_decided_by_the_key_and_spares_input_and_output():
    mlp = MLP((64,), 10, dropout=0.5)
    variables = variables_of(mlp)
    outputs = [apply(mlp, variables, key=jax.random.PRNGKey(s))[0] for s in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])
    assert (np.asarray(outputs[0]) != 0).all()
    no_hidden = MLP((), 10, dropout=0.5)
    variables = variables_of(no_hidden)
    outputs = [
        apply(no_hidden, variables, key=jax.random.PRNGKey(s))[0] for s in (0, 1)
    ]
    np.testing.assert_array_equal(*outputs)
