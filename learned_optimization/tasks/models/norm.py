"""Normalization layers, always in training mode."""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax

Norm = Literal["layer", "batch"]

_EPSILON = 1e-5


def normalize(norm: Norm | None, x: jax.Array) -> jax.Array:
    """Normalize with learned scale and offset; to be called in a compact module.

    Args:
      norm: `"layer"` (over the last axis), `"batch"` (over all others, by the
        statistics of the current batch; moving averages of decay 0.9 are kept
        in the collection `batch_stats`) or None.
      x: float `[batch, ..., channels]`.
    """
    if norm == "layer":
        return nn.LayerNorm(epsilon=_EPSILON)(x)
    if norm == "batch":
        return nn.BatchNorm(False, momentum=0.9, epsilon=_EPSILON)(x)
    return x
