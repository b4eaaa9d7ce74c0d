"""Hand-made optimizers whose hyper-parameters are learned."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    Optimizer,
    PRNGKey,
    hparam,
    learned_optimizer,
    one_minus_log,
    static_field,
)
from learned_optimization.optimizers.base import Scalar
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam

__all__ = ["LearnableAdam", "LearnableSGD", "LearnableSGDM"]


def _log(x: Scalar) -> Any:
    return jnp.log(jnp.asarray(x, jnp.float32))


@learned_optimizer
class LearnableSGD(LearnedOptimizer):
    """SGD with a learned learning rate, held as its logarithm."""

    initial_lr: Scalar = hparam(default=0.01)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return the logarithm of the initial learning rate."""
        del key
        return {"log_lr": _log(self.initial_lr)}

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        """Return SGD with the learned learning rate."""
        del is_training
        return SGD(learning_rate=jnp.exp(theta["log_lr"]))


@learned_optimizer
class LearnableSGDM(LearnedOptimizer):
    """SGD with momentum: `log(rate)` and `log(1 - momentum)` are learned."""

    initial_lr: Scalar = hparam(default=0.01)
    initial_momentum: Scalar = hparam(default=0.9)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return the initial learning rate and momentum, transformed."""
        del key
        return {
            "log_lr": _log(self.initial_lr),
            "one_minus_momentum": one_minus_log(self.initial_momentum),
        }

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        """Return SGDM with what is learned."""
        del is_training
        return SGDM(
            learning_rate=jnp.exp(theta["log_lr"]),
            momentum=1 - jnp.exp(theta["one_minus_momentum"]),
        )


@learned_optimizer
class LearnableAdam(LearnedOptimizer):
    """Adam whose four hyper-parameters are learned, betas as `log(1 - beta)`.

    `use_summary` is of the published interface; there are no summaries here, and it
    changes nothing.
    """

    initial_lr: Scalar = hparam(default=1e-3)
    initial_beta1: Scalar = hparam(default=0.9)
    initial_beta2: Scalar = hparam(default=0.999)
    initial_epsilon: Scalar = hparam(default=1e-8)
    use_summary: bool = static_field(default=True)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return the initial hyper-parameters, transformed."""
        del key
        return {
            "log_lr": _log(self.initial_lr),
            "one_minus_beta1": one_minus_log(self.initial_beta1),
            "one_minus_beta2": one_minus_log(self.initial_beta2),
            "log_epsilon": _log(self.initial_epsilon),
        }

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        """Return Adam with what is learned."""
        del is_training
        return Adam(
            learning_rate=jnp.exp(theta["log_lr"]),
            beta1=1 - jnp.exp(theta["one_minus_beta1"]),
            beta2=1 - jnp.exp(theta["one_minus_beta2"]),
            epsilon=jnp.exp(theta["log_epsilon"]),
        )
