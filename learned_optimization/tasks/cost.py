"""What a step of a task costs: parameters and arithmetic of matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax.extend import core

from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.models.convolution import convolution_p, over_patches

# Loops whose trip count is not known before they run.
_DYNAMIC_LOOPS = ("while",)


@dataclass(frozen=True)
class Cost:
    """The size of a task.

    Attributes:
      num_params: numbers that are trained.
      flops: floating-point operations of the matrix products and convolutions
        in one loss and gradient on one batch, a multiplication and an addition
        counting two.
      convolution_flops: those of `flops` that convolutions take.
    """

    num_params: int
    flops: int
    convolution_flops: int = 0


def cost(task: Task) -> Cost:
    """Return the size of a task, known from shapes alone: nothing is computed.

    Args:
      task: a task whose model runs no loop of unknown length.

    Raises:
      NotImplementedError: if it runs one.
    """
    step = jax.value_and_grad(task.loss_with_state, has_aux=True)
    jaxpr = _traced(task, step)
    return Cost(num_params(task), _flops(jaxpr), _flops(jaxpr, only_convolutions=True))


def loss_flops(task: Task) -> int:
    """Return `Cost.flops` of one loss on one batch, without its gradient.

    Raises:
      NotImplementedError: as `cost`.
    """
    return _flops(_traced(task, task.loss_with_state))


def num_params(task: Task) -> int:
    """Return numbers that are trained."""
    params = jax.eval_shape(task.init, key_of_seed(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def _traced(task: Task, function: Callable[..., Any]) -> Any:
    key = key_of_seed(0)
    params, state = jax.eval_shape(task.init_with_state, key)
    batch = None if task.datasets is None else task.datasets.abstract_batch
    return jax.make_jaxpr(function)(params, state, key, batch).jaxpr


def _flops(jaxpr: Any, only_convolutions: bool = False) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in _DYNAMIC_LOOPS:
            raise NotImplementedError(f"the length of a {name!r} loop is not known.")
        if name == "dot_general" and not only_convolutions:
            total += _dot_flops(equation)
        elif name == "conv_general_dilated":
            total += _conv_flops(equation)
        elif equation.primitive is convolution_p:
            products = jax.make_jaxpr(partial(over_patches, **equation.params))
            total += _flops(products(*(v.aval for v in equation.invars)).jaxpr)
        times = equation.params.get("length", 1) if name == "scan" else 1
        total += times * sum(
            _flops(inner, only_convolutions) for inner in _inner_jaxprs(equation)
        )
    return total


def _inner_jaxprs(equation: Any) -> list[Any]:
    values = jax.tree.leaves(
        list(equation.params.values()),
        is_leaf=lambda v: isinstance(v, (core.Jaxpr, core.ClosedJaxpr)),
    )
    return [
        v.jaxpr if isinstance(v, core.ClosedJaxpr) else v
        for v in values
        if isinstance(v, (core.Jaxpr, core.ClosedJaxpr))
    ]


def _dot_flops(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    outputs = math.prod(equation.outvars[0].aval.shape)
    return 2 * outputs * math.prod(shape[axis] for axis in contracted)


def _conv_flops(equation: Any) -> int:
    kernel = equation.invars[1].aval.shape
    features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    outputs = math.prod(equation.outvars[0].aval.shape)
    return 2 * outputs * math.prod(kernel) // features
