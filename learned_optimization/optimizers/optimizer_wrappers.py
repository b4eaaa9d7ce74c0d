"""Optimizers that change how another one runs: its clock, or its weight decay."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
    Scalar,
    hparam,
    optimizer,
    static_field,
)
from learned_optimization.optimizers.nadamw import NAdamW
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.optimizers.wrapped import WrappedOptimizer, step_inside

__all__ = [
    "ExtendTimeState",
    "ExtendTimeWrapper",
    "WeightDecayWrapper",
]


@flax.struct.dataclass
class ExtendTimeState:
    """State of an `ExtendTimeWrapper`.

    Attributes:
      iteration: int32 scalar, the number of updates done.
      inner_opt_state: the state of the optimizer inside.
    """

    iteration: jax.Array
    inner_opt_state: Any


@optimizer
class ExtendTimeWrapper(WrappedOptimizer):
    """Steps an optimizer whose clock runs as a function says, faster or slower.

    Before every update the `iteration` of the optimizer inside is set to
    `warp_fn(iteration)`, and it is told of a run of `int(warp_fn(num_steps))` updates.
    That reaches schedules and bias corrections that read `iteration`, as those of
    `NAdamW` and `OptList` do; optax's transformations count for themselves and do
    not notice.

    Attributes:
      opt: the optimizer inside.
      warp_fn: from a number of updates, possibly traced, to another; None leaves
        it as it is.
    """

    opt: Optimizer = hparam(default=NAdamW())
    warp_fn: Callable[[Any], Any] | None = static_field(default=None, short="warp")

    def prepare(self) -> None:
        """Prepare the optimizer inside, and check that the function is one.

        Raises:
          LoptError: if `warp_fn` cannot be called.
        """
        if self.warp_fn is not None and not callable(self.warp_fn):
            raise LoptError(
                "ExtendTimeWrapper.warp_fn must be a function of a number of updates, "
                f"got {self.warp_fn!r}."
            )
        super().prepare()

    def _warped(self, updates: Any) -> Any:
        return updates if self.warp_fn is None else self.warp_fn(updates)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> ExtendTimeState:
        """Return the state before the first update; see `Optimizer.init`.

        Raises:
          LoptError: if the optimizer inside counts no iterations.
        """
        length: Any = None
        if num_steps is not None:
            length = jnp.asarray(self._warped(num_steps), jnp.int32)
        inner = self.opt.init(params, model_state, length, key)
        if not hasattr(inner, "iteration"):
            raise LoptError(
                f"ExtendTimeWrapper cannot serve {type(self.opt).__name__}, whose "
                "state counts no iterations."
            )
        return ExtendTimeState(jnp.zeros([], jnp.int32), inner)

    def update(
        self,
        opt_state: ExtendTimeState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> ExtendTimeState:
        """Return the state after one step; see `Optimizer.update`."""
        inner = opt_state.inner_opt_state
        now = jnp.asarray(self._warped(opt_state.iteration))
        after = step_inside(
            self.opt,
            dataclasses.replace(inner, iteration=now),
            grad,
            loss=loss,
            model_state=model_state,
            is_valid=is_valid,
            key=key,
            loss_fn=loss_fn,
            **extra,
        )
        # `jax.lax.scan` wants the type it began with, which a `warp_fn` that returns
        # fractions would change. The next update sets the value again.
        kept = jnp.asarray(after.iteration, inner.iteration.dtype)
        return ExtendTimeState(
            opt_state.iteration + 1, dataclasses.replace(after, iteration=kept)
        )

    def states_inside(self, opt_state: ExtendTimeState) -> tuple[OptState]:
        """Return the state of the optimizer inside."""
        return (opt_state.inner_opt_state,)

    def with_states_inside(
        self, opt_state: ExtendTimeState, *states: OptState
    ) -> ExtendTimeState:
        """Return the same state with another state of the optimizer inside."""
        (inner,) = states
        return dataclasses.replace(opt_state, inner_opt_state=inner)


@optimizer
class WeightDecayWrapper(WrappedOptimizer):
    """Steps another optimizer with weight decay added to gradients and losses.

    The optimizer inside sees the gradient `g + weight_decay p`. The loss it sees, with
    `add_to_loss`, is the loss plus `weight_decay |p|^2`: twice what that gradient
    belongs to, as in the published program. Its state is that of the optimizer
    inside.

    Attributes:
      opt: the optimizer inside.
      weight_decay: multiple of the parameters added to the gradient.
      add_to_loss: whether the loss is changed too, where one is given.
    """

    opt: Optimizer = hparam(default=Adam())
    weight_decay: Scalar = hparam(default=0.0, short="wd")
    add_to_loss: bool = static_field(default=True, short="loss")

    def prepare(self) -> None:
        """Prepare the optimizer inside.

        Raises:
          LoptError: if it asks for the loss as a function, which has no decay.
        """
        if "loss_fn" in self.opt.needs:
            raise LoptError(
                f"WeightDecayWrapper cannot serve {type(self.opt).__name__}, which "
                "asks for the loss as a function of the parameters."
            )
        super().prepare()

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
        params = self.opt.get_params(opt_state)
        if self.add_to_loss and loss is not None:
            squares = [jnp.sum(jnp.square(p)) for p in jax.tree.leaves(params)]
            loss = loss + self.weight_decay * jnp.asarray(sum(squares))
        decayed = jax.tree.map(
            lambda g, p: jnp.asarray(g + self.weight_decay * p, jnp.result_type(g)),
            grad,
            params,
        )
        return self.pass_on(
            opt_state, decayed, loss, model_state, is_valid, key, loss_fn, **extra
        )
