"""The classic optimizers, each one of optax's under its published defaults."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from learned_optimization.optimizers.base import (
    Gradient,
    Params,
    Scalar,
    hparam,
    optimizer,
    static_field,
)
from learned_optimization.optimizers.learning_rate_schedules import (
    as_points,
)
from learned_optimization.optimizers.learning_rate_schedules import (
    piecewise_linear as piecewise_linear,
)
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer as OptaxOptimizer,
)
from learned_optimization.optimizers.optax_optimizer import (
    OptaxState as OptaxState,
)
from learned_optimization.optimizers.optax_optimizer import (
    ScalarOrSchedule,
)

# The state that published code names so.
SM3OptState = OptaxState

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


def adam_moments(opt: Any) -> dict[str, Any]:
    """Return what Adam's relatives with Adam's parameter names give optax."""
    return {
        "b1": opt.beta1,
        "b2": opt.beta2,
        "eps": opt.epsilon,
        "eps_root": opt.epsilon_root,
    }


def _moments(opt: Any) -> dict[str, Any]:
    names = ("b1", "b2", "eps", "eps_root")
    return {name: getattr(opt, name) for name in names}


@optimizer
class SGD(OptaxOptimizer):
    """Stochastic gradient descent (Robbins & Monro 1951)."""

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.sgd(self.learning_rate)


@optimizer
class SGDM(OptaxOptimizer):
    """Gradient descent with heavy-ball momentum (Polyak 1964)."""

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    momentum: Scalar = hparam(default=0.9, short="m")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.sgd(self.learning_rate, momentum=self.momentum)


@optimizer
class Adam(OptaxOptimizer):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980)."""

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    epsilon_root: Scalar = hparam(default=1e-8, short="epsroot")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adam(self.learning_rate, **adam_moments(self))


@optimizer
class PiecewiseLinearAdam(OptaxOptimizer):
    """Adam, learning rates between points on straight lines (Kingma & Ba 2015).

    Attributes:
      times: the steps of the points, increasing.
      lrs: the learning rates there, as many; level before the first and after the
        last point.
    """

    times: tuple[Scalar, ...] = hparam(default=(10_000, 20_000), short="times")
    lrs: tuple[Scalar, ...] = hparam(default=(1e-4, 1e-5), short="lrs")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    epsilon_root: Scalar = hparam(default=1e-8, short="epsroot")

    def __post_init__(self) -> None:
        """Check the points.

        Raises:
          LoptError: if they are none, or not as many steps as rates.
        """
        as_points(self, "times", "lrs")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adam(piecewise_linear(self.times, self.lrs), **adam_moments(self))


@optimizer
class RMSProp(OptaxOptimizer):
    """RMSProp (Tieleman & Hinton 2012), with momentum where it is given.

    The update is divided by `sqrt(nu + epsilon)`. `momentum=None` steps as 0 does,
    without a buffer for it.
    """

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    decay: Scalar = hparam(default=0.9, short="d")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    momentum: Scalar | None = hparam(default=0.0, short="m")
    nesterov: bool = static_field(default=False, short="nesterov")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.rmsprop(
            self.learning_rate,
            decay=self.decay,
            eps=self.epsilon,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )


@optimizer
class AdaBelief(OptaxOptimizer):
    """AdaBelief (Zhuang et al. 2020, arXiv:2010.07468)."""

    not_supported: ClassVar = _CALLED_B

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    b1: Scalar = hparam(default=0.9, short="b1")
    b2: Scalar = hparam(default=0.999, short="b2")
    eps: Scalar = hparam(default=1e-16, short="eps")
    eps_root: Scalar = hparam(default=1e-16, short="epsroot")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adabelief(self.learning_rate, **_moments(self))


