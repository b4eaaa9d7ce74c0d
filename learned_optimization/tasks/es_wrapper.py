"""Tasks trained by evolution strategies: gradients from loss values alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import check_at_least
from learned_optimization.tasks.base import Batch, ModelState, Params, PRNGKey
from learned_optimization.tasks.wrapped_task import (
    CustomGradientTask,
    WrappedTask,
    WrappedTaskFamily,
    check_positive,
    normal_like,
)

_configurable = configurable("learned_optimization.tasks")


def antithetic_es_value_and_grad(
    fun: Callable[..., Any],
    has_aux: bool = False,
    std: float = 0.01,
    num_pairs: int = 1,
) -> Callable[..., Any]:
    """Estimates value and gradient of a function from perturbed evaluations.

    One pair evaluates `L(x + e)` and `L(x - e)` for `e ~ N(0, std^2 I)` and
    estimates the gradient as `e (L(x + e) - L(x - e)) / (2 std^2)`. That is unbiased
    for the gradient of `L` smoothed by the same normal (Nesterov and Spokoiny 2017,
    doi:10.1007/s10208-015-9296-2), so for `L` itself where it is quadratic.

    All pairs are evaluated at once, by `vmap`: memory grows with `num_pairs`.

    Args:
      fun: `fun(x, *args)` returning a scalar, or a scalar and a pytree; `x` is a
        pytree of float arrays.
      has_aux: whether `fun` returns the pytree.
      std: standard deviation of the perturbation.
      num_pairs: pairs evaluated; their gradients are averaged.

    Returns:
      `estimate(x, *args, key)`, which returns `(value, grad)`, or
      `((value, aux), grad)` with `has_aux`. The value is the mean of all
      `2 num_pairs` evaluations; `grad` is like `x`. Float arrays of `aux` are means
      over all evaluations, others those of the first one.

    Raises:
      LoptError: if `std` is not above 0 or `num_pairs` below 1.
    """
    check_positive("std", std)
    check_at_least("num_pairs", num_pairs, 1)

    def one_pair(key: PRNGKey, x: Any, args: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        noise = jax.tree.map(lambda z: std * z, normal_like(key, x))

        def evaluate(sign):
            point = jax.tree.map(lambda a, e: a + sign.astype(a.dtype) * e, x, noise)
            out = fun(point, *args)
            return out if has_aux else (out, None)

        losses, aux = jax.vmap(evaluate)(jnp.array([1.0, -1.0]))
        weight = (losses[0] - losses[1]) / (2 * std**2)
        return losses, aux, jax.tree.map(lambda e: weight * e, noise)

    def estimate(x: Any, *args: Any, key: PRNGKey) -> tuple[Any, Any]:
        keys = jax.random.split(key, num_pairs)
        losses, aux, grads = jax.vmap(one_pair, in_axes=(0, None, None))(keys, x, args)
        grad = jax.tree.map(lambda g, a: g.mean(0).astype(a.dtype), grads, x)
        value = losses.mean()
        return ((value, jax.tree.map(_merge, aux)) if has_aux else value), grad

    return estimate


def _merge(x: jax.Array) -> jax.Array:
    """One array for those of all evaluations, `[num_pairs, 2, ...]`."""
    # A count of steps, say, must stay a whole number.
    is_float = jnp.issubdtype(x.dtype, jnp.floating)
    return x.mean((0, 1)) if is_float else x[0, 0]


@_configurable
@dataclass(frozen=True, eq=False)
class ESTask(CustomGradientTask):
    """A task whose gradient is estimated by antithetic evolution strategies.

    The loss is the mean of the task's loss at `2 num_pairs` perturbed parameters,
    in training and in evaluation alike, and so are the auxiliary values. All
    evaluations of a call share its batch, its model state and the random numbers
    of the loss: the call's key is split in two, the first half for the task, the
    second for the perturbations.

    The model state after a call is the mean over the evaluations where it is float
    (batch statistics), that of the first evaluation elsewhere (counters).

    Attributes:
      std: standard deviation of the perturbation.
      num_pairs: antithetic pairs a call.
    """

    std: float = 0.01
    num_pairs: int = 1

    def __post_init__(self) -> None:
        check_positive("std", self.std)
        check_at_least("num_pairs", self.num_pairs, 1)

    def value_and_grad(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[tuple[jax.Array, ModelState, Any], Params]:
        """The mean of the evaluations, and the estimate of the gradient."""
        loss_key, noise_key = jax.random.split(key)

        def loss_of(params):
            loss, after, aux = self.task.loss_with_state_and_aux(
                params, state, loss_key, data
            )
            # As floats, so that they are averaged whatever they are.
            aux = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), aux)
            return loss, (after, aux)

        estimate = antithetic_es_value_and_grad(
            loss_of, has_aux=True, std=self.std, num_pairs=self.num_pairs
        )
        (loss, (state, aux)), grad = estimate(params, key=noise_key)
        return (loss, state, aux), grad


@_configurable
@dataclass(frozen=True)
class ESTaskFamily(WrappedTaskFamily):
    """`ESTask` of every task of a family."""

    std: float = 0.01
    num_pairs: int = 1
    _wrapper: ClassVar[type[WrappedTask]] = ESTask
