"""Newton-Schulz: golden values, and its polynomial applied to singular values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learned_optimizers.newton_schulz import newton_schulz
from tests.golden import reference

RNG = np.random.default_rng(0)


def of_singular_values(x: np.ndarray, times: int = 5) -> np.ndarray:
    """Return the iteration's result by decomposition, in float64."""
    u, s, v = np.linalg.svd(np.float64(x), full_matrices=False)
    s = s / (np.linalg.norm(np.float64(x), axis=(-2, -1)) + 1e-8)[..., None]
    for _ in range(times):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s[..., None, :]) @ v


def test_it_agrees_with_the_published_program() -> None:
    with np.load(reference("learned/golden_celo/newton_schulz.npz")) as file:
        arrays = dict(file)
    names = [name.removeprefix("in|") for name in arrays if name.startswith("in|")]
    assert len(names) == 13
    for name in names:
        got = jax.jit(newton_schulz)(jnp.asarray(arrays[f"in|{name}"]))
        np.testing.assert_allclose(got, arrays[f"out|{name}"], atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(5, 5), (3, 8), (8, 3), (1, 6), (2, 3, 4), (3, 3, 2, 4)]
)
def test_it_is_the_polynomial_of_the_singular_values(shape: tuple[int, ...]) -> None:
    x = np.asarray(RNG.normal(size=shape), np.float32)
    got = newton_schulz(jnp.asarray(x))
    np.testing.assert_allclose(got, of_singular_values(x), atol=1e-5)
    once = newton_schulz(jnp.asarray(x), num_iterations=1)
    np.testing.assert_allclose(once, of_singular_values(x, times=1), atol=1e-6)


def test_singular_values_come_near_one() -> None:
    x = jnp.asarray(RNG.normal(size=(20, 12)), jnp.float32)
    values = np.linalg.svd(newton_schulz(x), compute_uv=False)
    assert 0.6 < values.min() < values.max() < 1.2


def test_zeros_stay_zeros() -> None:
    assert not np.asarray(newton_schulz(jnp.zeros((4, 6)))).any()
