"""What VeLO's LSTM reads of a tensor, from before a step's gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.accumulators import Accumulators

_MAX_RANK = 5


def statistics(param: jax.Array, acc: Accumulators) -> jax.Array:
    """Return what the LSTM reads of a tensor besides the features of the run.

    All but the rank are in units of the parameters' root mean square, squares of
    gradients too, and the variance of squares is about the means of the gradients: so
    published weights have learned it. The numbers of averages of both are equal, or
    one of them is 1.

    Args:
      param: the parameters, float32 `[*shape]` of at least one axis.
      acc: averages of the gradients before this step's.

    Returns:
      Float32 `[12]`, for one average of squares and three of gradients.
    """
    axes = tuple(range(1, param.ndim + 1))
    unit = jax.lax.rsqrt(jnp.maximum(1e-9, jnp.mean(jnp.square(param))))
    mean = jnp.mean(acc.momentum, axes, keepdims=True)
    variance = jnp.mean(jnp.square(acc.momentum - mean), axes)
    about_gradients = jnp.mean(jnp.square(acc.rms - mean), axes)
    rank = sum(size > 1 for size in param.shape)
    return jnp.concatenate(
        [
            _log_size(unit * jnp.mean(acc.rms, axes)),
            jax.nn.one_hot(rank, _MAX_RANK, dtype=jnp.float32),
            _log_size(jnp.square(unit) * variance),
            _log_size(jnp.square(unit) * about_gradients),
        ]
    )


def _log_size(x: jax.Array) -> jax.Array:
    return 0.5 * jnp.clip(jnp.log(1e-8 + jnp.abs(10 * x)), -5, 5)
