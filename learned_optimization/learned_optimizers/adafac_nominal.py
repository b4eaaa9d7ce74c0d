"""MLPNomLOpt: AdafacMLPLOpt's network beside a nominal step and a decay of weights."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.accumulators import Accumulators
from learned_optimization.learned_optimizers.adafac import AdafacLOpt
from learned_optimization.learned_optimizers.base import (
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.optimizers.base import Scalar

__all__ = ["MLPNomLOpt"]

ESTIMATORS = ("SGD", "SGDM", "AggMo", "Adam", "AdamAggMo")
"""What the nominal step may follow: the gradient, or averages of it."""


@learned_optimizer
class MLPNomLOpt(AdafacLOpt):
    """A network per parameter beside a nominal step (Harrison et al. 2022).

    The network is `AdafacMLPLOpt`'s with four outputs: a direction `d`, a magnitude
    `a`, `n` for the nominal step, which is 1 without `nominal_controller`, and `r` for
    the decay of weights, which is 0 without `regularization_controller`. With
    `exp_mult = (e0, e1, e2)` a parameter becomes

        p (1 - weight_decay exp(e2 r)) - step_mult d exp(e0 a)
        - nominal_stepsize exp(e1 n) G

    where `G`, as `nominal_grad_estimator` says, is the gradient (`SGD`), the momentum
    of the last decay (`SGDM`), the mean of all momenta (`AggMo`), or one of the two
    over the root of the average of squares (`Adam`, `AdamAggMo`). arXiv:2209.11208.

    Attributes:
      aggregate_magnitude: whether `a` is its mean over the tensor.
      aggregate_nom_magnitude: whether `n` is.
      aggregate_reg_magnitude: whether `r` is.
      normalize_blackbox: whether the network's step is multiplied by
        `rsqrt(v + 1e-6)`, v being the first average of squares.
      selfnormalize_blackbox: whether it is multiplied by the mean of the gradient over
        the tensor.
    """

    num_outputs: ClassVar[int] = 4

    exp_mult: tuple[float, float, float] = static_field(default=(0.001, 0.001, 0.001))
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
    nominal_stepsize: Scalar = hparam(default=0.0)
    weight_decay: Scalar = hparam(default=0.0)
    concat_weights: bool = static_field(default=True)
    make_separate_weights: bool = static_field(default=False)
    split_weights: bool = static_field(default=False)
    nominal_controller: bool = static_field(default=False)
    regularization_controller: bool = static_field(default=False)
    nominal_grad_estimator: str = static_field(default="AdamAggMo")
    aggregate_magnitude: bool = static_field(default=False)
    aggregate_nom_magnitude: bool = static_field(default=False)
    aggregate_reg_magnitude: bool = static_field(default=False)
    normalize_blackbox: bool = static_field(default=False)
    selfnormalize_blackbox: bool = static_field(default=False)

    def __post_init__(self) -> None:
        """Check the numbers of decays and the name of the nominal step."""
        super().__post_init__()
        if self.nominal_grad_estimator not in ESTIMATORS:
            raise LoptError(
                "MLPNomLOpt.nominal_grad_estimator must be one of "
                f"{', '.join(ESTIMATORS)}, got {self.nominal_grad_estimator!r}."
            )

    def stepped(
        self, outputs: jax.Array, param: jax.Array, grad: jax.Array, acc: Accumulators
    ) -> jax.Array:
        """Return a tensor after one step; see `AdafacLOpt`."""
        direction, magnitude, nominal, decay = outputs
        if not self.nominal_controller:
            nominal = jnp.ones([])
        if not self.regularization_controller:
            decay = jnp.zeros([])
        if self.aggregate_magnitude:
            magnitude = jnp.mean(magnitude)
        if self.aggregate_nom_magnitude:
            nominal = jnp.mean(nominal)
        if self.aggregate_reg_magnitude:
            decay = jnp.mean(decay)
        of_magnitude, of_nominal, of_decay = self.exp_mult
        step = direction * jnp.exp(magnitude * of_magnitude) * self.step_mult
        if self.normalize_blackbox:
            step = step * jax.lax.rsqrt(acc.rms[0] + 1e-6)
        if self.selfnormalize_blackbox:
            step = step * jnp.mean(grad)
        size = self.nominal_stepsize * jnp.exp(nominal * of_nominal)
        kept = 1 - self.weight_decay * jnp.exp(decay * of_decay)
        return kept * param - step - size * self._nominal_direction(grad, acc)

    def _nominal_direction(self, grad: jax.Array, acc: Accumulators) -> jax.Array:
        match self.nominal_grad_estimator:
            case "SGD":
                return grad
            case "SGDM":
                return acc.momentum[-1]
            case "AggMo":
                return jnp.mean(acc.momentum, 0)
        scaled = acc.momentum * jax.lax.rsqrt(acc.rms + 1e-6)
        is_adam = self.nominal_grad_estimator == "Adam"
        return scaled[-1] if is_adam else jnp.mean(scaled, 0)
