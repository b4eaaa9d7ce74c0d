"""Gradient accumulation: an optimizer that sees averages of several gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.errors import LoptError
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
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.optimizers.wrapped import WrappedOptimizer

__all__ = [
    "GradientAccumulator",
    "GradientAccumulatorState",
]


@flax.struct.dataclass
class GradientAccumulatorState:
    """State of a `GradientAccumulator`.

    Attributes:
      inner: the state of the optimizer inside.
      state: the model state of the last gradient.
      grad_sum: sum of the gradients since the last step of `inner`.
      loss_sum: sum of their losses.
      iteration: int32 scalar, the number of gradients seen.
    """

    inner: Any
    state: Any
    grad_sum: Any
    loss_sum: jax.Array
    iteration: jax.Array


@optimizer
class GradientAccumulator(WrappedOptimizer):
    """Steps another optimizer with the mean of every `num_average` gradients.

    This is training with batches of `num_average` times the size, each given in
    `num_average` pieces. The optimizer inside is told that the run is as many times
    shorter. The model state is that of the last piece.
    """

    opt: Optimizer = hparam(default=Adam())
    num_average: int | jax.Array = hparam(default=1, short="average")

    def prepare(self) -> None:
        """Check that the optimizer inside can work on averages, and prepare it.

        Raises:
          LoptError: if it asks for the loss as a function, which no average of losses
            is, or if `num_average` is less than 1.
        """
        if "loss_fn" in self.opt.needs:
            raise LoptError(
                f"GradientAccumulator cannot serve {type(self.opt).__name__}, which "
                "asks for the loss of one batch as a function."
            )
        if not isinstance(self.num_average, jax.Array) and self.num_average < 1:
            raise LoptError(
                "GradientAccumulator.num_average must be at least 1, got "
                f"{self.num_average}."
            )
        super().prepare()

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> GradientAccumulatorState:
        """Return the state before the first update; see `Optimizer.init`."""
        inner_steps: Any = None if num_steps is None else num_steps // self.num_average
        return GradientAccumulatorState(
            inner=self.opt.init(params, model_state, inner_steps, key),
            state=model_state,
            grad_sum=jax.tree.map(jnp.zeros_like, params),
            loss_sum=jnp.zeros([]),
            iteration=jnp.zeros([], jnp.int32),
        )

    def update(
        self,
        opt_state: GradientAccumulatorState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> GradientAccumulatorState:
        """Return the state after one gradient; see `Optimizer.update`."""
        del loss_fn
        sums = (
            jax.tree.map(jnp.add, opt_state.grad_sum, grad),
            opt_state.loss_sum + (0.0 if loss is None else loss),
        )

        def step(inner: OptState, sums: Any) -> tuple[OptState, Any]:
            mean_grad, mean_loss = jax.tree.map(lambda x: x / self.num_average, sums)
            inner = self.opt.update(
                inner,
                mean_grad,
                loss=None if loss is None else mean_loss,
                model_state=model_state,
                is_valid=is_valid,
                key=key,
                **extra,
            )
            return inner, jax.tree.map(jnp.zeros_like, sums)

        iteration = opt_state.iteration + 1
        is_last = iteration % self.num_average == 0
        inner, (grad_sum, loss_sum) = jax.lax.cond(
            is_last, step, lambda *unchanged: unchanged, opt_state.inner, sums
        )
        return GradientAccumulatorState(
            inner=inner,
            state=model_state,
            grad_sum=grad_sum,
            loss_sum=loss_sum,
            iteration=iteration,
        )

    def states_inside(self, opt_state: GradientAccumulatorState) -> tuple[OptState]:
        """Return the state of the optimizer inside."""
        return (opt_state.inner,)

    def with_states_inside(
        self, opt_state: GradientAccumulatorState, *states: OptState
    ) -> GradientAccumulatorState:
        """Return the same state with another state of the optimizer inside."""
        (inner,) = states
        return dataclasses.replace(opt_state, inner=inner)

    def get_state(self, opt_state: GradientAccumulatorState) -> ModelState:
        """Return the model state of the last gradient, also where it made no step."""
        return opt_state.state
