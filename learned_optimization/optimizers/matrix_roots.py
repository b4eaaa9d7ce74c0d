"""Inverse roots of symmetric positive semidefinite matrices, in float32 or float64.

Roots are found by the coupled Newton iteration (Guo & Higham 2006, "A
Schur-Newton method for the matrix p-th root and its inverse", as Anil et al.
2020, arXiv:2002.09018, use it): matrix products alone. An eigendecomposition is
somewhat more accurate, and for 70 matrices on two processor cores as fast where
nothing else runs (n = 10, 32, 64, 128: 0.7, 5, 20 and 220 ms against 1, 8, 40 and
310 ms, p = 4). But its LAPACK routine starts threads of its own from n = 64 on,
and where the cores are busy already, as they are while other trials train, it
took 800 ms for n = 64 and up to 9 s for n = 128; products took no longer than
before. Worse, several batches of LAPACK calls at once may wait for each other
forever (jaxlib 0.10).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from learned_optimization.optimizers.base import Scalar

# Far more than the 20 to 50 that matrices of float32 take.
_MAX_ITERATIONS = 100
_POWER_ITERATIONS = 50
_TOLERANCE = 1e-6
# Rounding makes eigenvalues of a semidefinite matrix negative, by about as much
# as this of the largest; from a negative one the iteration runs away.
SMALLEST_RIDGE = 5e-7


def inverse_pth_root(
    matrix: jax.Array, p: int, ridge_epsilon: Scalar, least: float = 0.0
) -> jax.Array:
    """Return `(A + ridge_epsilon max(lambda_max(A), least) I) ** (-1 / p)` of matrices.

    The largest eigenvalue is estimated from below, within a few percent where
    many are about as large and exactly where it stands out. A zero matrix, which
    has no scale, gives the identity; one that is not finite gives nan.

    Args:
      matrix: float32 or float64 `[..., n, n]`, symmetric positive semidefinite.
      p: a whole number of at least 1.
      ridge_epsilon: share of the largest eigenvalue added to all, a scalar;
        float32 needs `SMALLEST_RIDGE`, which is taken where it is less.
      least: used in place of the largest eigenvalue where that is smaller.

    Returns:
      `[..., n, n]` of the matrix's type, symmetric.
    """
    n, dtype = matrix.shape[-1], matrix.dtype
    scale = jnp.max(jnp.abs(matrix), axis=(-2, -1), keepdims=True)
    finite, zero = jnp.isfinite(scale), scale == 0.0
    # Entries far from one would leave float32 in products of several matrices.
    scaled = jnp.where(
        finite & ~zero, matrix / jnp.where(zero, 1.0, scale), jnp.eye(n, dtype=dtype)
    )
    ridge = jnp.asarray(jnp.maximum(ridge_epsilon, SMALLEST_RIDGE), dtype)
    flat = scaled.reshape(-1, n, n)
    leasts = (least / jnp.where(finite & ~zero, scale, 1.0)).reshape(-1)
    roots = jax.vmap(_root, in_axes=(0, None, None, 0))(flat, p, ridge, leasts)
    roots = roots.reshape(matrix.shape) * jnp.where(zero, 1.0, scale) ** (-1.0 / p)
    return jnp.where(finite, jnp.where(zero, jnp.eye(n, dtype=dtype), roots), jnp.nan)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    # Accelerators round the factors of a product unless told not to.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _power(matrix: jax.Array, p: int) -> jax.Array:
    if p == 1:
        return matrix
    half = _power(matrix, p // 2)
    square = _product(half, half)
    return _product(square, matrix) if p % 2 else square


def _largest_eigenvalue(matrix: jax.Array) -> jax.Array:
    """Return an estimate from below by power iteration."""
    # A fixed direction that a model's matrix is hardly ever orthogonal to.
    start = jnp.cos(jnp.arange(matrix.shape[-1], dtype=matrix.dtype) ** 2 + 0.5)

    def step(_: int, vector: jax.Array) -> jax.Array:
        image = _product(matrix, vector)
        return image / jnp.maximum(jnp.linalg.norm(image), 1e-30)

    vector = jax.lax.fori_loop(0, _POWER_ITERATIONS, step, start)
    largest = jnp.vdot(vector, _product(matrix, vector))
    # The largest eigenvalue is at least as large as every entry of the diagonal.
    return jnp.maximum(largest, jnp.max(jnp.diagonal(matrix)))


def _root(matrix: jax.Array, p: int, ridge: jax.Array, least: jax.Array) -> jax.Array:
    """Return the regularized inverse root of one finite matrix of moderate entries."""
    identity = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
    largest = jnp.maximum(_largest_eigenvalue(matrix), least)
    damped = matrix + ridge * largest * identity
    # Eigenvalues of `scaled` then lie in (0, (p + 1) / 2], so that all of them reach 1.
    factor = (p + 1) / (2.0 * jnp.linalg.norm(damped))
    scaled = damped * factor
    error = jnp.linalg.norm(scaled - identity)

    def unfinished(carry: tuple[jax.Array, ...]) -> jax.Array:
        iteration, _, _, error, before = carry
        # Once every eigenvalue is near one, which this norm tells and the largest
        # entry does not, errors are squared until rounding is all that is left.
        rounding_only = (error < 0.05) & (error > 0.5 * before)
        return (iteration < _MAX_ITERATIONS) & (error > _TOLERANCE) & ~rounding_only

    def step(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        iteration, scaled, root, error, _ = carry
        change = ((p + 1) * identity - scaled) / p
        scaled = _product(_power(change, p), scaled)
        # Rounding makes it less symmetric, and that error grows from step to step.
        scaled = 0.5 * (scaled + scaled.T)
        root = _product(root, change)
        return (
            iteration + 1,
            scaled,
            root,
            jnp.linalg.norm(scaled - identity),
            error,
        )

    start = (
        jnp.zeros([], jnp.int32),
        scaled,
        identity * factor ** (1.0 / p),
        error,
        2.0 * error + 1.0,
    )
    root = jax.lax.while_loop(unfinished, step, start)[2]
    return 0.5 * (root + root.T)
