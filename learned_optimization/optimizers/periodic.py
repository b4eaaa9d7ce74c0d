"""Work that is done at some steps only, also where many trials run as one.

`lax.cond` skips the branch it does not take, but `jax.vmap` turns a predicate
that differs between trials into a selection between both branches, both computed:
what was meant for every tenth step is then done at every step. The trials of a
grid are always at the same step, so here one predicate decides for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Operand = TypeVar("Operand")
Result = TypeVar("Result")


def compute_if(
    pred: jax.Array,
    function: Callable[[Operand], Result],
    operand: Operand,
    otherwise: Result,
) -> Result:
    """Return `function(operand)` where `pred` holds, else `otherwise`.

    The function is not run where `pred` is False. Under `jax.vmap` it is run for
    all elements as soon as `pred` holds for one of them; those whose own
    predicate is False keep their `otherwise`. Cannot be differentiated.

    Args:
      pred: bool scalar.
      function: pure; reads no array but `operand`.
      operand: every array that the function reads, a pytree.
      otherwise: the result where nothing is computed, a pytree of arrays with
        the shapes and dtypes of the function's result.

    Returns:
      A pytree like `otherwise`.

    Raises:
      TypeError: if the function's result is not like `otherwise`.
    """

    @jax.custom_batching.custom_vmap
    def choose(pred: jax.Array, operand: Operand, otherwise: Result) -> Result:
        return jax.lax.cond(pred, lambda: function(operand), lambda: otherwise)

    @choose.def_vmap
    def choose_for_all(
        axis_size: int,
        in_batched: Any,
        pred: jax.Array,
        operand: Operand,
        otherwise: Result,
    ) -> tuple[Result, Any]:
        pred_batched, operand_batched, otherwise_batched = in_batched
        axes = jax.tree.map(lambda batched: 0 if batched else None, operand_batched)
        otherwise = jax.tree.map(
            lambda x, batched: x if batched else _repeat(x, axis_size),
            otherwise,
            otherwise_batched,
        )

        def for_all(operand: Operand) -> Result:
            return jax.vmap(function, in_axes=(axes,), axis_size=axis_size)(operand)

        # Another `compute_if`, so that an outer vmap reduces once more.
        result = compute_if(jnp.any(pred), for_all, operand, otherwise)
        if pred_batched:
            result = jax.tree.map(
                lambda new, old: jnp.where(_beside(pred, new), new, old),
                result,
                otherwise,
            )
        return result, jax.tree.map(lambda x: True, result)

    arrays = jax.tree.map(jnp.asarray, (operand, otherwise))
    return choose(jnp.asarray(pred), *arrays)


def _repeat(x: jax.Array, times: int) -> jax.Array:
    return jnp.broadcast_to(x, (times, *x.shape))


def _beside(pred: jax.Array, x: jax.Array) -> jax.Array:
    return pred.reshape(pred.shape + (1,) * (x.ndim - pred.ndim))
