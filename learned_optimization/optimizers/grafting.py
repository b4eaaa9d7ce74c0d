"""Grafting: the length of one optimizer's step, the direction of another's."""

from __future__ import annotations

from typing import Any

import flax.struct
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
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.optimizers.wrapped import WrappedOptimizer, step_inside

__all__ = [
    "GraftedOptimizer",
    "GraftedState",
]


@flax.struct.dataclass
class GraftedState:
    """State of a `GraftedOptimizer`.

    Attributes:
      magnitude: state of the optimizer whose steps give the length.
      direction: state of the optimizer whose steps give the direction.
    """

    magnitude: Any
    direction: Any


@optimizer
class GraftedOptimizer(WrappedOptimizer):
    """Steps as long as one optimizer's, in another's direction (arXiv:2002.11803).

    Both run on the same gradients from the same parameters. The parameters then
    move along the direction optimizer's step, by the norm of the magnitude
    optimizer's: norms of all arrays together (global grafting, Agarwal et al. 2020).
    Where the direction is zero nothing moves. What is evaluated is where gradients
    are taken, also where an optimizer inside averages its iterates.
    """

    magnitude_opt: Optimizer = hparam(default=SGD(), short="magnitude")
    direction_opt: Optimizer = hparam(default=Adam(), short="direction")

    @property
    def inside(self) -> tuple[Optimizer, Optimizer]:
        """The direction's optimizer, then the magnitude's."""
        return self.direction_opt, self.magnitude_opt

    def states_inside(self, opt_state: GraftedState) -> tuple[OptState, OptState]:
        """Return the direction's state, then the magnitude's."""
        return opt_state.direction, opt_state.magnitude

    def with_states_inside(
        self, opt_state: GraftedState, *states: OptState
    ) -> GraftedState:
        """Return the state made of the direction's state and the magnitude's."""
        del opt_state
        direction, magnitude = states
        return GraftedState(magnitude, direction)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> GraftedState:
        """Return the state before the first update; see `Optimizer.init`."""
        keys = _two_keys(key)
        return GraftedState(
            self.magnitude_opt.init(params, model_state, num_steps, keys[0]),
            self.direction_opt.init(params, model_state, num_steps, keys[1]),
        )

    def update(
        self,
        opt_state: GraftedState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> GraftedState:
        """Return the state after one step; see `Optimizer.update`."""
        before = self.get_params(opt_state)

        def advanced(opt: Optimizer, state: Any, key: PRNGKey | None) -> Any:
            return step_inside(
                opt,
                state,
                grad,
                loss=loss,
                model_state=model_state,
                is_valid=is_valid,
                key=key,
                loss_fn=loss_fn if "loss_fn" in opt.needs else None,
                **extra,
            )

        keys = _two_keys(key)
        magnitude = advanced(self.magnitude_opt, opt_state.magnitude, keys[0])
        direction = advanced(self.direction_opt, opt_state.direction, keys[1])

        def step(opt: Optimizer, state: Any) -> Params:
            return jax.tree.map(jnp.subtract, opt.get_params(state), before)

        towards = step(self.direction_opt, direction)
        wanted, given = _norm(step(self.magnitude_opt, magnitude)), _norm(towards)
        scale = jnp.where(given > 0, wanted / jnp.where(given > 0, given, 1.0), 0.0)
        params = jax.tree.map(
            lambda p, s: jnp.asarray(p + scale * s, jnp.result_type(p)), before, towards
        )
        return self.set_params(GraftedState(magnitude, direction), params)

    def get_eval_params(self, opt_state: GraftedState) -> Params:
        """Return the parameters that gradients are taken at."""
        return self.get_params(opt_state)


def _norm(tree: Any) -> jax.Array:
    squares = [jnp.sum(jnp.square(x)) for x in jax.tree.leaves(tree)]
    return jnp.sqrt(jnp.asarray(sum(squares)))


def _two_keys(key: PRNGKey | None) -> Any:
    return (None, None) if key is None else jax.random.split(key)
