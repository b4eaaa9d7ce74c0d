"""Optimizers that find their own step size.

Their `learning_rate` multiplies that step size: keep it at 1, or give a schedule that
starts at 1, unless there is a reason for another value.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from learned_optimization.optimizers.leaves import in_one_type
from learned_optimization.optimizers.optax_optimizer import (
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


def _from_first_gradient(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """Return a transformation that waits for a gradient that is not zero.

    The estimate divides by a norm of the gradients so far: 0 / 0 until there is one.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        new = transformation.update(updates, state, params)
        moves = [jnp.any(g != 0) for g in jax.tree.leaves(updates)]
        waits = (state.count == 0) & ~jnp.any(jnp.asarray(moves, bool))
        before = jax.tree.map(jnp.zeros_like, updates), state
        return jax.tree.map(lambda o, n: jnp.where(waits, o, n), before, new)

    return in_one_type(optax.GradientTransformation(transformation.init, update))


@optax_optimizer
def Prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    initial_estimate: Scalar = 1e-6,
    estimate_coefficient: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    safeguard_warmup: bool = False,
) -> optax.GradientTransformation:
    """Prodigy, Adam that finds its rate (Mishchenko & Defazio 2024, arXiv:2306.06101).

    `estimate_coefficient` scales the estimate: the one number its authors tune.
    """
    return _from_first_gradient(
        optax.contrib.prodigy(
            learning_rate,
            betas=(beta1, beta2),
            eps=epsilon,
            estim_lr0=initial_estimate,
            estim_lr_coef=estimate_coefficient,
            weight_decay=weight_decay,
            safeguard_warmup=safeguard_warmup,
        )
    )


@optax_optimizer
def DAdaptAdamW(
    learning_rate: ScalarOrSchedule = 1.0,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    initial_estimate: Scalar = 1e-6,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """AdamW with D-adaptation (Defazio & Mishchenko 2023, arXiv:2301.07733)."""
    return _from_first_gradient(
        optax.contrib.dadapt_adamw(
            learning_rate,
            betas=(beta1, beta2),
            eps=epsilon,
            estim_lr0=initial_estimate,
            weight_decay=weight_decay,
        )
    )


@optax_optimizer
def DoG(
    learning_rate: ScalarOrSchedule = 1.0,
    initial_distance: Scalar = 1e-6,
    epsilon: Scalar = 1e-8,
    weight_decay: Scalar | None = None,
) -> optax.GradientTransformation:
    """DoG, distance over gradients (Ivgi et al. 2023, arXiv:2302.12022).

    The first step has length `initial_distance * (1 + |params|)`. The last
    iterate is evaluated, not the average the authors recommend.
    """
    return in_one_type(
        optax.contrib.dog(
            learning_rate,
            init_step=("heuristic", initial_distance),
            eps=epsilon,
            weight_decay=weight_decay,
        )
    )


@optax_optimizer
def DoWG(
    learning_rate: ScalarOrSchedule = 1.0,
    initial_squared_distance: Scalar | None = None,
    epsilon: Scalar = 1e-4,
    weight_decay: Scalar | None = None,
) -> optax.GradientTransformation:
    """DoWG, distance over weighted gradients (Khaled et al. 2023, arXiv:2305.16284).

    `initial_squared_distance=None` starts from `epsilon`, as optax does.
    """
    return in_one_type(
        optax.contrib.dowg(
            learning_rate,
            init_estim_sq_dist=initial_squared_distance,
            eps=epsilon,
            weight_decay=weight_decay,
        )
    )
