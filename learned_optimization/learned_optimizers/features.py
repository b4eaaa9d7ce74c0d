"""What the network of a learned optimizer reads about each parameter.

Features come in groups, arrays `[k, *shape]` that may have a size of 1 wherever they do
not vary: the mean square of a row of a matrix is `[k, rows, 1]`. So nothing is tiled,
and a network multiplies rows and columns as the small arrays they are.
"""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers.accumulators import Accumulators
from learned_optimization.learned_optimizers.common import factored_dims, safe_rsqrt

TIMESCALES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Numbers of updates that features of the time are about."""


@flax.struct.dataclass
class Inputs:
    """A tensor and its averages: all that features are made of, element by element.

    Every array is `[k, *shape]` or broadcasts to that, so that any part of the tensor
    is made of the same part of each.

    Attributes:
      grad: the gradient, k = 1.
      param: the parameters, k = 1.
      momentum: averages of gradients.
      rms: averages of squares.
      row: factored averages of squares, or the diagonal.
      col: the same over the other axis, or the diagonal.
      row_factor: what a gradient is multiplied by along rows; None for a diagonal.
      col_factor: the same along columns.
    """

    grad: jax.Array
    param: jax.Array
    momentum: jax.Array
    rms: jax.Array
    row: jax.Array
    col: jax.Array
    row_factor: jax.Array | None
    col_factor: jax.Array | None


def inputs(param: jax.Array, grad: jax.Array, acc: Accumulators) -> Inputs:
    """Return what the features of one tensor are made of.

    Args:
      param: the parameters, float32 `[*shape]` of at least one axis.
      grad: the gradient.
      acc: the averages, of this gradient too.
    """
    row, col, row_factor, col_factor = acc.diagonal, acc.diagonal, None, None
    second, _ = factored_dims(param.shape) or (None, None)
    if second is not None:
        assert acc.row is not None
        assert acc.col is not None
        row, col = acc.row, acc.col
        mean = jnp.mean(row, second + 1, keepdims=True)
        row_factor = safe_rsqrt(row / (mean + 1e-9))
        col_factor = safe_rsqrt(col)
    assert row is not None
    assert col is not None
    return Inputs(
        grad[None], param[None], acc.momentum, acc.rms, row, col, row_factor, col_factor
    )


def thirty(
    of: Inputs, epsilon: float = 1e-6, factored: bool = True
) -> dict[str, jax.Array]:
    """Return the thirty features of VeLO and its descendants, in fourteen groups.

    Args:
      of: what they are made of.
      epsilon: what is added to averages of squares before their inverse root.
      factored: whether the five groups of factored averages are among them.

    Returns:
      The groups by name, in the order of the weights of published checkpoints.
    """
    root = jax.lax.rsqrt(of.rms + epsilon)
    groups = {
        "g": of.grad,
        "clipped_g": jnp.clip(of.grad, -0.1, 0.1),
        "p": of.param,
        "m": of.momentum,
        "rms": of.rms,
        "m_over_rms": of.momentum * root,
        "rsqrt_rms": root,
        "factored_g": factored_grad(of),
        "g_over_rms": of.grad * root,
    }
    if factored:
        groups |= _factored_groups(of, diagonal_epsilon=0.0)
    return groups


def twenty_eight(of: Inputs) -> dict[str, jax.Array]:
    """Return the 28 features of the Adafactor family, in twelve groups, in order.

    Args:
      of: what they are made of.
    """
    root = jax.lax.rsqrt(of.rms + 1e-6)
    return {
        "g": of.grad,
        "p": of.param,
        "m": of.momentum,
        "rms": of.rms,
        "m_over_rms": of.momentum * root,
        "rsqrt_rms": root,
        "factored_g": factored_grad(of),
        **_factored_groups(of, diagonal_epsilon=1e-6),
    }


def factored_grad(of: Inputs) -> jax.Array:
    """Return the gradient over its factored root mean square, one per decay."""
    if of.row_factor is None or of.col_factor is None:
        return of.grad * safe_rsqrt(of.row + 1e-9)
    return of.grad * of.row_factor * of.col_factor


def _factored_groups(of: Inputs, diagonal_epsilon: float) -> dict[str, jax.Array]:
    if of.row_factor is None or of.col_factor is None:
        momentum = of.momentum * jax.lax.rsqrt(of.row + diagonal_epsilon)
    else:
        momentum = of.momentum * of.row_factor * of.col_factor
    return {
        "row": of.row,
        "col": of.col,
        "rsqrt_row": jax.lax.rsqrt(of.row + 1e-8),
        "rsqrt_col": jax.lax.rsqrt(of.col + 1e-8),
        "factored_m": momentum,
    }


def tanh_of_time(iteration: jax.Array) -> jax.Array:
    """Return `tanh(t/s - 1)` for eleven timescales s, float32 `[11]`.

    Args:
      iteration: t, the number of updates done.
    """
    scales = np.asarray(TIMESCALES, np.float32)
    return jnp.tanh(jnp.asarray(iteration, jnp.float32) / scales - 1)


def sine_of_time(iteration: jax.Array) -> jax.Array:
    """Return `sin(t/(s pi))` for eleven timescales s, float32 `[11]`.

    Args:
      iteration: t, the number of updates done.
    """
    scales = np.asarray(TIMESCALES, np.float32) * np.float32(np.pi)
    return jnp.sin(jnp.asarray(iteration, jnp.float32) / scales)
