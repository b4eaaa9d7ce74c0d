"""How the loss goes, and how much of the run is left: what VeLO and Celo are told.

The loss is averaged over horizons from 10 steps to the whole run, and the averages are
compared with each other and with their minima so far (Metz et al. 2022, VeLO,
arXiv:2211.09760).
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

NUM_FEATURES = 9
"""How many features there are of the loss, and as many of the progress."""

NUM_GLOBAL_FEATURES = 2 * NUM_FEATURES
"""How many features `global_features` returns."""

_FRACTIONS = np.asarray([0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1], np.float32)


@flax.struct.dataclass
class LossBuffer:
    """Averages of the losses so far, the published fields.

    Attributes:
      means: averages, not corrected for bias, float32 `[10]`.
      iteration: how many losses they are of, int32.
      running_min: the smallest value so far of each corrected average.
      decays: how much of each average an update keeps.
    """

    means: jax.Array
    iteration: jax.Array
    running_min: jax.Array
    decays: jax.Array


def start(num_steps: Any) -> LossBuffer:
    """Return the averages before the first loss.

    Args:
      num_steps: the longest horizon, which may be traced.
    """
    count = NUM_FEATURES + 1
    horizons = jnp.logspace(1, jnp.log10(jnp.asarray(num_steps, jnp.float32)), count)
    return LossBuffer(
        means=jnp.zeros(count, jnp.float32),
        iteration=jnp.zeros([], jnp.int32),
        running_min=jnp.full(count, 999999999999.0, jnp.float32),
        decays=jnp.exp(-1 / jnp.asarray(horizons, jnp.float32)),
    )


def advance(buffer: LossBuffer, loss: Any) -> LossBuffer:
    """Return the averages after one more loss.

    A loss above twice the largest average counts as that much.

    Args:
      buffer: the averages before.
      loss: the loss, a scalar.
    """
    loss = jnp.asarray(loss, jnp.float32)
    iteration = buffer.iteration + 1
    weight = _weight(buffer.decays, iteration)
    largest = jnp.max(buffer.means / weight)
    largest = jnp.where(buffer.iteration == 0, loss, largest)
    loss = jnp.minimum(2 * jnp.abs(largest), loss)
    means = buffer.means * buffer.decays + loss * (1 - buffer.decays)
    return LossBuffer(
        means=means,
        iteration=iteration,
        running_min=jnp.minimum(buffer.running_min, means / weight),
        decays=buffer.decays,
    )


def loss_features(buffer: LossBuffer) -> jax.Array:
    """Return how each average lies between its minimum and the next longer average.

    Args:
      buffer: the averages, of this step's loss too.

    Returns:
      Float32 `[9]`, in `[-1, 1]`; zeros until three losses are averaged.
    """
    # Weights of the first count are zero before any loss.
    weight = _weight(buffer.decays, jnp.maximum(buffer.iteration, 1))
    means, minimum = buffer.means / weight, buffer.running_min[:-1]
    share = (means[:-1] - minimum) / jnp.maximum(1e-8, means[1:] - minimum)
    features = jnp.clip(share - 1, -1, 1)
    return jnp.where(buffer.iteration <= 2, 0, features)


def progress_features(iteration: jax.Array, num_steps: jax.Array) -> jax.Array:
    """Return how much of the run is done, as nine soft thresholds, float32 `[9]`.

    Args:
      iteration: number of updates done.
      num_steps: length of the run.
    """
    fraction = iteration / jnp.asarray(num_steps, jnp.float32)
    return jnp.tanh(10 * (fraction - _FRACTIONS))


def global_features(
    buffer: LossBuffer, iteration: jax.Array, num_steps: jax.Array
) -> jax.Array:
    """Return the features of the progress, then those of the loss, float32 `[18]`.

    Args:
      buffer: averages of the losses, of this step's too.
      iteration: number of updates done.
      num_steps: length of the run.
    """
    progress = progress_features(iteration, num_steps)
    return jnp.concatenate([progress, loss_features(buffer)])


def _weight(decays: jax.Array, count: jax.Array) -> jax.Array:
    return 1 - decays**count
