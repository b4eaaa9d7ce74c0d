"""The classic optimizers, each one of optax's under its published defaults."""

from __future__ import annotations

import optax

from learned_optimization.optimizers.base import Scalar, hparam, static_field
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer as OptaxOptimizer,
)
from learned_optimization.optimizers.optax_optimizer import OptaxState as OptaxState
from learned_optimization.optimizers.optax_optimizer import (
    ScalarOrSchedule,
    optax_optimizer,
    scalars_as_vectors,
)
from learned_optimization.optimizers.piecewise import as_points
from learned_optimization.optimizers.piecewise import (
    piecewise_linear as piecewise_linear,
)

__all__ = [
    "SGD",
    "SGDM",
    "SM3",
    "AdaBelief",
    "AdaGrad",
    "Adafactor",
    "Adam",
    "AdamW",
    "Fromage",
    "Lamb",
    "Lars",
    "OptaxOptimizer",
    "OptaxState",
    "PiecewiseLinearAdam",
    "RAdam",
    "RMSProp",
    "SM3OptState",
    "Yogi",
    "piecewise_linear",
]

SM3OptState = OptaxState
"""The state of `SM3`, as the published interface calls it."""

_MASK = (
    "a mask is a function of the parameters' names, which a setting cannot hold; write "
    "an optimizer of your own with @optax_optimizer"
)
_CALLED_B = {
    "beta1": "it is called b1",
    "beta2": "it is called b2",
    "epsilon": "it is called eps",
    "epsilon_root": "it is called eps_root",
}


@optax_optimizer
def SGD(learning_rate: ScalarOrSchedule = 0.01) -> optax.GradientTransformation:
    """Stochastic gradient descent (Robbins & Monro 1951)."""
    return optax.sgd(learning_rate)


@optax_optimizer
def SGDM(
    learning_rate: ScalarOrSchedule = 0.01, momentum: Scalar = 0.9
) -> optax.GradientTransformation:
    """Gradient descent with heavy-ball momentum (Polyak 1964)."""
    return optax.sgd(learning_rate, momentum)


