"""AdafacMLPLOpt: a small network per parameter, of Adafactor's features."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.accumulators import Accumulators
from learned_optimization.learned_optimizers.adafac import AdafacLOpt
from learned_optimization.learned_optimizers.base import (
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.optimizers.base import Scalar

__all__ = ["AdafacMLPLOpt"]


@learned_optimizer
class AdafacMLPLOpt(AdafacLOpt):
    """`small_fc_lopt` (Metz et al. 2022, arXiv:2203.11860): a network per parameter.

    The network reads 28 features, momenta and averages of squares with learned decays,
    rows and columns of Adafactor's averages among them, each divided by its root mean
    square over the tensor, and eleven of the number of updates done. From its outputs
    `d` and `a` the step is `step_mult d exp(exp_mult a)`.

    `concat_weights=False` with `make_separate_weights` holds weights as scalars;
    `split_weights` changes nothing.
    """

    num_outputs: ClassVar[int] = 2

    exp_mult: Scalar = hparam(default=0.001)
    step_mult: Scalar = hparam(default=0.001)
    hidden_size: int = static_field(default=4)
    hidden_layers: int = static_field(default=2)
    initial_momentum_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    initial_rms_decays: tuple[float, ...] = static_field(default=(0.999,))
    initial_adafactor_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    concat_weights: bool = static_field(default=True)
    make_separate_weights: bool = static_field(default=False)
    split_weights: bool = static_field(default=False)

    def stepped(
        self, outputs: jax.Array, param: jax.Array, grad: jax.Array, acc: Accumulators
    ) -> jax.Array:
        """Return a tensor after one step; see `AdafacLOpt`."""
        del grad, acc
        direction, magnitude = outputs
        return param - direction * jnp.exp(magnitude * self.exp_mult) * self.step_mult
