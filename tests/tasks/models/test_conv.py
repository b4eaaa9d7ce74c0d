"""Convolutions and pooling against XLA's own; the network layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from learned_optimization.tasks.models.conv import Conv, ConvNet, max_pool
from tests.tasks.models.compiled import apply, init

KEY = jax.random.PRNGKey(0)


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (1, 7, 5, 2), (2, 1, 4, 1)])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_that_of_xla(shape, size, stride):
    x = jax.random.normal(KEY, shape)
    conv = Conv(4, size, stride)
    params = init(conv, KEY, x)["params"]
    params["bias"] = jnp.arange(4.0)
    want = lax.conv_general_dilated(
        x,
        params["kernel"],
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )
    got = apply(conv, {"params": params}, x)
    np.testing.assert_allclose(got, want + params["bias"], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 4, 7, 8])
def test_maximum_is_that_of_xla(length):
    x = jax.random.normal(KEY, (2, length, length, 3))
    want = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    np.testing.assert_array_equal(max_pool(x, 3, 2), want)


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (3, 1), (2, 2), (2, 3)])
@pytest.mark.parametrize("length", [1, 4, 7, 8])
def test_gradient_of_the_maximum_is_that_of_xla(length, size, stride):
    # Whole numbers are often equal: the first of them gets all of the gradient.
    x = jnp.round(jax.random.normal(KEY, (2, length, length, 3)))

    def xlas(x):
        window, strides = (1, size, size, 1), (1, stride, stride, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "SAME")

    def ours(x):
        return max_pool(x, size, stride)

    @jax.jit
    def both(x):
        (want, back), (got, our_back) = jax.vjp(xlas, x), jax.vjp(ours, x)
        weights = jax.random.normal(KEY, want.shape)
        return (want, *back(weights)), (got, *our_back(weights))

    (want, gradient), (got, our_gradient) = both(x)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(our_gradient, gradient, atol=1e-5)


def test_a_maximum_over_nan_is_nan():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
    assert np.isnan(max_pool(x, 3, 2)).sum() == 1


def test_gradient_of_the_maximum_goes_to_the_largest():
    x = jax.random.normal(KEY, (1, 4, 4, 1))
    grad = jax.jit(jax.grad(lambda x: max_pool(x, 3, 2).sum()))(x)
    assert float(grad.sum()) == pytest.approx(4)
    assert np.count_nonzero(grad) <= 4
    assert grad.ravel()[x.argmax()] >= 1


def test_initial_weights_have_the_fan_in_of_the_window():
    kernel = init(Conv(64, 3), KEY, jnp.zeros((1, 4, 4, 32)))["params"]["kernel"]
    scale = 1 / np.sqrt(9 * 32)
    assert np.abs(kernel).max() <= 2 * scale
    # The deviation of a normal cut off at two scales.
    assert np.std(kernel) == pytest.approx(0.8796 * scale, rel=0.02)


@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_network_by_its_definition(norm):
    net = ConvNet((4, 6), 5, activation=jnp.tanh, norm=norm)
    x = jax.random.normal(KEY, (3, 8, 8, 2))
    variables = init(net, KEY, x)
    got, _ = apply(net, variables, x, mutable="batch_stats")
    p = jax.tree.map(np.float64, variables["params"])

    def conv(x, layer, stride):
        return np.float64(
            lax.conv_general_dilated(
                x,
                layer["kernel"],
                (stride, stride),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                precision="highest",
            )
        )

    h = np.float64(x)
    for i, stride in enumerate((2, 1)):
        h = np.tanh(
            conv(np.float32(h), jax.tree.map(np.float32, p[f"Conv_{i}"]), stride)
        )
        axes = {None: None, "layer": (3,), "batch": (0, 1, 2)}[norm]
        if axes:
            mean, var = h.mean(axes, keepdims=True), h.var(axes, keepdims=True)
            h = (h - mean) / np.sqrt(var + 1e-5)
    want = h.mean((1, 2)) @ p["Dense_0"]["kernel"]
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
