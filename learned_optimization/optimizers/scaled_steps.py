"""Steps of another optimizer at a learning rate of one's own, with weight decay."""

from __future__ import annotations

import dataclasses
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
    Scalar,
    check_given,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.optimizers.schedule_base import (
    Schedule,
    plans_over_run,
    rate_of_update,
)
from learned_optimization.optimizers.wrapped import WrappedOptimizer, step_inside

__all__ = [
    "ScaledSteps",
    "ScaledStepsState",
]


@flax.struct.dataclass
class ScaledStepsState:
    """State of a `ScaledSteps`.

    Attributes:
      inner: the state of the optimizer inside.
      iteration: int32 scalar, the number of updates done.
      num_steps: int32 scalar, the length of the run; 0 where it was not given.
    """

    inner: Any
    iteration: jax.Array
    num_steps: jax.Array


@optimizer
class ScaledSteps(WrappedOptimizer):
    """Multiplies the steps of another optimizer, and decays the weights decoupled.

    Where the optimizer inside would move parameters `p` to `q`, they move to
    `p + r (q - p) - r weight_decay p`, `r` the learning rate of the update: a number,
    or a schedule's. The decay is that of Loshchilov & Hutter 2019 (arXiv:1711.05101),
    times the rate as optax has it. Rates and differences are computed in at least 32
    bits; parameters keep their types.

    An optimizer that holds other parameters than it evaluates, such as a schedule-free
    one, is scaled where its gradients are taken.

    Attributes:
      opt: the optimizer inside.
      learning_rate: what its steps are multiplied by.
      weight_decay: share of the parameters taken off at each update, times the rate.
    """

    opt: Optimizer = hparam(default=SGD())
    learning_rate: Scalar | Schedule = hparam(default=1.0, short="lr")
    weight_decay: Scalar = hparam(default=0.0, short="wd")

    @property
    def needs(self) -> frozenset[str]:
        """What the optimizer inside needs, and the length where the rate asks it."""
        return super().needs | (
            {"num_steps"} if plans_over_run(self.learning_rate) else set()
        )

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> ScaledStepsState:
        """Return the state before the first update; see `Optimizer.init`."""
        check_given(self, num_steps=num_steps)
        return ScaledStepsState(
            inner=self.opt.init(params, model_state, num_steps, key),
            iteration=jnp.zeros([], jnp.int32),
            num_steps=jnp.asarray(0 if num_steps is None else num_steps, jnp.int32),
        )

    def update(
        self,
        opt_state: ScaledStepsState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> ScaledStepsState:
        """Return the state after one step; see `Optimizer.update`."""
        after = step_inside(
            self.opt,
            opt_state.inner,
            grad,
            loss=loss,
            model_state=model_state,
            is_valid=is_valid,
            key=key,
            loss_fn=loss_fn,
            **extra,
        )
        rate = rate_of_update(
            self.learning_rate, opt_state.iteration, opt_state.num_steps
        )

        def move(old: Any, new: Any) -> jax.Array:
            kept = jnp.result_type(old)
            # In 32 bits at least: `p` and `q` of 16 bits differ by few of their steps.
            p, q = (
                jnp.asarray(x, jnp.promote_types(kept, jnp.float32)) for x in (old, new)
            )
            moved = p + rate * (q - p) - rate * self.weight_decay * p
            return jnp.asarray(moved, kept)

        moved = jax.tree.map(
            move, self.opt.get_params(opt_state.inner), self.opt.get_params(after)
        )
        return ScaledStepsState(
            inner=self.opt.set_params(after, moved),
            iteration=opt_state.iteration + 1,
            num_steps=opt_state.num_steps,
        )

    def states_inside(self, opt_state: ScaledStepsState) -> tuple[OptState]:
        """Return the state of the optimizer inside."""
        return (opt_state.inner,)

    def with_states_inside(
        self, opt_state: ScaledStepsState, *states: OptState
    ) -> ScaledStepsState:
        """Return the same state with another state of the optimizer inside."""
        (inner,) = states
        return dataclasses.replace(opt_state, inner=inner)