@optimizer
class AdamW(OptaxOptimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    not_supported: ClassVar = {
        **_CALLED_B,
        "mask": _MASK,
        "mu_dtype": "moments have the parameters' type",
    }

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    b1: Scalar = hparam(default=0.9, short="b1")
    b2: Scalar = hparam(default=0.999, short="b2")
    eps: Scalar = hparam(default=1e-8, short="eps")
    eps_root: Scalar = hparam(default=0.0, short="epsroot")
    weight_decay: Scalar = hparam(default=1e-4, short="wd")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adamw(
            self.learning_rate, **_moments(self), weight_decay=self.weight_decay
        )


@optimizer
class Adafactor(OptaxOptimizer):
    """Adafactor (Shazeer & Stern 2018, arXiv:1804.04235), defaults as in optax.

    `None` for `clipping_threshold`, `momentum` or `weight_decay_rate` leaves
    that part out.
    """

    not_supported: ClassVar = {
        "epsilon": "it is called eps",
        "dtype_momentum": "momentum is float32, the published default",
        "weight_decay_mask": _MASK,
    }

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    min_dim_size_to_factor: int = static_field(default=128, short="mindim")
    decay_rate: Scalar = hparam(default=0.8, short="d")
    decay_offset: Scalar = hparam(default=0, short="doff")
    multiply_by_parameter_scale: bool = static_field(default=True, short="pscale")
    clipping_threshold: Scalar | None = hparam(default=1.0, short="clip")
    momentum: Scalar | None = hparam(default=None, short="m")
    weight_decay_rate: Scalar | None = hparam(default=None, short="wd")
    eps: Scalar = hparam(default=1e-30, short="eps")
    factored: bool = static_field(default=True, short="fact")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adafactor(
            self.learning_rate,
            min_dim_size_to_factor=self.min_dim_size_to_factor,
            decay_rate=self.decay_rate,
            decay_offset=self.decay_offset,
            multiply_by_parameter_scale=self.multiply_by_parameter_scale,
            clipping_threshold=self.clipping_threshold,
            momentum=self.momentum,
            weight_decay_rate=self.weight_decay_rate,
            eps=self.eps,
            factored=self.factored,
        )


@optimizer
class AdaGrad(OptaxOptimizer):
    """AdaGrad (Duchi et al. 2011, JMLR 12:2121-2159)."""

    not_supported: ClassVar = {"epsilon": "it is called eps"}

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    initial_accumulator_value: Scalar = hparam(default=0.1, short="acc")
    eps: Scalar = hparam(default=1e-7, short="eps")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.adagrad(
            self.learning_rate,
            initial_accumulator_value=self.initial_accumulator_value,
            eps=self.eps,
        )


@optimizer
class Fromage(OptaxOptimizer):
    """Fromage (Bernstein et al. 2020, arXiv:2002.03432)."""

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    min_norm: Scalar = hparam(default=1e-6, short="minnorm")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.fromage(self.learning_rate, min_norm=self.min_norm)


@optimizer
class Lamb(OptaxOptimizer):
    """LAMB (You et al. 2020, arXiv:1904.00962)."""

    not_supported: ClassVar = {**_CALLED_B, "mask": _MASK}

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    b1: Scalar = hparam(default=0.9, short="b1")
    b2: Scalar = hparam(default=0.999, short="b2")
    eps: Scalar = hparam(default=1e-6, short="eps")
    eps_root: Scalar = hparam(default=0.0, short="epsroot")
    weight_decay: Scalar = hparam(default=0.0, short="wd")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.lamb(
            self.learning_rate, **_moments(self), weight_decay=self.weight_decay
        )


@optimizer
class Lars(OptaxOptimizer):
    """LARS (You et al. 2017, arXiv:1708.03888)."""

    not_supported: ClassVar = {
        "epsilon": "it is called eps",
        "weight_decay_mask": _MASK,
        "trust_ratio_mask": _MASK,
        "min_norm": "the published optimizer never uses it; leave it out",
    }

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    weight_decay: Scalar = hparam(default=0.0, short="wd")
    trust_coefficient: Scalar = hparam(default=0.001, short="trust")
    eps: Scalar = hparam(default=0.0, short="eps")
    momentum: Scalar = hparam(default=0.9, short="m")
    nesterov: bool = static_field(default=False, short="nesterov")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.lars(
            self.learning_rate,
            weight_decay=self.weight_decay,
            trust_coefficient=self.trust_coefficient,
            eps=self.eps,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )


@optimizer
class RAdam(OptaxOptimizer):
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265)."""

    not_supported: ClassVar = _CALLED_B

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    b1: Scalar = hparam(default=0.9, short="b1")
    b2: Scalar = hparam(default=0.999, short="b2")
    eps: Scalar = hparam(default=1e-8, short="eps")
    eps_root: Scalar = hparam(default=0.0, short="epsroot")
    threshold: Scalar = hparam(default=5.0, short="threshold")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.radam(
            self.learning_rate, **_moments(self), threshold=self.threshold
        )


def _scalars_as_vectors(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """Return the same transformation, shown each scalar as a vector of length one."""

    def init(params: Params) -> Any:
        return transformation.init(jax.tree.map(jnp.atleast_1d, params))

    def update(
        updates: Gradient, state: Any, params: Params | None = None
    ) -> tuple[Gradient, Any]:
        vectors, state = transformation.update(
            jax.tree.map(jnp.atleast_1d, updates),
            state,
            jax.tree.map(jnp.atleast_1d, params),
        )
        return jax.tree.map(
            lambda v, u: v.reshape(jnp.shape(u)), vectors, updates
        ), state

    return optax.GradientTransformation(init, update)


@optimizer
class SM3(OptaxOptimizer):
    """SM3 (Anil et al. 2019, arXiv:1901.11150).

    `b2 = 1` accumulates squared gradients as the paper does; below 1 they
    are averaged. It decides the form of the program, so it cannot be traced.
    """

    not_supported: ClassVar = {
        "beta2": "it is called b2",
        "epsilon": "it is called eps",
    }

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    momentum: Scalar = hparam(default=0.9, short="m")
    b2: float = static_field(default=1.0, short="b2")
    eps: Scalar = hparam(default=1e-8, short="eps")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        sm3 = optax.scale_by_sm3(b1=self.momentum, b2=self.b2, eps=self.eps)
        return optax.chain(
            _scalars_as_vectors(sm3), optax.scale_by_learning_rate(self.learning_rate)
        )


@optimizer
class Yogi(OptaxOptimizer):
    """Yogi (Zaheer et al. 2018, NeurIPS)."""

    not_supported: ClassVar = _CALLED_B

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    b1: Scalar = hparam(default=0.9, short="b1")
    b2: Scalar = hparam(default=0.999, short="b2")
    eps: Scalar = hparam(default=1e-3, short="eps")

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        return optax.yogi(self.learning_rate, b1=self.b1, b2=self.b2, eps=self.eps)
