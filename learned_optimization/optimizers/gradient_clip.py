"""Gradient clipping: an optimizer that never sees a large entry."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    OptState,
    PRNGKey,
    Scalar,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.optimizers.wrapped import WrappedOptimizer

__all__ = [
    "GradientClipOptimizer",
]


@optimizer
class GradientClipOptimizer(WrappedOptimizer):
    """Steps another optimizer with every gradient entry clipped to a range.

    The range is `[-grad_clip, grad_clip]`. The state is that of the optimizer
    inside.
    """

    opt: Optimizer = hparam(default=Adam())
    grad_clip: Scalar = hparam(default=3.0, short="clip")

    def update(
        self,
        opt_state: OptState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> OptState:
        """Return the state after one step; see `Optimizer.update`."""
        clipped = jax.tree.map(
            lambda g: jnp.clip(g, -self.grad_clip, self.grad_clip), grad
        )
        return self.pass_on(
            opt_state, clipped, loss, model_state, is_valid, key, loss_fn, **extra
        )
