"""The matrix product of every layer: of two axes, however many the input has.

With more axes XLA, on a CPU, transposes the gradient in memory before the product
that gives the gradient of the weights; a whole update of a small residual network
or transformer then takes up to half as long again.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from jax import lax


def product(x: jax.Array, weights: jax.Array, precision: Any = None) -> jax.Array:
    """Return `x @ weights`, with all leading axes of `x` made one for the product.

    Args:
      x: `[..., inputs]`.
      weights: `[inputs, outputs]`.
      precision: as for `jax.lax.dot`.

    Returns:
      `[..., outputs]`.
    """
    rows = x.reshape(-1, x.shape[-1])
    out = lax.dot(rows, weights, precision=precision)
    return out.reshape(*x.shape[:-1], weights.shape[-1])


def dense(width: int, **kwargs: Any) -> nn.Dense:
    """Return a linear layer, as `flax.linen.Dense` has it, computed by `product`."""
    return nn.Dense(width, dot_general=_dot_general, **kwargs)


def _dot_general(
    x: jax.Array, weights: jax.Array, dimensions: Any, precision: Any = None
) -> jax.Array:
    assert dimensions == (((x.ndim - 1,), (0,)), ((), ()))
    return product(x, weights, precision)
