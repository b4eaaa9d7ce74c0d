"""A branch that is rarely taken, and is skipped for a whole group where nobody does.

`lax.cond` under `vmap` computes both branches for all. Beginning an inner problem again
draws all of its parameters, which costs more than an update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


def unless_any(
    usual: Callable[..., Any], general: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function that does what is usual unless anybody in its group differs.

    Args:
      usual: right where the flag is False.
      general: right whatever the flag is.

    Returns:
      A function of the flag, a bool scalar, and the arguments of the others, which
      must not be closed over where they are mapped. It cannot be differentiated
      backward.
    """

    @custom_vmap
    def chosen(flag: jax.Array, *args: Any) -> Any:
        return lax.cond(flag, general, usual, *args)

    @chosen.def_vmap
    def _mapped(axis_size: int, mapped: Any, flag: jax.Array, *args: Any) -> Any:
        flag_is_mapped, *args_are = mapped
        axes = tuple(
            jax.tree.map(lambda is_mapped: 0 if is_mapped else None, one)
            for one in args_are
        )
        both = [
            jax.vmap(one, in_axes=axes, axis_size=axis_size) for one in (usual, general)
        ]
        group = jnp.any(flag) if flag_is_mapped else flag
        out = unless_any(*both)(group, *args)
        return out, jax.tree.map(lambda _: True, out)

    return chosen
