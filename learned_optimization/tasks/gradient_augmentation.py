"""Tasks that keep the loss of another one and change its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.configurable import configurable
from learned_optimization.errors import check_at_least
from learned_optimization.tasks.base import (
    Batch,
    ModelState,
    Params,
    PRNGKey,
)
from learned_optimization.tasks.custom_gradient import CustomGradientTask, gradient
from learned_optimization.tasks.wrapped_task import (
    WrappedTask,
    WrappedTaskFamily,
    normal_like,
    with_float_dtype,
)

# Documented and imported from `task_augmentation`, by which gin knows them too.
_configurable = configurable("learned_optimization.tasks.task_augmentation")


# What the key of a change is folded with: the loss has the call's key itself.
_CHANGE = 1


@dataclass(frozen=True, eq=False)
class ChangedGradientTask(CustomGradientTask):
    """The same loss, its gradient passed through a function of itself."""

    def change(self, grad: Params, key: PRNGKey) -> Params:
        """Return the gradient instead of `grad`; subclasses override this."""
        raise NotImplementedError

    def gradient(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> Params:
        """Return the changed gradient."""
        grad = super().gradient(params, state, key, data)
        changed = self.change(with_float_dtype(grad), jax.random.fold_in(key, _CHANGE))
        return jax.tree.map(lambda c, g: c.astype(g.dtype), changed, grad)


@_configurable
@dataclass(frozen=True, eq=False)
class ModifyTaskGradient(ChangedGradientTask):
    """The same loss, its gradient passed through any function.

    Attributes:
      fn: `fn(grad, key)` returns a tree like `grad`, whose arrays are float32. Its
        name is part of the task's name: give functions that differ names that do.
    """

    fn: Callable[[Params, PRNGKey], Params]

    def change(self, grad: Params, key: PRNGKey) -> Params:
        """Return `fn(grad, key)`."""
        return self.fn(grad, key)


@_configurable
@dataclass(frozen=True, eq=False)
class NormalizeTaskGradient(ChangedGradientTask):
    """The same loss, its gradient divided by its norm over all parameters.

    A gradient of zero stays zero.
    """

    def change(self, grad: Params, key: PRNGKey) -> Params:
        """Return the gradient scaled to norm 1."""
        # Divided by the largest entry first: squares must not leave float32.
        tops = [jnp.max(jnp.abs(g), initial=0.0) for g in jax.tree.leaves(grad)]
        top = jnp.max(jnp.stack(tops))
        grad = jax.tree.map(lambda g: g / jnp.where(top == 0, 1.0, top), grad)
        norm = _norm(grad)
        return jax.tree.map(lambda g: g / jnp.where(norm == 0, 1.0, norm), grad)


@_configurable
@dataclass(frozen=True)
class NormalizeTaskGradientTaskFamily(WrappedTaskFamily):
    """`NormalizeTaskGradient` of every task of a family."""

    _wrapper: ClassVar[type[WrappedTask]] = NormalizeTaskGradient


@_configurable
@dataclass(frozen=True, eq=False)
class SubsampleDirectionsTaskGradient(ChangedGradientTask):
    """The same loss, its gradient seen along a few random directions only.

    The gradient is the sum of `(d.g) d` over directions `d` drawn at every call,
    uniformly from the sphere of norm 1 over all parameters, where `g` is the gradient
    of the task. With `n` parameters that is on average `directions / n` times `g`.

    Attributes:
      directions: number of directions.
      sign_direction: takes `sign(d.g) d` instead: on average `directions
        gamma(n / 2) / (sqrt(pi) gamma((n + 1) / 2))` times `g / norm(g)`.
    """

    directions: int = 1
    sign_direction: bool = False

    def __post_init__(self) -> None:
        check_at_least("directions", self.directions, 1)

    def change(self, grad: Params, key: PRNGKey) -> Params:
        """Return the gradient projected on random directions."""

        def add(i: jax.Array, total: Params) -> Params:
            d = normal_like(jax.random.fold_in(key, i), grad)
            norm = _norm(d)
            d = jax.tree.map(lambda x: x / norm, d)
            slope = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, d, grad)))
            slope = jnp.sign(slope) if self.sign_direction else slope
            return jax.tree.map(lambda t, x: t + slope * x, total, d)

        # One by one: all directions at once would be as many copies of the model.
        zeros = jax.tree.map(jnp.zeros_like, grad)
        return lax.fori_loop(0, self.directions, add, zeros)


@_configurable
@dataclass(frozen=True)
class SubsampleDirectionsTaskGradientTaskFamily(WrappedTaskFamily):
    """`SubsampleDirectionsTaskGradient` of every task of a family."""

    directions: int = 1
    sign_direction: bool = False
    _wrapper: ClassVar[type[WrappedTask]] = SubsampleDirectionsTaskGradient


def _norm(tree: Params) -> jax.Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


class DelayedState(NamedTuple):
    """The model state of `AsyncDelayedGradients`.

    Attributes:
      inner: model state of the wrapped task.
      row: int32 scalar, the row of `past` that the next call writes: the number of
        calls so far modulo `delay_steps + 1`.
      past: parameters of the last calls, each array `[delay_steps + 1, ...]`.
    """

    inner: ModelState
    row: jax.Array
    past: Params


@_configurable
@dataclass(frozen=True, eq=False)
class AsyncDelayedGradients(CustomGradientTask):
    """The same loss, its gradient that of the parameters some steps ago.

    Call `t` (from 0) returns the loss, the auxiliary values and the inner model
    state of the parameters it is given. Its gradient is taken at the parameters
    given to call `t - delay_steps`, the initial ones where there is no such call,
    with the batch, the key and the inner model state of call `t`. Old parameters
    are kept in the model state, `delay_steps + 1` copies of the model. An
    evaluation that throws the model state away changes nothing.

    Attributes:
      delay_steps: age of the gradient in calls; 0 is the task itself.
    """

    delay_steps: int = 2

    def __post_init__(self) -> None:
        check_at_least("delay_steps", self.delay_steps, 0)

    def init_with_state(self, key: PRNGKey) -> tuple[Params, DelayedState]:
        """Return the start of the task, with its parameters as every older ones."""
        params, inner = self.task.init_with_state(key)
        rows = self.delay_steps + 1
        past = jax.tree.map(lambda p: jnp.broadcast_to(p, (rows, *p.shape)), params)
        return params, DelayedState(inner, jnp.zeros((), jnp.int32), past)

    def value(
        self, params: Params, state: DelayedState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, DelayedState, Any]:
        """Return the loss at `params`, and the state that remembers them."""
        row, past = self._remembering(params, state)
        loss, inner, aux = self.task.loss_with_state_and_aux(
            params, state.inner, key, data
        )
        return loss, DelayedState(inner, row, past), aux

    def gradient(
        self, params: Params, state: DelayedState, key: PRNGKey, data: Batch
    ) -> Params:
        """Return the gradient at older parameters."""
        row, past = self._remembering(params, state)
        oldest = jax.tree.map(lambda b: b[row], past)
        return gradient(self.task, oldest, state.inner, key, data)

    def _remembering(
        self, params: Params, state: DelayedState
    ) -> tuple[jax.Array, Params]:
        """Return the next row, which is the oldest, and the rows with `params`."""
        if not isinstance(state, DelayedState):
            raise TypeError(
                f"task {self.name} has model state: pass the one init_with_state made."
            )
        past = jax.tree.map(lambda b, p: b.at[state.row].set(p), state.past, params)
        return (state.row + 1) % (self.delay_steps + 1), past


@_configurable
@dataclass(frozen=True)
class AsyncDelayedGradientsTaskFamily(WrappedTaskFamily):
    """`AsyncDelayedGradients` of every task of a family."""

    delay_steps: int = 1
    _wrapper: ClassVar[type[WrappedTask]] = AsyncDelayedGradients
