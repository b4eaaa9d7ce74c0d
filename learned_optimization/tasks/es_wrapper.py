"""Tasks trained by evolution strategies: gradients from loss values alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.tasks.base import Batch, ModelState, Params, PRNGKey
from learned_optimization.tasks.custom_gradient import CustomGradientTask
from learned_optimization.tasks.wrapped_task import (
    WrappedTask,
    WrappedTaskFamily,
    check_positive,
    normal_like,
)

__all__ = [
    "ESTask",
    "ESTaskFamily",
    "antithetic_es_value_and_grad",
    "multi_antithetic_es_value_and_grad",
]

_configurable = configurable(__name__)

# What the perturbations' key is folded with: the loss has the call's key itself.
_PERTURBATIONS = 1


def antithetic_es_value_and_grad(
    loss_fn: Callable[..., Any],
    has_aux: bool = False,
    std: float = 0.01,
    vec_aux: bool = False,
    vmap: bool = True,
) -> Callable[..., Any]:
    """Estimate value and gradient of a function from one pair of evaluations.

    The pair evaluates `L(x + e)` and `L(x - e)` for `e ~ N(0, std^2 I)` and
    estimates the gradient as `e (L(x + e) - L(x - e)) / (2 std^2)`. That is unbiased
    for the gradient of `L` smoothed by the same normal (Nesterov and Spokoiny 2017,
    doi:10.1007/s10208-015-9296-2), so for `L` itself where it is quadratic.

    Args:
      loss_fn: `loss_fn(x, *args, **kwargs)` returning a scalar, or a scalar and a
        pytree; `x` is a pytree of float arrays.
      has_aux: whether `loss_fn` returns the pytree.
      std: standard deviation of the perturbation.
      vec_aux: whether the pytree of both evaluations is returned, that of
        `L(x + e)` first, rather than that of `L(x + e)` alone.
      vmap: whether both evaluations are computed side by side, or one after the
        other.

    Returns:
      `estimate(x, *args, es_key=key, **kwargs)`, which returns `(value, grad)`, or
      `((value, aux), grad)` with `has_aux`. The value is the mean of the two
      evaluations; `grad` is like `x`; with `vec_aux`, arrays of `aux` are `[2, ...]`.

    Raises:
      LoptError: if `std` is not above 0, or `estimate` is called without `es_key`.
    """
    check_positive("std", std)

    def estimate(
        x: Any, *args: Any, es_key: PRNGKey | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        noise = jax.tree.map(lambda z: std * z, normal_like(_required(es_key), x))

        def evaluate(sign: jax.Array) -> tuple[jax.Array, Any]:
            point = jax.tree.map(lambda a, e: a + sign.astype(a.dtype) * e, x, noise)
            out = loss_fn(point, *args, **kwargs)
            return out if has_aux else (out, None)

        over_signs = jax.vmap(evaluate) if vmap else lambda s: jax.lax.map(evaluate, s)
        losses, aux = over_signs(jnp.array([1.0, -1.0]))
        weight = (losses[0] - losses[1]) / (2 * std**2)
        grad = jax.tree.map(lambda e, a: (weight * e).astype(a.dtype), noise, x)
        if not vec_aux:
            aux = jax.tree.map(lambda v: v[0], aux)
        return ((losses.mean(), aux) if has_aux else losses.mean()), grad

    return estimate


def multi_antithetic_es_value_and_grad(
    loss_fn: Callable[..., Any],
    has_aux: bool = False,
    std: float = 0.01,
    n_pairs: int = 2,
    vmap: bool = True,
) -> Callable[..., Any]:
    """Estimate value and gradient of a function from several antithetic pairs.

    Args:
      loss_fn: as in `antithetic_es_value_and_grad`.
      has_aux: as there.
      std: as there.
      n_pairs: pairs evaluated; their values and gradients are averaged.
      vmap: whether all evaluations are computed side by side, which takes memory
        for each of them, or one after the other.

    Returns:
      A function as there. The auxiliary values are those of the first evaluation
      of the first pair.

    Raises:
      LoptError: as there, and if `n_pairs` is below 1.
    """
    check_at_least("n_pairs", n_pairs, 1)
    one_pair = antithetic_es_value_and_grad(loss_fn, has_aux, std, vmap=vmap)

    def estimate(
        x: Any, *args: Any, es_key: PRNGKey | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        def one(key: PRNGKey) -> tuple[Any, Any]:
            value, grad = one_pair(x, *args, es_key=key, **kwargs)
            return (value if has_aux else (value, None)), grad

        keys = jax.random.split(_required(es_key), n_pairs)
        over_keys = jax.vmap(one) if vmap else lambda k: jax.lax.map(one, k)
        (values, aux), grads = over_keys(keys)
        grad = jax.tree.map(lambda g: g.mean(0), grads)
        value = values.mean()
        first = jax.tree.map(lambda v: v[0], aux)
        return ((value, first) if has_aux else value), grad

    return estimate


def _required(es_key: PRNGKey | None) -> PRNGKey:
    if es_key is None:
        raise LoptError(
            "an estimate by evolution strategies draws: call it with es_key=, "
            "e.g. es_key=jax.random.key(0)."
        )
    return es_key


@_configurable
@dataclass(frozen=True, eq=False)
class ESTask(CustomGradientTask):
    """A task whose gradient is estimated by antithetic evolution strategies.

    The loss, the auxiliary values and the model state are those of the task at the
    parameters themselves, in training and in evaluation alike: the gradient alone is
    an estimate, and only a call that needs it evaluates perturbed parameters. All
    evaluations of a call share its batch, its model state and the random numbers of
    the loss, which has the call's key.

    Attributes:
      std: standard deviation of the perturbation.
      n_pairs: antithetic pairs per gradient.
    """

    std: float = 0.01
    n_pairs: int = 8

    def __post_init__(self) -> None:
        check_positive("std", self.std)
        check_at_least("n_pairs", self.n_pairs, 1)

    def gradient(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> Params:
        """Return the estimate of the gradient."""

        def loss_of(params: Params) -> jax.Array:
            return self.task.loss_with_state(params, state, key, data)[0]

        estimate = multi_antithetic_es_value_and_grad(
            loss_of, std=self.std, n_pairs=self.n_pairs
        )
        return estimate(params, es_key=jax.random.fold_in(key, _PERTURBATIONS))[1]


@_configurable
@dataclass(frozen=True)
class ESTaskFamily(WrappedTaskFamily):
    """`ESTask` of every task of a family."""

    std: float = 0.01
    n_pairs: int = 8
    _wrapper: ClassVar[type[WrappedTask]] = ESTask
