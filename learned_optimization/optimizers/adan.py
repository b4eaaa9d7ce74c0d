"""Adan: Adam on the gradient as it will be at the point ahead."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from learned_optimization.optimizers.base import Gradient, Params
from learned_optimization.optimizers.optax_optimizer import (
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


@flax.struct.dataclass
class AdanState:
    """State of Adan.

    Attributes:
      count: int32 scalar, the number of updates done.
      gradient: the last gradient.
      first: average of the gradients.
      difference: average of their differences.
      second: average of the squared gradients ahead.
    """

    count: jax.Array
    gradient: Any
    first: Any
    difference: Any
    second: Any


# Not `optax.adan`, which (0.2.8 at least) weights differences by one minus the
# paper's weight.
def _scale_by_adan(
    beta1: Scalar, beta2: Scalar, beta3: Scalar, epsilon: Scalar, epsilon_root: Scalar
) -> optax.GradientTransformation:
    def init(params: Params) -> AdanState:
        zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(4)]
        return AdanState(jnp.zeros([], jnp.int32), *zeros)

    def update(
        grad: Gradient, state: AdanState, params: Params | None = None
    ) -> tuple[Gradient, AdanState]:
        del params
        count = state.count + 1

        def average(decay: Scalar, old: Any, new: Any) -> tuple[Any, Any]:
            """Return a running average, and the same corrected for its start."""
            value = jax.tree.map(lambda o, n: decay * o + (1 - decay) * n, old, new)
            return value, jax.tree.map(lambda v: v / (1 - decay**count), value)

        # There is no difference at the first step.
        change = jax.tree.map(
            lambda g, last: jnp.where(count == 1, 0.0, g - last), grad, state.gradient
        )
        ahead = jax.tree.map(lambda g, d: (g + beta2 * d) ** 2, grad, change)
        first, mean = average(beta1, state.first, grad)
        difference, mean_change = average(beta2, state.difference, change)
        second, mean_square = average(beta3, state.second, ahead)
        direction = jax.tree.map(
            lambda m, v, n: (m + beta2 * v) / (jnp.sqrt(n + epsilon_root) + epsilon),
            mean,
            mean_change,
            mean_square,
        )
        return direction, AdanState(count, grad, first, difference, second)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


@optax_optimizer
def Adan(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.98,
    beta2: Scalar = 0.92,
    beta3: Scalar = 0.99,
    epsilon: Scalar = 1e-8,
    epsilon_root: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """Adan, adaptive Nesterov momentum (Xie et al. 2022, arXiv:2208.06677).

    The betas are one minus the paper's. Averages are corrected for their start, as
    in the authors' program; the decay is added to the step.
    """
    return optax.chain(
        _scale_by_adan(beta1, beta2, beta3, epsilon, epsilon_root),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )
