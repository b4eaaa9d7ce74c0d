"""Adaptive methods after Adam: per-parameter rates from running averages."""

from __future__ import annotations

import optax
import optax.contrib

from learned_optimization.optimizers.optax_optimizer import (
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


@optax_optimizer
def AMSGrad(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    epsilon_root: Scalar = 0.0,
) -> optax.GradientTransformation:
    """AMSGrad, Adam with a second moment that never falls (Reddi et al. 2018, ICLR)."""
    return optax.amsgrad(
        learning_rate, b1=beta1, b2=beta2, eps=epsilon, eps_root=epsilon_root
    )


@optax_optimizer
def Adamax(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
) -> optax.GradientTransformation:
    """Adamax, Adam in the infinity norm (Kingma & Ba 2015, arXiv:1412.6980)."""
    return optax.adamax(learning_rate, b1=beta1, b2=beta2, eps=epsilon)


@optax_optimizer
def AdEMAMix(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    beta3: Scalar = 0.9999,
    alpha: Scalar = 5.0,
    epsilon: Scalar = 1e-8,
    epsilon_root: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """AdEMAMix, a fast and a slow momentum (Pagliardini et al. 2024, arXiv:2409.03137).

    `alpha`, the share of the slow one, and `beta3` are constant, without the
    paper's optional warm-up.
    """
    return optax.contrib.ademamix(
        learning_rate,
        b1=beta1,
        b2=beta2,
        b3=beta3,
        alpha=alpha,
        eps=epsilon,
        eps_root=epsilon_root,
        weight_decay=weight_decay,
    )


@optax_optimizer
def MADGRAD(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: Scalar = 0.9,
    weight_decay: Scalar = 0.0,
    epsilon: Scalar = 1e-6,
) -> optax.GradientTransformation:
    """MADGRAD, momentumized dual averaging (Defazio & Jelassi 2022, JMLR 23)."""
    return optax.contrib.madgrad(
        learning_rate,
        momentum=momentum,  # pyright: ignore[reportArgumentType]
        weight_decay=weight_decay,  # pyright: ignore[reportArgumentType]
        eps=epsilon,  # pyright: ignore[reportArgumentType]
    )


@optax_optimizer
def NovoGrad(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.25,
    epsilon: Scalar = 1e-6,
    epsilon_root: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """NovoGrad, a second moment per layer (Ginsburg et al. 2019, arXiv:1905.11286)."""
    return optax.novograd(
        learning_rate,
        b1=beta1,
        b2=beta2,
        eps=epsilon,
        eps_root=epsilon_root,
        weight_decay=weight_decay,
    )
