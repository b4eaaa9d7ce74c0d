"""Optimizers that use curvature: they ask for the loss as a function."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    Params,
    PRNGKey,
    Scalar,
    hparam,
    optimizer,
    static_field,
)
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    ScalarOrSchedule,
    optax_optimizer,
)


def _hutchinson() -> optax.GradientTransformationExtraArgs:
    """Estimate the diagonal of the Hessian (Hutchinson), from the step's key."""

    def update(
        updates: Gradient,
        state: optax.EmptyState,
        params: Params | None = None,
        *,
        value_fn: LossFn,
        key: PRNGKey,
        **extra: Any,
    ) -> tuple[Gradient, optax.EmptyState]:
        del updates, extra
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        signs = jax.tree.unflatten(
            structure,
            [
                jax.random.rademacher(k, jnp.shape(p), jnp.result_type(p))
                for k, p in zip(keys, leaves, strict=True)
            ],
        )
        product = jax.jvp(jax.grad(value_fn), (params,), (signs,))[1]
        return jax.tree.map(jnp.multiply, product, signs), state

    return optax.GradientTransformationExtraArgs(
        optax.init_empty_state, cast("Any", update)
    )


@optax_optimizer(needs=("loss_fn", "key"))
def Sophia(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.965,
    beta2: Scalar = 0.99,
    epsilon: Scalar = 1e-8,
    gamma: Scalar = 0.01,
    clip_threshold: Scalar | None = 1.0,
    update_interval: int = 10,
    weight_decay: Scalar = 1e-4,
) -> optax.GradientTransformation:
    """Sophia-H, steps clipped by curvature (Liu et al. 2023, arXiv:2305.14342).

    The diagonal is estimated with random signs (Hutchinson) on the step's own
    batch, every `update_interval` steps, and used from the next step on: without a
    `clip_threshold` the first step is the gradient divided by `epsilon`.
    """
    return optax.contrib.sophia(
        learning_rate,
        b1=beta1,
        b2=beta2,
        eps=epsilon,
        gamma=gamma,
        clip_threshold=clip_threshold,
        update_interval=update_interval,
        weight_decay=weight_decay,
        hessian_diagonal_fn=_hutchinson(),
    )


@optimizer
class LBFGS(OptaxOptimizer):
    """L-BFGS (Liu & Nocedal 1989), with a zoom line search unless a rate is given.

    The line search evaluates the loss of the step's batch, so it finds a minimum
    where the task is deterministic; elsewhere it goes where one batch leads. With
    a `learning_rate` there is none, and no loss is asked for.
    """

    learning_rate: ScalarOrSchedule | None = hparam(default=None, short="lr")
    memory_size: int = static_field(default=10, short="mem")
    max_linesearch_steps: int = static_field(default=20, short="linesearch")

    @property
    def needs(self) -> frozenset[str]:
        """The loss, as a value and as a function, for the line search."""
        return frozenset({"loss", "loss_fn"} if self.learning_rate is None else ())

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        search = optax.scale_by_zoom_linesearch(
            self.max_linesearch_steps, initial_guess_strategy="one"
        )
        return optax.lbfgs(
            self.learning_rate,
            memory_size=self.memory_size,
            linesearch=search if self.learning_rate is None else None,
        )
