"""Accumulators of gradients, for learned optimizers of one's own.

They have the published interface: `rolling_mom(decay)`, say, has `init(params)` and
`update(state, grads)`. Those whose names begin with `vec_` keep one copy per decay, on
a trailing axis. The optimizers of this package have the axis of decays first, which is
faster on a CPU; see `accumulators`.

    rolling = vec_rolling_mom(jnp.asarray([0.9, 0.99]))
    state = rolling.init(params)
    state = rolling.update(state, grads)
    state.m  # of a [3, 4] matrix: [3, 4, 2]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "Accumulator",
    "FactoredAccum",
    "MomAccumulator",
    "RMSAccumulator",
    "factored_dims",
    "factored_rolling",
    "rolling_mom",
    "rolling_rms",
    "safe_rsqrt",
    "vec_factored_rolling",
    "vec_rolling_mom",
    "vec_rolling_rms",
]


class MomAccumulator(NamedTuple):
    """Averages of gradients.

    Attributes:
      m: the averages, a tree like the parameters.
      t: how many updates they are of.
    """

    m: Any
    t: jax.Array


class RMSAccumulator(NamedTuple):
    """Averages of squared gradients.

    Attributes:
      rms: the averages, a tree like the parameters.
      t: how many updates they are of.
    """

    rms: Any
    t: jax.Array


@flax.struct.dataclass
class FactoredAccum:
    """Averages of squared gradients, factored as Adafactor does (arXiv:1804.04235).

    All are trees like the parameters. Arrays of two or more axes have a row and a
    column, all others a diagonal; what an array does not have is of shape `[0]`.

    Attributes:
      v_col: means over the second largest axis.
      v_row: means over the largest axis.
      v_diag: the averages themselves.
    """

    v_col: Any
    v_row: Any
    v_diag: Any


class Accumulator(NamedTuple):
    """An accumulator: two functions.

    Attributes:
      init: of the parameters; returns the state before the first update.
      update: of the state and the gradients; returns the next state, and factored
        accumulators also the gradients divided by their root mean squares.
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any], Any]


def rolling_mom(decay: Any) -> Accumulator:
    """Return the accumulator of averages of gradients, not corrected for bias.

    Args:
      decay: how much of the average an update keeps, which may be traced.
    """

    def init(params: Any) -> MomAccumulator:
        return MomAccumulator(jax.tree.map(_zeros_like, params), jnp.zeros([], int))

    def update(state: MomAccumulator, grads: Any) -> MomAccumulator:
        m = jax.tree.map(lambda m, g: decay * m + (1 - decay) * g, state.m, grads)
        return MomAccumulator(m, state.t + 1)

    return Accumulator(init, update)


def rolling_rms(decay: Any) -> Accumulator:
    """Return the accumulator of averages of squares, not corrected for bias.

    Args:
      decay: how much of the average an update keeps, clipped to `[0, 1]`.
    """

    def init(params: Any) -> RMSAccumulator:
        return RMSAccumulator(jax.tree.map(_zeros_like, params), jnp.zeros([], int))

    def update(state: RMSAccumulator, grads: Any) -> RMSAccumulator:
        kept = jnp.clip(decay, 0, 1)

        def average(v: jax.Array, g: jax.Array) -> jax.Array:
            return kept * v + (1 - kept) * jnp.square(g.astype(v.dtype))

        return RMSAccumulator(jax.tree.map(average, state.rms, grads), state.t + 1)

    return Accumulator(init, update)


def factored_rolling(decay_rate: Any, epsilon: float = 1e-30) -> Accumulator:
    """Return the accumulator of factored averages of squares.

    Its `update` returns two values: the state, and the gradients divided by root mean
    squares, of which it knows no more than their rows and columns.

    Args:
      decay_rate: how much of the averages an update keeps, clipped to `[0, 1]`.
      epsilon: what is added to squares.
    """

    def init(params: Any) -> FactoredAccum:
        def of(part: int) -> Any:
            return jax.tree.map(lambda p: _factors(p)[part], params)

        return FactoredAccum(v_row=of(0), v_col=of(1), v_diag=of(2))

    def update(state: FactoredAccum, grads: Any) -> tuple[FactoredAccum, Any]:
        kept = jnp.clip(decay_rate, 0, 1)
        leaves, structure = jax.tree.flatten(grads)
        rows, columns, diagonals = map(
            structure.flatten_up_to, (state.v_row, state.v_col, state.v_diag)
        )
        updated = [
            _update_factors(*of_leaf, kept, epsilon)
            for of_leaf in zip(rows, columns, diagonals, leaves, strict=True)
        ]
        row, column, diagonal, divided = (
            structure.unflatten(part[i] for part in updated) for i in range(4)
        )
        return FactoredAccum(v_row=row, v_col=column, v_diag=diagonal), divided

    return Accumulator(init, update)


