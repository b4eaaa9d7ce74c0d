"""What RNNMLPLOpt keeps of losses, and of how large gradients are."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class LossAverage:
    """Moving averages of losses and of their squared distances from the mean.

    Attributes:
      mean: float32 `[]`, zero before any loss, not corrected for that.
      var: float32 `[]`, likewise.
      updates: how many losses they are of, int32.
    """

    mean: jax.Array
    var: jax.Array
    updates: jax.Array

    @classmethod
    def start(cls) -> LossAverage:
        """Return the averages of no losses."""
        zero = jnp.zeros([], jnp.float32)
        return cls(zero, zero, jnp.zeros([], jnp.int32))

    def add(self, loss: Any, decay: float) -> LossAverage:
        """Return the averages with one more loss.

        Args:
          loss: the loss.
          decay: how much of the averages is kept.
        """
        loss = jnp.asarray(loss, jnp.float32)
        mean = decay * self.mean + (1 - decay) * loss
        var = decay * self.var + (1 - decay) * jnp.square(mean - loss)
        return LossAverage(mean, var, self.updates + 1)

    def corrected_mean(self, decay: float) -> jax.Array:
        """Return the mean corrected for its start at zero; zero of no losses."""
        return self.mean * self._correction(decay)

    def feature(self, loss: jax.Array, decay: float) -> jax.Array:
        """Return how many deviations a loss is above the mean, of -5 to 5.

        Args:
          loss: the loss.
          decay: as losses were added with.
        """
        correction = self._correction(decay)
        deviation = jax.lax.rsqrt(correction * self.var + 1e-8)
        return jnp.clip((loss - correction * self.mean) * deviation, -5, 5)

    def _correction(self, decay: float) -> jax.Array:
        # Of no losses, compilers may make `1 - decay**0 + 1e-8` a zero.
        kept = jnp.float32(decay) ** jnp.maximum(self.updates, 1).astype(jnp.float32)
        return jnp.where(self.updates > 0, 1 / (1 - kept + 1e-8), 0)


@flax.struct.dataclass
class DynamicClip:
    """Clips gradients to ten times what their size has been of late.

    Attributes:
      iteration: updates done and one, float32 `[]`.
      value: average of the root mean square of clipped gradients, float32 `[]`.
    """

    iteration: jax.Array
    value: jax.Array

    @classmethod
    def start(cls) -> DynamicClip:
        """Return the state before the first gradient."""
        return cls(jnp.ones([], jnp.float32), jnp.asarray(0.01, jnp.float32))

    def clip(self, grads: list[jax.Array]) -> tuple[DynamicClip, list[jax.Array]]:
        """Return the next state, and gradients clipped by this one."""
        kept = jnp.float32(0.99) ** self.iteration
        bound = 10 * self.value / (1 - kept)
        grads = [jnp.clip(g, -bound, bound) for g in grads]
        squares = jnp.stack([jnp.mean(jnp.square(g)) for g in grads])
        size = jnp.sqrt(1e-8 + jnp.mean(squares))
        return DynamicClip(self.iteration + 1, 0.99 * self.value + 0.01 * size), grads
