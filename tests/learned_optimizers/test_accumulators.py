"""Averages with decays first, against weighted sums in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learned_optimizers import accumulators
from learned_optimization.learned_optimizers.accumulators import Decays

DECAYS = Decays(momentum=(0.5, 0.9), rms=(0.99, 0.8), factored=(0.9, 0.95, 0.5))
# The largest axis and the second largest; of equal ones, the later is the larger.
AXES = {
    (5,): None,
    (4, 3): (0, 1),
    (3, 3): (1, 0),
    (3, 3, 2, 4): (3, 1),
    (1, 6): (1, 0),
    (4, 4, 4): (2, 1),
}


def weighted_sum(values: list[np.ndarray], decay: float) -> np.ndarray:
    weights = (1 - decay) * decay ** np.arange(len(values))[::-1]
    return np.tensordot(weights, np.stack(values).astype(np.float64), 1)


def averaged(grads: list[np.ndarray], decays: Decays) -> accumulators.Accumulators:
    acc = accumulators.start(grads[0].shape, decays)
    for grad in grads:
        acc = accumulators.advance(acc, jnp.asarray(grad), decays)
    return acc


@pytest.mark.parametrize("shape", AXES)
def test_averages_are_weighted_sums(shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0).normal
    grads = [np.asarray(draw(size=shape), np.float32) for _ in range(4)]
    squares = [np.square(g, dtype=np.float64) for g in grads]
    acc = averaged(grads, DECAYS)
    for k, decay in enumerate(DECAYS.momentum):
        want = weighted_sum(grads, decay)
        np.testing.assert_allclose(acc.momentum[k], want, 1e-5, 1e-7)
    for k, decay in enumerate(DECAYS.rms):
        np.testing.assert_allclose(acc.rms[k], weighted_sum(squares, decay), 1e-5)
    axes = AXES[shape]
    for k, decay in enumerate(DECAYS.factored):
        if axes is None:
            assert acc.row is acc.col is None
            assert acc.diagonal is not None
            want = weighted_sum(squares, decay)
            np.testing.assert_allclose(acc.diagonal[k], want, 1e-5)
            continue
        assert acc.diagonal is None
        for got, axis in zip((acc.row, acc.col), axes, strict=True):
            assert got is not None
            means = [s.mean(axis, keepdims=True) for s in squares]
            np.testing.assert_allclose(got[k], weighted_sum(means, decay), 1e-5)


def test_decays_of_squares_are_clipped_and_of_gradients_are_not() -> None:
    grads = [np.ones((2, 3), np.float32)] * 2
    decays = Decays(momentum=(1.5,), rms=(1.5,), factored=(-0.5,))
    acc = averaged(grads, decays)
    np.testing.assert_allclose(acc.momentum, -1.25, 1e-6)
    np.testing.assert_array_equal(acc.rms, 0)
    assert acc.row is not None
    np.testing.assert_allclose(acc.row, 1, 1e-6)


def test_decays_may_be_traced() -> None:
    grad = jnp.ones((2, 3))

    @jax.jit
    def once(decay: jax.Array) -> jax.Array:
        decays = Decays(momentum=decay[None], rms=(), factored=())
        start = accumulators.start(grad.shape, decays)
        return accumulators.advance(start, grad, decays).momentum

    np.testing.assert_allclose(once(jnp.float32(0.75)), 0.25)
