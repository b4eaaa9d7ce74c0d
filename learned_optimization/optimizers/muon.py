"""Muon: momentum whose matrices are made orthogonal."""

from __future__ import annotations

from typing import Any

import jax
import optax
import optax.contrib

from learned_optimization.optimizers.base import Params
from learned_optimization.optimizers.optax_optimizer import (
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


def _matrices(params: Params) -> Any:
    """Return which axes of a parameter are the rows and columns of a matrix, if any.

    A convolution's kernel `[height, width, in, out]` is a matrix from all that a
    window sees to the channels out.
    """
    shapes = {
        2: optax.contrib.MuonDimensionNumbers(0, 1),
        4: optax.contrib.MuonDimensionNumbers((0, 1, 2), 3),
    }
    return jax.tree.map(lambda p: shapes.get(p.ndim), params)


@optax_optimizer
def Muon(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: Scalar = 0.95,
    newton_schulz_steps: int = 5,
    epsilon: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    nesterov: bool = True,
    consistent_rms: Scalar | None = None,
    adam_beta1: Scalar = 0.9,
    adam_beta2: Scalar = 0.999,
    adam_epsilon_root: Scalar = 0.0,
    adam_weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """Muon, orthogonalized momentum of matrices (Jordan et al. 2024), else Adam.

    Matrices and the kernels of convolutions are stepped by Muon, biases and scales
    by Adam (with `nesterov`, by NAdam) with the same learning rate. A matrix
    `[in, out]` steps by `sqrt(max(1, out / in))` times an orthogonal one;
    `consistent_rms`, if given, by that root mean square instead, whatever the shape
    (0.2 matches Adam's; Liu et al. 2025, arXiv:2502.16982).
    """
    return optax.contrib.muon(
        learning_rate,
        ns_steps=newton_schulz_steps,
        beta=momentum,
        eps=epsilon,
        weight_decay=weight_decay,
        nesterov=nesterov,
        adam_b1=adam_beta1,
        adam_b2=adam_beta2,
        adam_eps_root=adam_epsilon_root,
        adam_weight_decay=adam_weight_decay,
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=consistent_rms,
    )
