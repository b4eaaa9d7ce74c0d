"""Optimizers that step another one: what they have in common."""

from __future__ import annotations

from typing import Any

import jax

from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    OptState,
    Params,
    PRNGKey,
)

__all__ = ["WrappedOptimizer", "step_inside"]


class WrappedOptimizer(Optimizer):
    """An optimizer that steps another one.

    It needs what the optimizer inside needs, and its parameters and its model state
    are those of the optimizer inside. A subclass defines `update`. Where its state
    is more than the state of the optimizer inside, it also defines `init`,
    `states_inside` and `with_states_inside`; where it steps several optimizers,
    `inside` too.

    Attributes:
      opt: the optimizer inside, a field of the subclass.
    """

    opt: Optimizer

    @property
    def inside(self) -> tuple[Optimizer, ...]:
        """The optimizers inside; the first one's parameters are those that count."""
        return (self.opt,)

    def states_inside(self, opt_state: OptState) -> tuple[OptState, ...]:
        """Return the states of the optimizers inside, in the order of `inside`."""
        return (opt_state,)

    def with_states_inside(self, opt_state: OptState, *states: OptState) -> OptState:
        """Return the same state with other states of the optimizers inside."""
        del opt_state
        (state,) = states
        return state

    @property
    def needs(self) -> frozenset[str]:
        """What the optimizers inside need."""
        return frozenset().union(*(opt.needs for opt in self.inside))

    def prepare(self) -> None:
        """Prepare the optimizers inside; see `Optimizer.prepare`."""
        for opt in self.inside:
            opt.prepare()

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update; see `Optimizer.init`."""
        return self.opt.init(params, model_state, num_steps, key)

    def pass_on(
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
        """Return the state after one step of `opt`, whose state is that of this one.

        The arguments are those of `Optimizer.update`; see `step_inside`.
        """
        return step_inside(
            self.opt,
            opt_state,
            grad,
            loss=loss,
            model_state=model_state,
            is_valid=is_valid,
            key=key,
            loss_fn=loss_fn,
            **extra,
        )

    def get_params(self, opt_state: OptState) -> Params:
        """Return the parameters held by a state."""
        return self.inside[0].get_params(self.states_inside(opt_state)[0])

    def get_eval_params(self, opt_state: OptState) -> Params:
        """Return the parameters to evaluate; see `Optimizer.get_eval_params`."""
        return self.inside[0].get_eval_params(self.states_inside(opt_state)[0])

    def get_state(self, opt_state: OptState) -> ModelState:
        """Return the model state held by a state."""
        return self.inside[0].get_state(self.states_inside(opt_state)[0])

    def set_params(self, opt_state: OptState, params: Params) -> OptState:
        """Return the same state with other parameters, in all optimizers inside."""
        pairs = zip(self.inside, self.states_inside(opt_state), strict=True)
        states = [opt.set_params(state, params) for opt, state in pairs]
        return self.with_states_inside(opt_state, *states)


def step_inside(
    opt: Optimizer,
    opt_state: OptState,
    grad: Gradient,
    *,
    loss: jax.Array | None = None,
    model_state: ModelState | None = None,
    is_valid: bool = False,
    key: PRNGKey | None = None,
    loss_fn: LossFn | None = None,
    **extra: Any,
) -> OptState:
    """Return the state of an optimizer inside after one step.

    Args:
      opt: the optimizer inside.
      opt_state: its state before the step.
      grad: the gradient it sees.
      loss: as of `Optimizer.update`, and so are the others.
      model_state: the model state after the step.
      is_valid: whether the loss is of other data.
      key: PRNG key of the step.
      loss_fn: the loss as a function, passed on only where it is given:
        optimizers written for the published interface do not know it.
      **extra: what else `Optimizer.update` was given.
    """
    if loss_fn is not None:
        extra["loss_fn"] = loss_fn
    # By place: an optimizer of one's own may call these otherwise.
    return opt.update(opt_state, grad, loss, model_state, is_valid, key, **extra)