def _factors(param: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the row, the column and the diagonal before the first update."""
    empty, shape, dims = jnp.zeros([0]), jnp.shape(param), factored_dims(param.shape)
    if dims is None:
        return empty, empty, _zeros_like(param)
    dtype = _zeros_like(param).dtype
    second, first = dims
    row, column = (jnp.zeros(np.delete(shape, axis), dtype) for axis in (first, second))
    return row, column, empty


def _update_factors(
    row: jax.Array,
    column: jax.Array,
    diagonal: jax.Array,
    grad: jax.Array,
    kept: jax.Array,
    epsilon: float,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the factors after an update, and the gradient divided by them."""
    grad = grad.astype(jnp.promote_types(grad.dtype, jnp.float32))
    square, dims = jnp.square(grad) + epsilon, factored_dims(grad.shape)
    if dims is None:
        diagonal = kept * diagonal + (1 - kept) * square
        return row, column, diagonal, grad * safe_rsqrt(diagonal + 1e-9)
    second, first = dims
    row = kept * row + (1 - kept) * _mean(square, first)
    column = kept * column + (1 - kept) * _mean(square, second)
    axis = second - (second > first)
    mean = jnp.expand_dims(_mean(row, axis), axis)
    by_row = jnp.expand_dims(safe_rsqrt(row / (mean + 1e-9)), first)
    by_column = jnp.expand_dims(safe_rsqrt(column), second)
    return row, column, diagonal, grad * by_row * by_column


def vec_rolling_mom(decays: Any) -> Accumulator:
    """Return `rolling_mom` of several decays, `[k]`: on a trailing axis."""
    return _of_several(rolling_mom, decays)


def vec_rolling_rms(decays: Any) -> Accumulator:
    """Return `rolling_rms` of several decays, `[k]`: on a trailing axis."""
    return _of_several(rolling_rms, decays)


def vec_factored_rolling(decays: Any) -> Accumulator:
    """Return `factored_rolling` of several decays, `[k]`: on a trailing axis.

    What an array does not have is of shape `[0, k]`.
    """
    return _of_several(factored_rolling, decays)


def _of_several(accumulator: Callable[[Any], Accumulator], decays: Any) -> Accumulator:
    decays = jnp.asarray(decays)

    def init(params: Any) -> Any:
        def of_one(decay: jax.Array) -> Any:
            return accumulator(decay).init(params)

        return jax.vmap(of_one, out_axes=-1)(decays)

    def update(state: Any, grads: Any) -> Any:
        def of_one(decay: jax.Array, state: Any) -> Any:
            return accumulator(decay).update(state, grads)

        return jax.vmap(of_one, in_axes=-1, out_axes=-1)(decays, state)

    return Accumulator(init, update)


def factored_dims(shape: Sequence[int]) -> tuple[int, int] | None:
    """Return the second largest and the largest axis of a shape.

    Of axes of one size the later counts as the larger.

    Args:
      shape: the shape of an array.

    Returns:
      The two axes, or None for an array of fewer than two.
    """
    if len(shape) < 2:
        return None
    order = np.argsort(shape, stable=True)
    return int(order[-2]), int(order[-1])


def safe_rsqrt(x: jax.Array) -> jax.Array:
    """Return `1 / sqrt(x)`, of no less than `1e-9`."""
    return jax.lax.rsqrt(jnp.maximum(x, 1e-9))


def _mean(x: jax.Array, axis: int) -> jax.Array:
    # Of nothing, zero.
    return jnp.sum(x, axis) / max(x.shape[axis], 1)


def _zeros_like(param: Any) -> jax.Array:
    dtype = jnp.promote_types(jnp.result_type(param), jnp.float32)
    return jnp.zeros(jnp.shape(param), dtype)
