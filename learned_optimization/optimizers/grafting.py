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
    Params,
    PRNGKey,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_opts import SGD, Adam


@flax.struct.dataclass
class GraftedState:
    """What a `GraftedOptimizer` carries from step to step.

    Attributes:
      magnitude: state of the optimizer whose steps give the length.
      direction: state of the optimizer whose steps give the direction.
    """

    magnitude: Any
    direction: Any


@optimizer
class GraftedOptimizer(Optimizer):
    """Steps as long as one optimizer's, where another's point (arXiv:2002.11803).

    Both run on the same gradients from the same parameters. The parameters then
    move along the direction optimizer's step, by the norm of the magnitude
    optimizer's: norms of all arrays together (global grafting, Agarwal et al. 2020).
    Where the direction is zero nothing moves. What is evaluated is where gradients
    are taken, also where an optimizer inside averages its iterates.
    """

    magnitude_opt: Optimizer = hparam(default=SGD(), short="magnitude")
    direction_opt: Optimizer = hparam(default=Adam(), short="direction")

    @property
    def needs(self) -> frozenset[str]:
        """What either optimizer needs."""
        return self.magnitude_opt.needs | self.direction_opt.needs

    def prepare(self) -> None:
        """Prepare both optimizers."""
        self.magnitude_opt.prepare()
        self.direction_opt.prepare()

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
            more = {"loss_fn": loss_fn} if "loss_fn" in opt.needs else {}
            return opt.update(
                state, grad, loss, model_state, is_valid, key, **more, **extra
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

    def get_params(self, opt_state: GraftedState) -> Params:
        """Return the parameters held by a state."""
        return self.direction_opt.get_params(opt_state.direction)

    def get_state(self, opt_state: GraftedState) -> ModelState:
        """Return the model state held by a state."""
        return self.direction_opt.get_state(opt_state.direction)

    def set_params(self, opt_state: GraftedState, params: Params) -> GraftedState:
        """Return the same state with other parameters, in both optimizers."""
        return GraftedState(
            self.magnitude_opt.set_params(opt_state.magnitude, params),
            self.direction_opt.set_params(opt_state.direction, params),
        )


def _norm(tree: Any) -> jax.Array:
    squares = [jnp.sum(jnp.square(x)) for x in jax.tree.leaves(tree)]
    return jnp.sqrt(jnp.asarray(sum(squares)))


def _two_keys(key: PRNGKey | None) -> Any:
    return (None, None) if key is None else jax.random.split(key)
