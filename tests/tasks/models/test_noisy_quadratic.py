"""The noisy quadratic, against its definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import fft

from learned_optimization.tasks.models.noisy_quadratic import (
    NoisyQuadraticTask,
    cosine_transform,
)
from learned_optimization.tasks.quadratics import GaussianOffsets

DIM, CONDITION, NOISE = 6, 100.0, 0.2
TASK = NoisyQuadraticTask(GaussianOffsets(DIM, 4), CONDITION, NOISE)
KEY = jax.random.PRNGKey(0)
CURVATURES = CONDITION ** (-np.arange(DIM) / (DIM - 1))
# The transform of each unit vector is a column of its matrix.
BASIS = np.asarray(fft.dct(np.eye(DIM), norm="ortho", axis=0))


@pytest.mark.parametrize("dim", [1, 2, 5, 100])
def test_transform_is_the_orthonormal_one(dim):
    want = np.asarray(fft.dct(np.eye(dim), norm="ortho", axis=0))
    np.testing.assert_allclose(cosine_transform(dim), want, atol=1e-6)


def loss_by_hand(x, offsets):
    losses = [
        sum(
            (np.sqrt(h) * float(BASIS[i] @ x) - NOISE * offset[i]) ** 2 / 2
            for i, h in enumerate(CURVATURES)
        )
        for offset in offsets
    ]
    return np.mean(losses)


def test_loss():
    rng = np.random.default_rng(0)
    x, offsets = rng.standard_normal(DIM), rng.standard_normal((4, DIM))
    got = TASK.loss({"x": jnp.asarray(x)}, KEY, {"offset": jnp.asarray(offsets)})
    np.testing.assert_allclose(got, loss_by_hand(x, offsets), rtol=1e-5)


def test_curvature():
    batch = {"offset": jnp.zeros((4, DIM))}
    hessian = jax.hessian(lambda x: TASK.loss({"x": x}, KEY, batch))(jnp.ones(DIM))
    want = BASIS.T @ np.diag(CURVATURES) @ BASIS
    np.testing.assert_allclose(hessian, want, atol=1e-6)


def test_noise_of_the_gradient_is_proportional_to_the_curvature():
    """The covariance of one example's gradient is `noise_std^2` of the curvature."""
    task = NoisyQuadraticTask(GaussianOffsets(DIM, 1), CONDITION, NOISE)
    gradient = jax.grad(lambda x, e: task.loss({"x": x}, KEY, {"offset": e[None]}))
    # In units of every axis: their second moment is the identity.
    units = np.sqrt(DIM) * np.concatenate([np.eye(DIM), -np.eye(DIM)])
    grads = jax.vmap(gradient, (None, 0))(jnp.zeros(DIM), jnp.asarray(units))
    got = grads.T @ grads / (2 * DIM)
    want = NOISE**2 * BASIS.T @ np.diag(CURVATURES) @ BASIS
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_normalizer_ends_at_twice_the_expected_start():
    worst = CURVATURES.sum() + DIM * NOISE**2
    losses = jnp.asarray([-1.0, 0.5, 1e9, jnp.inf, jnp.nan])
    want = [0.0, 0.5, worst, worst, worst]
    np.testing.assert_allclose(TASK.normalizer(losses), want, rtol=1e-6)


def test_data_decides_the_number_of_parameters():
    params = TASK.init(KEY)
    assert jax.tree.map(jnp.shape, params) == {"x": (DIM,)}
    again = TASK.init(jax.random.PRNGKey(1))
    assert not np.allclose(params["x"], again["x"])
