"""Learned optimizers made of other optimizers, learned or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    ModelState,
    Optimizer,
    OptState,
    Params,
    PRNGKey,
    static_field,
)
from learned_optimization.optimizers.base import Gradient, LossFn
from learned_optimization.optimizers.hparams import hparams_dataclass, pytree_field
from learned_optimization.optimizers.wrapped import WrappedOptimizer, step_inside

__all__ = [
    "SumLearnedOptimizer",
    "SumOptimizer",
    "learned_optimizer_from_opt",
    "wrap_learned_opt",
]


@flax.struct.dataclass
class SumOptimizerState:
    """State of a `SumOptimizer`.

    Attributes:
      params: the parameters.
      state: the model state.
      inner_opt_states: the state of each optimizer inside.
      iteration: int32 scalar, the number of updates done.
    """

    params: Any
    state: Any
    inner_opt_states: tuple[Any, ...]
    iteration: jax.Array


@hparams_dataclass
class SumOptimizer(WrappedOptimizer):
    """Steps by the sum of what several optimizers would, each from the same place.

    Attributes:
      opts: the optimizers.
    """

    opts: tuple[Optimizer, ...] = pytree_field()

    @property
    def inside(self) -> tuple[Optimizer, ...]:
        """The optimizers whose steps are added."""
        return tuple(self.opts)

    def states_inside(self, opt_state: SumOptimizerState) -> tuple[OptState, ...]:
        """Return the states of the optimizers inside."""
        return opt_state.inner_opt_states

    def with_states_inside(
        self, opt_state: SumOptimizerState, *states: OptState
    ) -> SumOptimizerState:
        """Return the same state with other states of the optimizers inside."""
        params, model_state = self.opts[0].get_params_state(states[0])
        return SumOptimizerState(params, model_state, states, opt_state.iteration)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> SumOptimizerState:
        """Return the state before the first update; see `Optimizer.init`."""
        keys = _keys(key, len(self.opts))
        states = tuple(
            opt.init(params, model_state, num_steps, k)
            for opt, k in zip(self.opts, keys, strict=True)
        )
        return SumOptimizerState(params, model_state, states, jnp.zeros([], jnp.int32))

    def update(
        self,
        opt_state: SumOptimizerState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> SumOptimizerState:
        """Return the state after one step; see `Optimizer.update`."""
        before = opt_state.params
        total = jax.tree.map(jnp.zeros_like, before)
        states = []
        keys = _keys(key, len(self.opts))
        for opt, state, k in zip(
            self.opts, opt_state.inner_opt_states, keys, strict=True
        ):
            after = step_inside(
                opt,
                state,
                grad,
                loss=loss,
                model_state=model_state,
                is_valid=is_valid,
                key=k,
                loss_fn=loss_fn if "loss_fn" in opt.needs else None,
                **extra,
            )
            step = jax.tree.map(jnp.subtract, opt.get_params(after), before)
            total = jax.tree.map(jnp.add, total, step)
            states.append(after)
        params = jax.tree.map(jnp.add, before, total)
        summed = SumOptimizerState(
            params, model_state, tuple(states), opt_state.iteration + 1
        )
        return self.set_params(summed, params)

    def get_params(self, opt_state: SumOptimizerState) -> Params:
        """Return the parameters held by a state."""
        return opt_state.params

    def get_state(self, opt_state: SumOptimizerState) -> ModelState:
        """Return the model state held by a state."""
        return opt_state.state

    def get_eval_params(self, opt_state: SumOptimizerState) -> Params:
        """Return the parameters that gradients are taken at."""
        return opt_state.params

    @property
    def name(self) -> str:
        """The names of the optimizers inside."""
        return f"SumOptimizer_{_names(self.opts)}"


def _keys(key: PRNGKey | None, number: int) -> list[PRNGKey | None]:
    return [None] * number if key is None else list(jax.random.split(key, number))


def _names(parts: Sequence[Any]) -> str:
    return ",".join(f"({part.name})" for part in parts)


@configurable("learned_optimization.learned_optimizers.base")
@hparams_dataclass
class SumLearnedOptimizer(LearnedOptimizer):
    """Steps by the sum of several learned optimizers' steps.

    Its meta-parameters are theirs, under `inner_lopt_theta_0` and so on.

    Attributes:
      lopts: the learned optimizers, at least one.
    """

    lopts: Sequence[LearnedOptimizer] = pytree_field()

    def __post_init__(self) -> None:
        """Make a tuple of a list.

        Raises:
          LoptError: if there is no learned optimizer in it, or something else.
        """
        lopts = tuple(self.lopts)
        if not lopts or not all(isinstance(x, LearnedOptimizer) for x in lopts):
            raise LoptError(
                "SumLearnedOptimizer.lopts must be a list of learned optimizers, e.g. "
                f"[LearnableSGD(), MLPLOpt()], got {self.lopts!r}."
            )
        object.__setattr__(self, "lopts", lopts)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return the meta-parameters of each learned optimizer."""
        keys = jax.random.split(key, len(self.lopts))
        return {
            f"inner_lopt_theta_{i}": lopt.init(k)
            for i, (lopt, k) in enumerate(zip(self.lopts, keys, strict=True))
        }

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        """Return the sum of the learned optimizers."""
        return SumOptimizer(
            tuple(
                lopt.opt_fn(theta[f"inner_lopt_theta_{i}"], is_training)
                for i, lopt in enumerate(self.lopts)
            )
        )

    @property
    def name(self) -> str:
        """The names of the learned optimizers inside."""
        return f"SumLearnedOptimizer_{_names(self.lopts)}"


@hparams_dataclass
class _FixedOptimizer(LearnedOptimizer):
    """An optimizer without anything to learn."""

    opt: Optimizer = pytree_field()

    def init(self, key: PRNGKey) -> MetaParams:
        del key
        return {}

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        del theta, is_training
        return self.opt

    @property
    def name(self) -> str:
        """The name of the optimizer."""
        return self.opt.name


@hparams_dataclass
class _WrappedLearnedOptimizer(LearnedOptimizer):
    """A learned optimizer whose optimizers are wrapped."""

    learned_opt: LearnedOptimizer = pytree_field()
    opt_wrapper: Callable[[Optimizer], Optimizer] = static_field()

    def init(self, key: PRNGKey) -> MetaParams:
        return self.learned_opt.init(key)

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        return self.opt_wrapper(self.learned_opt.opt_fn(theta, is_training))


def learned_optimizer_from_opt(opt: Optimizer) -> LearnedOptimizer:
    """Return a learned optimizer that has nothing to learn: theta is empty.

    Args:
      opt: the optimizer it makes of any theta.
    """
    return _FixedOptimizer(opt)


def wrap_learned_opt(
    learned_opt: LearnedOptimizer, opt_wrapper: Callable[[Optimizer], Optimizer]
) -> LearnedOptimizer:
    """Return a learned optimizer whose optimizers are wrapped.

    Args:
      learned_opt: the learned optimizer; theta is its own.
      opt_wrapper: from an optimizer to one that steps it, such as
        `lambda opt: WeightDecayWrapper(opt, 1e-4)`.
    """
    return _WrappedLearnedOptimizer(learned_opt, opt_wrapper)
