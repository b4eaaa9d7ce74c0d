"""Initial weights shared by the models of the fixed tasks."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from learned_optimization.tasks.models.products import dense

# Variance 1/fan_in after the cut at two scales, which is made up for: each scale is
# 1/0.88 of the deviation wanted.
corrected_fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def truncated_fan_in(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> jax.Array:
    """Return normal weights of scale `1/sqrt(fan_in)`, cut off at two scales.

    The cut is not made up for: the deviation of the draws is 0.88 of the scale.

    Args:
      key: PRNG key that decides the draw.
      shape: `[..., fan_in, fan_out]`; the leading axes (the window of a
        convolution) multiply the fan-in.
      dtype: dtype of the weights.

    Returns:
      An array of `shape`, every entry within `2/sqrt(fan_in)` of zero.
    """
    scale = 1 / math.sqrt(math.prod(shape[:-1]))
    return scale * jax.random.truncated_normal(key, -2, 2, shape, dtype)


def truncated_unit(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> jax.Array:
    """Return normal weights of scale 1, cut off at two: for embedding tables.

    Whatever the size of the table, an embedded token has entries of deviation 0.88.

    Args:
      key: PRNG key that decides the draw.
      shape: any shape.
      dtype: dtype of the weights.

    Returns:
      An array of `shape`, every entry within 2 of zero.
    """
    return jax.random.truncated_normal(key, -2, 2, shape, dtype)


def linear(width: int) -> nn.Dense:
    """Return a linear layer `[..., inputs]` to `[..., width]`, its bias zero."""
    return dense(width, kernel_init=truncated_fan_in)


def zero_linear(width: int) -> nn.Dense:
    """Return a linear layer that starts as the zero map."""
    return dense(width, kernel_init=nn.initializers.zeros)
