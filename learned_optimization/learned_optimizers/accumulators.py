"""Moving averages of gradients that learned optimizers read, the axis of decays first.

Of one tensor: a program holds a list of them. Averages start at zero and are not
corrected for bias. `common` has them in the published interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.common import factored_dims


class Decays(NamedTuple):
    """How much of each average an update keeps.

    Attributes:
      momentum: of gradients, any number of decays.
      rms: of squared gradients, clipped to `[0, 1]`.
      factored: of factored squared gradients, clipped to `[0, 1]`.
    """

    momentum: Sequence[float] | jax.Array = (0.9, 0.99, 0.999)
    rms: Sequence[float] | jax.Array = (0.999,)
    factored: Sequence[float] | jax.Array = (0.9, 0.99, 0.999)


@flax.struct.dataclass
class Accumulators:
    """Averages for one tensor; k is the number of decays, which each may have its own.

    A tensor of two or more axes has a row and a column, which broadcast against it
    (Shazeer & Stern 2018, arXiv:1804.04235); one of a single axis has a diagonal.

    Attributes:
      momentum: averages of gradients, `[k, *shape]`.
      rms: averages of squared gradients, `[k, *shape]`.
      row: averages of means of squares over the largest axis, whose size is 1 here.
      col: the same over the second largest axis.
      diagonal: averages of squares, `[k, *shape]`.
    """

    momentum: jax.Array
    rms: jax.Array
    row: jax.Array | None
    col: jax.Array | None
    diagonal: jax.Array | None


def start(shape: Sequence[int], decays: Decays) -> Accumulators:
    """Return the averages before the first gradient, for a tensor of some shape."""

    def zeros(of: Sequence[float] | jax.Array, mean_over: int | None) -> jax.Array:
        sizes = [1 if i == mean_over else size for i, size in enumerate(shape)]
        return jnp.zeros((len(of), *sizes), jnp.float32)

    second, largest = factored_dims(shape) or (None, None)
    is_factored = largest is not None
    return Accumulators(
        momentum=zeros(decays.momentum, None),
        rms=zeros(decays.rms, None),
        row=zeros(decays.factored, largest) if is_factored else None,
        col=zeros(decays.factored, second) if is_factored else None,
        diagonal=None if is_factored else zeros(decays.factored, None),
    )


def advance(acc: Accumulators, grad: jax.Array, decays: Decays) -> Accumulators:
    """Return the averages after one more gradient.

    Args:
      acc: the averages before.
      grad: the gradient, float32 `[*shape]`.
      decays: as `acc` was started with.
    """
    square = jnp.square(grad)
    # Keeps logarithms and inverse roots of a gradient of zeros finite.
    positive = square + 1e-30
    kept = jnp.clip(jnp.asarray(decays.factored, jnp.float32), 0, 1)
    factors = {"row": acc.row, "col": acc.col, "diagonal": acc.diagonal}
    second, largest = factored_dims(grad.shape) or (None, None)
    if largest is not None and second is not None:
        factors["row"] = _mix(acc.row, positive.mean(largest, keepdims=True), kept)
        factors["col"] = _mix(acc.col, positive.mean(second, keepdims=True), kept)
    else:
        factors["diagonal"] = _mix(acc.diagonal, positive, kept)
    rms_decays = jnp.clip(jnp.asarray(decays.rms, jnp.float32), 0, 1)
    return Accumulators(
        momentum=_mix(acc.momentum, grad, jnp.asarray(decays.momentum, jnp.float32)),
        rms=_mix(acc.rms, square, rms_decays),
        **factors,
    )


def _mix(old: jax.Array | None, new: jax.Array, kept: jax.Array) -> jax.Array:
    assert old is not None
    kept = kept.reshape(-1, *[1] * new.ndim)
    return kept * old + (1 - kept) * new
