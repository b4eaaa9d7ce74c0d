"""The multi-layer perceptron of the image tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax

from learned_optimization.tasks.models.init import truncated_fan_in

Activation = Callable[[jax.Array], jax.Array]
Norm = Literal["layer", "batch"]


class MLP(nn.Module):
    """Linear layers with an activation after all but the last.

    Each hidden layer is linear, norm (if any), activation, dropout (if any).

    Attributes:
      hidden: width of each hidden layer.
      output_size: width of the last layer.
      activation: applied entrywise after every hidden layer.
      dropout: probability that a hidden unit is dropped; needs the PRNG stream
        `dropout` where it is not zero.
      norm: `"layer"`, `"batch"` (statistics of the batch at hand, always; the
        moving averages are kept in the collection `batch_stats`) or None.
    """

    hidden: tuple[int, ...]
    output_size: int
    activation: Activation = nn.relu
    dropout: float = 0.0
    norm: Norm | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps each example to its outputs.

        Args:
          inputs: float `[batch, ...]`; the trailing axes are flattened.

        Returns:
          Float `[batch, output_size]`.
        """
        x = inputs.reshape(inputs.shape[0], -1)
        for width in self.hidden:
            x = self.activation(self._normalize(_linear(width)(x)))
            if self.dropout:
                x = nn.Dropout(self.dropout, deterministic=False)(x)
        return _linear(self.output_size)(x)

    def _normalize(self, x: jax.Array) -> jax.Array:
        if self.norm == "layer":
            return nn.LayerNorm(epsilon=1e-5)(x)
        if self.norm == "batch":
            return nn.BatchNorm(False, momentum=0.9, epsilon=1e-5)(x)
        return x


def _linear(width: int) -> nn.Dense:
    return nn.Dense(width, kernel_init=truncated_fan_in)
