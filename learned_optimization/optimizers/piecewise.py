"""Points of a learning rate, and the straight lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.hparams import Scalar


def piecewise_linear(times: Sequence[Scalar], vals: Sequence[Scalar]) -> Any:
    """Return a function of the step: straight lines between points.

    Args:
      times: the steps of the points, increasing.
      vals: the values there, as many; level before the first and after the last.
    """
    xs, ys = (jnp.asarray(points, jnp.float32) for points in (times, vals))
    return lambda step: jnp.interp(jnp.asarray(step, jnp.float32), xs, ys)


def as_points(owner: Any, times: str, vals: str) -> None:
    """Check the points that two fields of a frozen dataclass hold, and make tuples.

    Args:
      owner: the dataclass.
      times: the field that holds the steps.
      vals: the field that holds the learning rates there.

    Raises:
      LoptError: if they are empty, of different lengths, or not sequences.
    """
    for name in (times, vals):
        value = getattr(owner, name)
        if not isinstance(value, (tuple, list)):
            raise LoptError(
                f"{type(owner).__name__}.{name} must be a list of numbers, got "
                f"{value!r}."
            )
        object.__setattr__(owner, name, tuple(value))
    counts = len(getattr(owner, times)), len(getattr(owner, vals))
    if counts[0] != counts[1] or not counts[0]:
        raise LoptError(
            f"{type(owner).__name__} needs as many {vals} as {times}, and at least "
            f"one, got {counts[1]} and {counts[0]}."
        )
