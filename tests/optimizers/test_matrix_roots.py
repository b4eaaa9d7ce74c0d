import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.optimizers.matrix_roots import (
    SMALLEST_RIDGE,
    inverse_pth_root,
)

root = jax.jit(inverse_pth_root, static_argnums=1)


@functools.cache
def _matrices(n: int, condition: float, count: int = 3) -> np.ndarray:
    draw = np.random.default_rng(0).normal
    q = np.linalg.qr(draw(size=(count, n, n)))[0]
    # The largest stands out, as its estimate needs.
    values = np.geomspace(1.0, 1.0 / condition, n) * np.where(np.arange(n), 0.5, 1.0)
    matrices = (q * values) @ q.swapaxes(1, 2)
    return np.asarray((matrices + matrices.swapaxes(1, 2)) / 2, np.float32)


def _exact(matrices: np.ndarray, p: int, ridge: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.float64(matrices))
    values = np.maximum(values, 0.0) + ridge * values[..., -1:]
    return (vectors * values[..., None, :] ** (-1 / p)) @ vectors.swapaxes(-1, -2)


def _error(got: jax.Array, want: np.ndarray) -> float:
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


# A float32 matrix is itself known to 6e-8 of its largest eigenvalue only; where
# the smallest, with the ridge, is `1 / c` of it the root errs by about `6e-8 c / p`.
@pytest.mark.parametrize(
    ("n", "condition", "ridge", "tolerance", "p"),
    [
        *((10, 1.0, 1e-6, 1e-5, p) for p in range(1, 9)),
        *((10, 1e2, 1e-6, 3e-5, p) for p in range(1, 9)),
        *((10, 1e4, 1e-6, 2e-3, p) for p in range(1, 9)),
        *((10, 1e8, 1e-2, 3e-5, p) for p in range(1, 9)),
        *((10, 1e8, 1e-4, 2e-3, p) for p in range(1, 9)),
        *((1, 1.0, 1e-6, 1e-6, p) for p in (1, 4)),
        *((2, 1e2, 1e-6, 1e-5, p) for p in (1, 4)),
        *((33, 1e4, 1e-3, 3e-4, p) for p in (1, 4)),
        *((33, 1e8, 1e-6, 0.1, p) for p in (1, 4)),
    ],
)
def test_matches_an_eigendecomposition(
    n: int, condition: float, ridge: float, tolerance: float, p: int
) -> None:
    matrices = _matrices(n, condition)
    got = root(matrices, p, ridge)
    assert got.dtype == jnp.float32
    assert _error(got, _exact(matrices, p, ridge)) < tolerance
    np.testing.assert_array_equal(got, got.mT)


@pytest.mark.parametrize("ridge", [0.0, 1e-12, SMALLEST_RIDGE, 1e-6])
@pytest.mark.parametrize("rank", [1, 3, 20])
def test_singular_matrices(rank: int, ridge: float) -> None:
    factor = np.random.default_rng(1).normal(size=(4, 20, rank)).astype(np.float32)
    matrices = jnp.matmul(factor, factor.swapaxes(1, 2))
    got = root(matrices, 4, ridge)
    want = _exact(np.asarray(matrices), 4, max(ridge, SMALLEST_RIDGE))
    assert _error(got, want) < 0.15


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_entries_far_from_one(scale: float) -> None:
    matrices = _matrices(10, 1e2)
    got = root(np.float32(scale) * matrices, 4, 1e-6) * scale**0.25
    assert _error(got, _exact(matrices, 4, 1e-6)) < 3e-5


@pytest.mark.parametrize(("scale", "share"), [(1.0, 1.0), (1e-3, 1e3), (1e-8, 1e8)])
def test_a_least_largest_eigenvalue(scale: float, share: float) -> None:
    matrices = np.float32(scale) * _matrices(10, 1e2)
    got = inverse_pth_root(jnp.asarray(matrices), 2, 1e-3, least=1.0)
    assert _error(got, _exact(matrices, 2, 1e-3 * share)) < 3e-5


# Where many eigenvalues are almost the largest it is found to a few percent.
def test_estimate_of_a_flat_spectrum() -> None:
    q = np.linalg.qr(np.random.default_rng(2).normal(size=(40, 40)))[0]
    matrix = np.float32((q * np.linspace(1.0, 0.0, 40)) @ q.T)
    got = root((matrix + matrix.T) / 2, 1, 0.01)
    assert 100 < np.linalg.eigvalsh(np.float64(got))[-1] < 105


def test_the_largest_eigenvalue_may_lie_anywhere() -> None:
    matrix = np.diag(np.array([1.0, 0.9, 0.9], np.float32))
    matrix[1, 2] = matrix[2, 1] = 0.9
    got = root(matrix, 2, 0.1)
    assert _error(got, _exact(matrix, 2, 0.1)) < 1e-5
    for i in range(5):
        one = np.zeros((5, 5), np.float32)
        one[i, i] = 4.0
        want = np.eye(5) / np.sqrt(0.4)
        want[i, i] = 1 / np.sqrt(4.4)
        assert _error(root(one, 2, 0.1), want) < 1e-5


def test_zero_and_non_finite_matrices_leave_the_others_alone() -> None:
    good = _matrices(4, 1e2, count=1)[0]
    bad = [np.full_like(good, v) for v in (0.0, np.nan, np.inf, -np.inf)]
    one_bad = good.copy()
    one_bad[1, 2] = np.nan
    got = np.asarray(root(np.stack([good, *bad, one_bad]), 4, 1e-6))
    np.testing.assert_array_equal(got[1], np.eye(4))
    assert np.isnan(got[2:]).all()
    assert _error(got[0], _exact(good, 4, 1e-6)) < 3e-5


@pytest.mark.slow
def test_shapes_and_vmap() -> None:
    matrices = _matrices(5, 10.0, count=6).reshape(2, 3, 5, 5)
    ridges = jnp.array([1e-3, 1e-1])
    got = jax.vmap(lambda m, r: inverse_pth_root(m, 3, r))(matrices, ridges)
    for i in range(2):
        for j in range(3):
            want = _exact(matrices[i, j], 3, float(ridges[i]))
            assert _error(got[i, j], want) < 1e-5
    assert root(np.zeros((0, 5, 5), np.float32), 2, 0.1).shape == (0, 5, 5)
