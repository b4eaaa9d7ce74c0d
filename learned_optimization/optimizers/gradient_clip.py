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
    Params,
    PRNGKey,
    Scalar,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_opts import Adam


@optimizer
class GradientClipOptimizer(Optimizer):
    """Steps another optimizer with every gradient entry clipped to a range.

    The range is `[-grad_clip, grad_clip]`. The state is that of the optimizer
    inside.
    """

    opt: Optimizer = hparam(default=Adam())
    grad_clip: Scalar = hparam(default=3.0, short="clip")

    @property
    def needs(self) -> frozenset[str]:
        """What the optimizer inside needs."""
        return self.opt.needs

    def prepare(self) -> None:
        """Prepare the optimizer inside."""
        self.opt.prepare()

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update; see `Optimizer.init`."""
        return self.opt.init(params, model_state, num_steps, key)

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
        if loss_fn is not None:
            extra["loss_fn"] = loss_fn
        return self.opt.update(
            opt_state, clipped, loss, model_state, is_valid, key, **extra
        )

    def get_params(self, opt_state: OptState) -> Params:
        """Return the parameters held by a state."""
        return self.opt.get_params(opt_state)

    def get_eval_params(self, opt_state: OptState) -> Params:
        """Return the parameters to evaluate."""
        return self.opt.get_eval_params(opt_state)

    def get_state(self, opt_state: OptState) -> ModelState:
        """Return the model state held by a state."""
        return self.opt.get_state(opt_state)

    def set_params(self, opt_state: OptState, params: Params) -> OptState:
        """Return the same state with other parameters."""
        return self.opt.set_params(opt_state, params)
