"""Parameters as learned optimizers compute with them: float32, of at least one axis.

A scalar is a tensor of shape `(1,)`. An array without elements has nothing to train,
and means over it do not exist: it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def tensors(tree: Any) -> list[jax.Array]:
    """Return the arrays of a tree that have elements, in flattening order, float32."""
    return [
        jnp.atleast_1d(jnp.asarray(leaf, jnp.float32))
        for leaf in jax.tree.leaves(tree)
        if jnp.size(leaf)
    ]


def put_back(tree: Any, new: Sequence[jax.Array]) -> Any:
    """Return a tree with other values, in its own types and shapes.

    Of float64 it is the change that is computed in float32: no digit is lost.

    Args:
      tree: the tree.
      new: as many arrays as `tensors` returns for it, in that order.
    """
    values = iter(new)

    def one(leaf: Any) -> Any:
        if not jnp.size(leaf):
            return leaf
        value = next(values).reshape(jnp.shape(leaf))
        dtype = jnp.result_type(leaf)
        if dtype.itemsize > value.dtype.itemsize:
            return leaf + (value - jnp.asarray(leaf, value.dtype)).astype(dtype)
        return value.astype(dtype)

    return jax.tree.map(one, tree)
