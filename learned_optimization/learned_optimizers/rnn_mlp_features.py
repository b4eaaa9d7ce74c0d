"""What the two networks of RNNMLPLOpt read about tensors and parameters."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

NUM_TENSOR_FEATURES = 18
"""How many numbers `tensor_features` returns."""


def _clipped_log(x: jax.Array) -> jax.Array:
    return jnp.clip(jnp.log(1e-8 + jnp.abs(x)), -5, 5)


def tensor_features(
    shape: tuple[int, ...],
    param: jax.Array,
    grad: jax.Array,
    momenta: jax.Array,
    squares: jax.Array,
    losses: jax.Array,
) -> jax.Array:
    """Return what the LSTM reads about a tensor, float32 `[18]`.

    Args:
      shape: the shape of the parameters, which are no scalar in `param`.
      param: the parameters.
      grad: the gradient, clipped.
      momenta: averages of gradients, `[k, *shape]`.
      squares: averages of squared gradients, `[k, *shape]`.
      losses: features of the losses, `[2]`.
    """
    read = (momenta, squares, param)
    means = [jnp.mean(x) for x in read]
    variances = [
        jnp.mean(jnp.square(x - mean)) for x, mean in zip(read, means, strict=True)
    ]
    sizes = [math.log(size) - 1 for size in (*shape, 1, 1, 1, 1)[:4]]
    features_of_means = [f(mean) for mean in means for f in (_clipped_log, jnp.sign)]
    values = [
        _clipped_log(_norm(grad)),
        1.0 if shape == () else -1.0,
        *features_of_means,
        _clipped_log(_norm(param)),
        *sizes,
        *losses,
        *map(_clipped_log, variances),
    ]
    return jnp.stack([jnp.asarray(value, jnp.float32) for value in values])


def parameter_features(
    of: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
) -> list[jax.Array]:
    """Return what the network reads about each parameter, to be normalized.

    Args:
      of: the gradient, the parameters, and averages of gradients and of their squares,
        each `[k, *shape]`.
    """
    grad, param, momenta, squares = of
    root = jax.lax.rsqrt(squares + 1e-6)
    size = jnp.log(jnp.abs(param) + 1e-8)
    return [grad, param, size, momenta, squares, momenta * root, root]


def sizes(param: jax.Array, num_tensors: int) -> jax.Array:
    """Return what the network reads about sizes, float32 `[3]`.

    Args:
      param: the parameters of a tensor.
      num_tensors: how many tensors there are.
    """
    return jnp.stack(
        [
            jnp.float32(math.log(num_tensors) - 1),
            jnp.log(_norm(param) + 1e-8),
            jnp.float32(math.log(param.size)),
        ]
    )


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x)))
