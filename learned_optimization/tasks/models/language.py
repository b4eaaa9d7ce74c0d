"""Tasks that predict the next token of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch
from learned_optimization.tasks.models.flax_task import FlaxTask

PADDING = 0


@dataclass(frozen=True)
class LanguageModelTask(FlaxTask):
    """Cross entropy of each next token, in nats, over what is not padding.

    A position counts where its input token is not padding (token 0), so the
    first padding after a text is predicted, as its end.

    Attributes:
      datasets: batches of `obs` and `target`, int32 `[batch, length]`.
    """

    input_field: ClassVar[str] = "obs"

    @property
    def vocab_size(self) -> int:
        """The number of tokens, and of logits a position."""
        return self.datasets.extra_info["vocab_size"]

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """Return the loss of the logits `[batch, length, vocab_size]`, a scalar."""
        log_probs = jax.nn.log_softmax(output, axis=-1)
        target = data["target"][..., None]
        losses = -jnp.take_along_axis(log_probs, target, axis=-1)[..., 0]
        counts = (data["obs"] != PADDING).astype(losses.dtype)
        # A batch of nothing but padding has no loss, rather than NaN.
        return jnp.sum(losses * counts) / jnp.maximum(jnp.sum(counts), 1.0)
