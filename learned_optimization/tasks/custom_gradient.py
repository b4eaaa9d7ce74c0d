"""Tasks that keep a loss and define its gradient themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import jax
from jax import core, lax

from learned_optimization.tasks.base import Batch, ModelState, Params, PRNGKey, Task
from learned_optimization.tasks.wrapped_task import WrappedTask


@dataclass(frozen=True, eq=False)
class CustomGradientTask(WrappedTask):
    """A task with the loss of another one, but a gradient of its own.

    `jax.grad` and `jax.vjp` of any of its losses see `gradient` as the gradient with
    respect to the parameters, and as a constant: second derivatives are zero, and
    forward mode is refused. Where no gradient is asked for, `value` alone is computed.
    """

    def value(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss, the model state and further scalars.

        Those of the wrapped task unless overridden.
        """
        return self.task.loss_with_state_and_aux(params, state, key, data)

    def gradient(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> Params:
        """Return the gradient, a tree like `params`.

        That of the wrapped task unless overridden.
        """
        return gradient(self.task, params, state, key, data)

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss with the gradient of `gradient`, the state and scalars."""
        loss, after, aux = self.value(lax.stop_gradient(params), state, key, data)
        inputs = (state, key, data)
        function, captured = _without_closure(self.gradient, params, *inputs)
        loss = cast(
            "jax.Array",
            _with_gradient(function, params, loss, (captured, inputs)),
        )
        return loss, after, aux


def with_gradient(params: Params, loss: jax.Array, grad: Params) -> jax.Array:
    """Return a loss whose gradient with respect to the parameters is a given one.

    Args:
      params: the parameters.
      loss: the loss, which does not depend on them for `jax.grad`.
      grad: the gradient, a tree like `params`.
    """
    return cast("jax.Array", _with_gradient(_given, params, loss, ([], (grad,))))


def _given(captured: Any, params: Params, grad: Params) -> Params:
    del captured, params
    return grad


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _with_gradient(
    function: Callable[..., Params], params: Params, loss: jax.Array, inputs: Any
) -> jax.Array:
    """Return `loss`; its gradient with respect to `params` is said by a function."""
    return loss


def _forward(
    function: Callable[..., Params], params: Params, loss: jax.Array, inputs: Any
) -> tuple[jax.Array, Params]:
    captured, inputs = inputs
    return loss, lax.stop_gradient(function(captured, params, *inputs))


def _backward(
    function: Callable[..., Params], grad: Params, cotangent: jax.Array
) -> tuple[Params, jax.Array, None]:
    scaled = jax.tree.map(lambda g: (cotangent * g).astype(g.dtype), grad)
    return scaled, cotangent, None


_with_gradient.defvjp(_forward, _backward)


def _without_closure(
    function: Callable[..., Any], *args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """Return a function that takes what it would capture, and what that is.

    `jax.custom_vjp` cannot capture traced arrays, and the configuration of a sampled
    task is one.
    """
    jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    treedef = jax.tree.structure(shapes)

    def explicit(captured: list[Any], *args: Any) -> Any:
        leaves = jax.tree.leaves(args)
        outputs = core.eval_jaxpr(jaxpr.jaxpr, captured, *leaves)
        return jax.tree.unflatten(treedef, outputs)

    return explicit, jaxpr.consts


def gradient(
    task: Task, params: Params, state: ModelState, key: PRNGKey, data: Batch
) -> Params:
    """Return the gradient of a task with respect to its parameters."""
    return jax.grad(lambda p: task.loss_with_state(p, state, key, data)[0])(params)
