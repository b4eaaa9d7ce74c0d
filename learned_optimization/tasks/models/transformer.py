"""The decoder-only transformer of the language tasks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from learned_optimization.tasks.models.attention import Affine, Weights, attend
from learned_optimization.tasks.models.init import linear, truncated_unit
from learned_optimization.tasks.models.language import PADDING
from learned_optimization.tasks.models.norm import normalize
from learned_optimization.tasks.models.products import dense

_KEY_SIZE = 32
_MLP_FACTOR = 4


class TransformerLanguageModel(nn.Module):
    """An embedding, pre-norm decoder layers, a linear layer to the vocabulary.

    There is no position embedding: position is known by the causal mask alone.

    Attributes:
      num_heads: attention heads, each with keys of 32 for every `d_model`.
      d_model: width of a token.
      num_layers: decoder layers.
      vocab_size: number of tokens.
      dropout: probability that an output of attention or MLP is dropped.
    """

    num_heads: int
    d_model: int
    num_layers: int
    vocab_size: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map tokens int `[batch, length]` to logits `[batch, length, vocab_size]`.

        The logits at a position are those of the token after it.
        """
        length = tokens.shape[1]
        causal = jnp.tril(jnp.ones((length, length), bool))
        mask = causal & (tokens != PADDING)[:, None, :]
        table = self.param("embedding", truncated_unit, (self.vocab_size, self.d_model))
        x = table[tokens]
        for _ in range(self.num_layers):
            x += self._drop(self._attend(normalize("layer", x), mask))
            x += self._drop(self._mlp(normalize("layer", x)))
        return linear(self.vocab_size)(normalize("layer", x))

    def _attend(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Attend, in `[batch, length, d_model]`, where the mask is True."""
        width = self.num_heads * _KEY_SIZE
        projections = [self._affine(x.shape[-1], width) for _ in range(3)]
        return attend(
            x, projections, self._affine(width, self.d_model), self.num_heads, mask
        )

    def _mlp(self, x: jax.Array) -> jax.Array:
        hidden = nn.gelu(self._linear(_MLP_FACTOR * self.d_model)(x))
        return self._linear(self.d_model)(hidden)

    def _drop(self, x: jax.Array) -> jax.Array:
        return nn.Dropout(self.dropout, deterministic=False)(x) if self.dropout else x

    def _linear(self, width: int) -> nn.Dense:
        return dense(width, kernel_init=self._scaled())

    def _affine(self, inputs: int, outputs: int) -> Weights:
        return Dense((inputs,), (outputs,), self._scaled())()

    def _scaled(self) -> Any:
        # The sum of all layers then keeps its scale, however many there are.
        return nn.initializers.variance_scaling(
            2 / self.num_layers, "fan_in", "truncated_normal"
        )


class Dense(Affine):
    """An `Affine` that flax counts among the linear layers that are applied."""
