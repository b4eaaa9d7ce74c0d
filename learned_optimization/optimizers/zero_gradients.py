"""Whether an optimizer makes NaN of gradients that are exactly zero, as 0/0 is.

A normalized update does where nothing is added to the norm. Gradients are exactly zero
where a model is dead or its loss is flat, so a run that ends this way did not diverge
by too large steps.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.optimizers.base import Optimizer
from learned_optimization.prng import key_of_seed

NOTE = "its optimizer makes NaN of gradients that are exactly zero"

_SHAPES = {"bias": (3,), "weight": (2, 3)}


def makes_nan_of_zero_gradients(opt: Optimizer, num_steps: int) -> bool:
    """Return whether gradients of zero make small parameters NaN within two updates.

    Args:
      opt: the optimizer, with concrete hyper-parameters.
      num_steps: length of the run.

    Returns:
      Whether they do; false for an optimizer that cannot be tried on parameters other
      than its task's.
    """
    params = {name: jnp.ones(shape) for name, shape in _SHAPES.items()}
    zeros = jax.tree.map(jnp.zeros_like, params)
    extra: dict[str, Any] = {"loss_fn": _flat} if "loss_fn" in opt.needs else {}
    key = key_of_seed(0)
    try:
        state = opt.init(params, num_steps=num_steps, key=key)
        for _ in range(2):
            state = opt.update(state, zeros, loss=jnp.ones([]), key=key, **extra)
        after = jax.tree.leaves(opt.get_params(state))
        return any(bool(jnp.isnan(leaf).any()) for leaf in after)
    except Exception:
        # An optimizer may be anyone's. Results are not lost for a note about them.
        return False


def _flat(params: object) -> jax.Array:
    del params
    return jnp.ones([])
