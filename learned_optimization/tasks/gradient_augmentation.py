"""Tasks that keep the loss of another one and change its gradient."""

from __future__ import annotations

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
from learned_optimization.tasks.wrapped_task import (
    CustomGradientTask,
    WrappedTask,
    WrappedTaskFamily,
    normal_like,
    value_and_grad,
    with_float_dtype,
)

_configurable = configurable("learned_optimization.tasks")


@_configurable
@dataclass(frozen=True, eq=False)
class NormalizeTaskGradient(CustomGradientTask):
    """The same loss, its gradient divided by its norm over all parameters.

    A gradient of zero stays zero.
    """

    def value_and_grad(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[tuple[jax.Array, ModelState, Any], Params]:
        """The loss, and the gradient of the task scaled to norm 1."""
        value, grad = value_and_grad(self.task, params, state, key, data)
        wide = with_float_dtype(grad)
        # Divided by the largest entry first: squares must not leave float32.
        tops = [jnp.max(jnp.abs(g), initial=0.0) for g in jax.tree.leaves(wide)]
        top = jnp.max(jnp.stack(tops))
        wide = jax.tree.map(lambda g: g / jnp.where(top == 0, 1.0, top), wide)
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(wide)))
        norm = jnp.where(norm == 0, 1.0, norm)
        return value, jax.tree.map(lambda w, g: (w / norm).astype(g.dtype), wide, grad)


@_configurable
@dataclass(frozen=True)
class NormalizeTaskGradientFamily(WrappedTaskFamily):
    """`NormalizeTaskGradient` of every task of a family."""

    _wrapper: ClassVar[type[WrappedTask]] = NormalizeTaskGradient


@_configurable
@dataclass(frozen=True, eq=False)
class SubsampleDirections(CustomGradientTask):
    """The same loss, its gradient seen along a few random directions only.

    The gradient is the mean of `(d.g) d` over directions `d ~ N(0, I)` drawn at
    every call, where `g` is the gradient of the task: right on average. The call's
    key is split in two, the first half for the task, the second for the directions.

    Attributes:
      directions: number of directions.
      sign_direction: takes `sign(d.g) d` instead: on average
        `sqrt(2 / pi) g / norm(g)`.
    """

    directions: int
    sign_direction: bool = False

    def __post_init__(self) -> None:
        check_at_least("directions", self.directions, 1)

    def value_and_grad(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[tuple[jax.Array, ModelState, Any], Params]:
        """The loss, and the gradient projected on random directions."""
        loss_key, key = jax.random.split(key)
        value, grad = value_and_grad(self.task, params, state, loss_key, data)
        wide = with_float_dtype(grad)

        def add(i, total):
            d = normal_like(jax.random.fold_in(key, i), wide)
            slope = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, d, wide)))
            slope = jnp.sign(slope) if self.sign_direction else slope
            return jax.tree.map(lambda t, x: t + slope * x, total, d)

        # One by one: all directions at once would be as many copies of the model.
        zeros = jax.tree.map(jnp.zeros_like, wide)
        total = lax.fori_loop(0, self.directions, add, zeros)
        mean = jax.tree.map(
            lambda t, g: (t / self.directions).astype(g.dtype), total, grad
        )
        return value, mean


@_configurable
@dataclass(frozen=True)
class SubsampleDirectionsFamily(WrappedTaskFamily):
    """`SubsampleDirections` of every task of a family."""

    directions: int
    sign_direction: bool = False
    _wrapper: ClassVar[type[WrappedTask]] = SubsampleDirections


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

    delay_steps: int

    def __post_init__(self) -> None:
        check_at_least("delay_steps", self.delay_steps, 0)

    def init_with_state(self, key: PRNGKey) -> tuple[Params, DelayedState]:
        """The start of the task, with its parameters as every older ones."""
        params, inner = self.task.init_with_state(key)
        rows = self.delay_steps + 1
        past = jax.tree.map(lambda p: jnp.broadcast_to(p, (rows, *p.shape)), params)
        return params, DelayedState(inner, jnp.zeros((), jnp.int32), past)

    def value_and_grad(
        self, params: Params, state: DelayedState, key: PRNGKey, data: Batch
    ) -> tuple[tuple[jax.Array, DelayedState, Any], Params]:
        """The loss at `params`, and the gradient at older parameters."""
        if not isinstance(state, DelayedState):
            raise TypeError(
                f"task {self.name} has model state: pass the one init_with_state made."
            )
        rows = self.delay_steps + 1
        next_row = (state.row + 1) % rows
        past = jax.tree.map(lambda b, p: b.at[state.row].set(p), state.past, params)
        old = jax.tree.map(lambda b: b[next_row], past)
        loss, inner, aux = self.task.loss_with_state_and_aux(
            params, state.inner, key, data
        )
        _, grad = value_and_grad(self.task, old, state.inner, key, data)
        return (loss, DelayedState(inner, next_row, past), aux), grad


@_configurable
@dataclass(frozen=True)
class AsyncDelayedGradientsFamily(WrappedTaskFamily):
    """`AsyncDelayedGradients` of every task of a family."""

    delay_steps: int
    _wrapper: ClassVar[type[WrappedTask]] = AsyncDelayedGradients
