"""Steps of the same size in every coordinate: the sign of a momentum."""

from __future__ import annotations

import optax

from learned_optimization.optimizers.optax_optimizer import (
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


@optax_optimizer
def Signum(
    learning_rate: ScalarOrSchedule = 0.01, momentum: Scalar = 0.9
) -> optax.GradientTransformation:
    """Signum, the sign of a momentum (Bernstein et al. 2018, arXiv:1802.04434)."""
    return optax.signum(learning_rate, beta=momentum)


@optax_optimizer
def Lion(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.99,
    weight_decay: Scalar = 1e-3,
) -> optax.GradientTransformation:
    """Lion, the sign of two momenta mixed (Chen et al. 2023, arXiv:2302.06675)."""
    return optax.lion(learning_rate, b1=beta1, b2=beta2, weight_decay=weight_decay)