@optax_optimizer
def Adam(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    epsilon_root: Scalar = 1e-8,
) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980)."""
    return optax.adam(learning_rate, beta1, beta2, epsilon, epsilon_root)


class _WithPoints(OptaxOptimizer):
    """An optimizer whose learning rate goes from point to point: `times`, `lrs`."""

    def __post_init__(self) -> None:
        """Check the points and make tuples of lists; see `as_points`."""
        as_points(self, "times", "lrs")


@optax_optimizer(base=_WithPoints)
def PiecewiseLinearAdam(
    times: tuple[Scalar, ...] | list[Scalar] = hparam(default=(10_000, 20_000)),
    lrs: tuple[Scalar, ...] | list[Scalar] = hparam(default=(1e-4, 1e-5)),
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    epsilon_root: Scalar = 1e-8,
) -> optax.GradientTransformation:
    """Adam, learning rates between points on straight lines (Kingma & Ba 2015).

    The learning rate is `lrs[i]` at step `times[i]`, and level before the first of
    these points and after the last.
    """
    learning_rate = piecewise_linear(times, lrs)
    return optax.adam(learning_rate, beta1, beta2, epsilon, epsilon_root)


@optax_optimizer
def RMSProp(
    learning_rate: ScalarOrSchedule = 0.01,
    decay: Scalar = hparam(default=0.9, short="d"),
    epsilon: Scalar = 1e-8,
    momentum: Scalar | None = 0.0,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """RMSProp (Tieleman & Hinton 2012), with momentum where it is given.

    The update is divided by `sqrt(nu + epsilon)`. `momentum=None` steps as 0 does,
    without a buffer for it.
    """
    return optax.rmsprop(
        learning_rate, decay, epsilon, momentum=momentum, nesterov=nesterov
    )


@optax_optimizer(not_supported=_CALLED_B)
def AdaBelief(
    learning_rate: ScalarOrSchedule = 0.01,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-16,
    eps_root: Scalar = hparam(default=1e-16, short="epsroot"),
) -> optax.GradientTransformation:
    """AdaBelief (Zhuang et al. 2020, arXiv:2010.07468)."""
    return optax.adabelief(learning_rate, b1, b2, eps, eps_root)


@optax_optimizer(
    not_supported={
        **_CALLED_B,
        "mask": _MASK,
        "mu_dtype": "moments have the parameters' type",
    }
)
def AdamW(
    learning_rate: ScalarOrSchedule = 0.01,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = hparam(default=0.0, short="epsroot"),
    weight_decay: Scalar = 1e-4,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
    return optax.adamw(learning_rate, b1, b2, eps, eps_root, weight_decay=weight_decay)


@optax_optimizer(
    not_supported={
        "epsilon": "it is called eps",
        "dtype_momentum": "momentum is float32, the published default",
        "weight_decay_mask": _MASK,
    }
)
def Adafactor(
    learning_rate: ScalarOrSchedule = 0.01,
    min_dim_size_to_factor: int = static_field(default=128, short="mindim"),
    decay_rate: Scalar = hparam(default=0.8, short="d"),
    decay_offset: Scalar = hparam(default=0, short="doff"),
    multiply_by_parameter_scale: bool = static_field(default=True, short="pscale"),
    clipping_threshold: Scalar | None = hparam(default=1.0, short="clip"),
    momentum: Scalar | None = None,
    weight_decay_rate: Scalar | None = hparam(default=None, short="wd"),
    eps: Scalar = 1e-30,
    factored: bool = static_field(default=True, short="fact"),
) -> optax.GradientTransformation:
    """Adafactor (Shazeer & Stern 2018, arXiv:1804.04235), defaults as in optax.

    `None` for `clipping_threshold`, `momentum` or `weight_decay_rate` leaves
    that part out.
    """
    return optax.adafactor(
        learning_rate,
        min_dim_size_to_factor,
        decay_rate,
        decay_offset,
        multiply_by_parameter_scale,
        clipping_threshold,
        momentum,
        weight_decay_rate=weight_decay_rate,
        eps=eps,
        factored=factored,
    )


@optax_optimizer(not_supported={"epsilon": "it is called eps"})
def AdaGrad(
    learning_rate: ScalarOrSchedule = 0.01,
    initial_accumulator_value: Scalar = hparam(default=0.1, short="acc"),
    eps: Scalar = 1e-7,
) -> optax.GradientTransformation:
    """AdaGrad (Duchi et al. 2011, JMLR 12:2121-2159)."""
    return optax.adagrad(learning_rate, initial_accumulator_value, eps)


@optax_optimizer
def Fromage(
    learning_rate: ScalarOrSchedule = 0.01,
    min_norm: Scalar = hparam(default=1e-6, short="minnorm"),
) -> optax.GradientTransformation:
    """Fromage (Bernstein et al. 2020, arXiv:2002.03432)."""
    return optax.fromage(learning_rate, min_norm)


@optax_optimizer(not_supported={**_CALLED_B, "mask": _MASK})
def Lamb(
    learning_rate: ScalarOrSchedule = 0.01,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = hparam(default=0.0, short="epsroot"),
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    """LAMB (You et al. 2020, arXiv:1904.00962)."""
    return optax.lamb(learning_rate, b1, b2, eps, eps_root, weight_decay)


@optax_optimizer(
    not_supported={
        "epsilon": "it is called eps",
        "weight_decay_mask": _MASK,
        "trust_ratio_mask": _MASK,
        "min_norm": "the published optimizer never uses it; leave it out",
    }
)
def Lars(
    learning_rate: ScalarOrSchedule = 0.01,
    weight_decay: Scalar = 0.0,
    trust_coefficient: Scalar = hparam(default=0.001, short="trust"),
    eps: Scalar = 0.0,
    momentum: Scalar = 0.9,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """LARS (You et al. 2017, arXiv:1708.03888)."""
    return optax.lars(
        learning_rate,
        weight_decay,
        trust_coefficient=trust_coefficient,
        eps=eps,
        momentum=momentum,
        nesterov=nesterov,
    )


@optax_optimizer(not_supported=_CALLED_B)
def RAdam(
    learning_rate: ScalarOrSchedule = 0.01,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = hparam(default=0.0, short="epsroot"),
    threshold: Scalar = 5.0,
) -> optax.GradientTransformation:
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265)."""
    return optax.radam(learning_rate, b1, b2, eps, eps_root, threshold)


@optax_optimizer(
    not_supported={"beta2": "it is called b2", "epsilon": "it is called eps"}
)
def SM3(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: Scalar = 0.9,
    b2: float = static_field(default=1.0),
    eps: Scalar = 1e-8,
) -> optax.GradientTransformation:
    """SM3 (Anil et al. 2019, arXiv:1901.11150).

    `b2 = 1` accumulates squared gradients as the paper does; below 1 they
    are averaged. It decides the form of the program, so it cannot be traced.
    """
    return optax.chain(
        scalars_as_vectors(optax.scale_by_sm3(momentum, b2, eps)),
        optax.scale_by_learning_rate(learning_rate),
    )


@optax_optimizer(not_supported=_CALLED_B)
def Yogi(
    learning_rate: ScalarOrSchedule = 0.01,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-3,
) -> optax.GradientTransformation:
    """Yogi (Zaheer et al. 2018, NeurIPS)."""
    return optax.yogi(learning_rate, b1, b2, eps)
