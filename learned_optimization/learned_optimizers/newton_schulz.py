"""Orthogonalize matrices by a Newton-Schulz iteration of fifth order."""

from __future__ import annotations

import jax
import jax.numpy as jnp

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Those of Muon (Jordan et al. 2024): steep at zero, which a few iterations need."""


def newton_schulz(
    x: jax.Array,
    coefficients: tuple[float, ...] = COEFFICIENTS,
    num_iterations: int = 5,
    eps: float = 1e-8,
) -> jax.Array:
    """Return matrices whose singular values are near one, with the same directions.

    A matrix divided by its Frobenius norm has singular values `s` in 0 to 1, and each
    iteration maps them to `a s + b s^3 + c s^5`. Five of them with these coefficients
    (Jordan et al. 2024, "Muon") bring all but the smallest into about 0.68 to 1.13.
    A matrix of zeros stays zero.

    Args:
      x: float32 `[..., rows, columns]`.
      coefficients: a, b and c.
      num_iterations: how often the polynomial is applied.
      eps: added to the norm.

    Returns:
      float32 `[..., rows, columns]`.
    """
    a, b, c = coefficients
    # The smaller of the two Gram matrices has the same singular values and costs less.
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (jnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + eps)

    def iterate(_: int, x: jax.Array) -> jax.Array:
        gram = _product(x, x.mT)
        return a * x + _product(b * gram + c * _product(gram, gram), x)

    x = jax.lax.fori_loop(0, num_iterations, iterate, x)
    return x.mT if tall else x


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    # Rounding grows with every iteration; accelerators round inputs to fewer bits.
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
