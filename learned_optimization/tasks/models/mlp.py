"""The multi-layer perceptron of the image tasks."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax

from learned_optimization.tasks.models.init import linear
from learned_optimization.tasks.models.norm import Norm, normalize

Activation = Callable[[jax.Array], jax.Array]


class MLP(nn.Module):
    """Linear layers with an activation after all but the last.

    Each hidden layer is linear, norm (if any), activation, dropout (if any).

    Attributes:
      hidden: width of each hidden layer.
      output_size: width of the last layer.
      activation: applied entrywise after every hidden layer.
      dropout: probability that a hidden unit is dropped; needs the PRNG stream
        `dropout` where it is not zero.
      norm: `"layer"`, `"batch"` (statistics of the current batch, always; the
        moving averages are kept in the collection `batch_stats`) or None.
    """

    hidden: tuple[int, ...]
    output_size: int
    activation: Activation = nn.relu
    dropout: float = 0.0
    norm: Norm | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Map each example to its outputs.

        Args:
          inputs: float `[batch, ...]`; the trailing axes are flattened.

        Returns:
          Float `[batch, output_size]`.
        """
        x = inputs.reshape(inputs.shape[0], -1)
        for width in self.hidden:
            x = self.activation(normalize(self.norm, linear(width)(x)))
            if self.dropout:
                x = nn.Dropout(self.dropout, deterministic=False)(x)
        return linear(self.output_size)(x)
