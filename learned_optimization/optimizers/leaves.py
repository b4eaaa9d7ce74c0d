"""What optimizers compute with: numbers of at least 32 bits, and no empty arrays.

In 16 bits `epsilon = 1e-8` is zero, so that Adam divides zero by zero where there is no
gradient, averages stop moving, and trees of two such types have no common one. So the
state and the arithmetic of an optimizer are in float32 where a parameter is narrower,
and in float64 where it is float64; a parameter keeps its type. An array without
elements has nothing to train, and norms and maxima of it do not exist: optimizers see
None.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax


def widened(tree: Any) -> Any:
    """Return a tree of arrays with 16-bit floats as float32 and None for empty arrays.

    Arrays of other types are passed through as they are, and so is a tree of them.
    """
    leaves = jax.tree.leaves(tree)
    if all(_widened(leaf) is leaf for leaf in leaves):
        return tree
    return jax.tree.map(_widened, tree)


def narrowed(tree: Any, like: Any) -> Any:
    """Return a widened tree in the types of another, with the other's empty arrays.

    Args:
      tree: as `widened` returns it, or the same structure after a step.
      like: what was widened.
    """
    # Where a leaf of `like` is empty, `tree` has None.
    return jax.tree.map(
        lambda old, new: old if new is None else jnp.asarray(new, jnp.result_type(old)),
        like,
        tree,
    )


def in_one_type(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """Return a transformation that sees all arrays in the widest of their types.

    For one whose state has numbers made of all arrays together, which must have a type.
    """

    def alike(tree: Any) -> Any:
        leaves = jax.tree.leaves(tree)
        widest = jnp.result_type(*leaves) if leaves else jnp.float32
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, widest), tree)

    def init(params: Any) -> Any:
        return transformation.init(alike(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        new, state = transformation.update(alike(updates), state, alike(params))
        return narrowed(new, updates), state

    return optax.GradientTransformation(init, update)


def _widened(leaf: Any) -> Any:
    if jnp.size(leaf) == 0:
        return None
    dtype = jnp.result_type(leaf)
    is_narrow = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
    return jnp.asarray(leaf, jnp.float32) if is_narrow else leaf
