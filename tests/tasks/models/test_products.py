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
    x64, w64 = np.float64(x), np.float64(w)
    np.testing.assert_allclose(out, x64 @ w64, rtol=1e-5, atol=1e-5)
    g = jax.random.normal(jax.random.PRNGKey(2), out.shape)
    dx, dw = back(g)
    np.testing.assert_allclose(dx, np.float64(g) @ w64.T, rtol=1e-5, atol=1e-5)
    want = x64.reshape(-1, 5).T @ np.float64(g).reshape(-1, 6)
    np.testing.assert_allclose(dw, want, rtol=1e-5, atol=1e-5)


def test_a_layer_is_that_of_flax():
    x = jax.random.normal(KEY, (2, 3, 5))
    ours, theirs = dense(6), nn.Dense(6)
    params = theirs.init(KEY, x)
    assert jax.tree.map(jnp.shape, ours.init(KEY, x)) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(
        ours.apply(params, x), theirs.apply(params, x), rtol=1e-5, atol=1e-6
    )
