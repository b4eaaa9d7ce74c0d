"""Self-attention over the tokens of a sequence, its products made large.

Query, key and value of all heads are one matrix product: on a CPU, an update of a
small transformer is a sixth shorter than with a product each, whose three axes XLA
also copies to and fro.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from learned_optimization.tasks.models.products import product

Weights = tuple[jax.Array, jax.Array]
"""A kernel `[inputs, outputs]` and a bias `[outputs]`."""

# Finite, so that a position which sees nothing has no NaN.
_MASKED = -1e30


class Affine(nn.Module):
    """The weights of a linear layer, not applied yet.

    Attributes:
      inputs: axes of the input, which the kernel is stored with.
      outputs: axes of the output.
      kernel_init: draws the kernel, of two axes.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel_init: Any

    @nn.compact
    def __call__(self) -> Weights:
        """Return kernel and bias, of two axes and one."""
        flat = math.prod(self.inputs), math.prod(self.outputs)

        def draw(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            return self.kernel_init(key, flat, jnp.float32).reshape(shape)

        kernel = self.param("kernel", draw, (*self.inputs, *self.outputs))
        bias = self.param("bias", nn.initializers.zeros, self.outputs)
        return kernel.reshape(flat), bias.reshape(-1)


def attend(
    x: jax.Array,
    projections: Sequence[Weights],
    out: Weights,
    num_heads: int,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Let every token attend to every other.

    Args:
      x: float `[batch, tokens, width]`.
      projections: weights of query, key and value, of one width.
      out: weights of the layer behind.
      num_heads: heads, a divisor of that width.
      mask: bool `[batch, tokens, tokens]`, whether the former sees the latter; None if
        all see all.

    Returns:
      Float `[batch, tokens, outputs of out]`.
    """
    kernels, biases = zip(*projections, strict=True)
    together = product(x, jnp.concatenate(kernels, axis=1)) + jnp.concatenate(biases)
    heads = together.reshape(*x.shape[:2], len(projections), num_heads, -1)
    query, key, value = (heads[:, :, i] for i in range(len(projections)))
    scaled = query / query.shape[-1] ** 0.5
    scores = jnp.einsum("bqhk,bshk->bhqs", scaled, key)
    if mask is not None:
        scores = jnp.where(mask[:, None], scores, _MASKED)
    attended = jnp.einsum("bhqs,bshk->bqhk", nn.softmax(scores), value)
    kernel, bias = out
    return product(attended.reshape(*x.shape[:2], -1), kernel) + bias
