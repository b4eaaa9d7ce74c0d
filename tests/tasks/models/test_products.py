"""Products of two axes are those of all axes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.tasks.models.products import dense, product

KEY = jax.random.PRNGKey(0)


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 3, 4)])
def test_value_and_gradients_by_float64(leading):
    x = jax.random.normal(KEY, (*leading, 5))
    w = jax.random.normal(jax.random.PRNGKey(1), (5, 6))
    out, back = jax.vjp(product, x, w)
    x64, w64 = np.asarray(x, np.float64), np.asarray(w, np.float64)
    np.testing.assert_allclose(out, x64 @ w64, rtol=1e-5, atol=1e-5)
    g = jax.random.normal(jax.random.PRNGKey(2), out.shape)
    g64 = np.asarray(g, np.float64)
    dx, dw = back(g)
    np.testing.assert_allclose(dx, g64 @ w64.T, rtol=1e-5, atol=1e-5)
    want = x64.reshape(-1, 5).T @ g64.reshape(-1, 6)
    np.testing.assert_allclose(dw, want, rtol=1e-5, atol=1e-5)


def test_a_layer_is_that_of_flax():
    x = jax.random.normal(KEY, (2, 3, 5))
    ours, theirs = dense(6), nn.Dense(6)
    params = theirs.init(KEY, x)
    assert jax.tree.map(jnp.shape, ours.init(KEY, x)) == jax.tree.map(jnp.shape, params)
    got, want = (np.asarray(layer.apply(params, x)) for layer in (ours, theirs))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
