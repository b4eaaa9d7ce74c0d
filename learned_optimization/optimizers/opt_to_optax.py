"""Any optimizer as a gradient transformation of optax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer, OptState, Params

__all__ = ["opt_to_optax_opt"]


def opt_to_optax_opt(
    opt: Optimizer, num_steps: int | None = None
) -> optax.GradientTransformationExtraArgs:
    """Return the gradient transformation that moves parameters as an optimizer does.

    `update` needs the parameters. What the optimizer needs besides, such as the loss,
    is given by name, `update(grads, state, params, loss=loss)`, or as published,
    `update(grads, state, params, extra_args={"loss": loss})`; where neither is,
    optax's own `value` is taken for the loss. `is_valid`, `key`, `model_state` and
    `loss_fn` are given likewise.

    The state is the optimizer's, without the parameters.

    Args:
      opt: the optimizer.
      num_steps: length of the run, for optimizers that depend on it.
    """

    def init(
        params: Params, *, extra_args: Mapping[str, Any] | None = None
    ) -> OptState:
        del extra_args
        return opt.set_params(opt.init(params, num_steps=num_steps), ())

    def update(
        updates: Any,
        state: OptState,
        params: Params | None = None,
        *,
        extra_args: Mapping[str, Any] | None = None,
        value: jax.Array | None = None,
        **given: Any,
    ) -> tuple[Any, OptState]:
        if params is None:
            raise LoptError(
                f"{opt.defined_by.__name__} moves parameters: pass them to update, "
                "update(grads, state, params)."
            )
        given = {"loss": value, **(extra_args or {}), **given}
        after = opt.update(opt.set_params(state, params), updates, **given)
        moved = jax.tree.map(jnp.subtract, opt.get_params(after), params)
        return moved, opt.set_params(after, ())

    return optax.GradientTransformationExtraArgs(init, update)
