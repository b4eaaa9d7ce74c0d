"""Adam under two fixed schedules, as the published baselines name them."""

from __future__ import annotations

import optax

from learned_optimization.optimizers.base import Scalar, hparam, optimizer
from learned_optimization.optimizers.learning_rate_schedules import (
    ExponentialDecay,
    LinearRampupSqrtDecay,
    Schedule,
)
from learned_optimization.optimizers.optax_opts import OptaxOptimizer

__all__ = [
    "AdamExpDecayLR",
    "AdamSqrtDecayLR",
]


class _ScheduledAdam(OptaxOptimizer):
    """What the two share: all but the schedule."""

    beta1: Scalar
    beta2: Scalar
    epsilon: Scalar
    epsilon_root: Scalar

    def schedule(self) -> Schedule:
        """Return the learning rate of each step."""
        raise NotImplementedError

    def transformation(self) -> optax.GradientTransformation:
        """Return Adam under the schedule."""
        return optax.adam(
            self.schedule(), self.beta1, self.beta2, self.epsilon, self.epsilon_root
        )


@optimizer
class AdamSqrtDecayLR(_ScheduledAdam):
    """Adam, learning rate warmed up for 1,000 steps, then `~ 1 / sqrt(step)`.

    It is `learning_rate * min(t / 1000, sqrt(1000 / t))` with `t` the number of
    updates done before, or 1 at the first.
    """

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    epsilon_root: Scalar = hparam(default=1e-8, short="epsroot")

    def schedule(self) -> Schedule:
        """Return the learning rate of each step."""
        return LinearRampupSqrtDecay(self.learning_rate, warmup_steps=1000.0)


@optimizer
class AdamExpDecayLR(_ScheduledAdam):
    """Adam with an exponentially decaying learning rate.

    After `t` updates it is `learning_rate * (1 - 7e-5) ** t`, which falls by three
    orders of magnitude in 100,000 updates.
    """

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    epsilon_root: Scalar = hparam(default=1e-8, short="epsroot")

    def schedule(self) -> Schedule:
        """Return the learning rate of each step."""
        return ExponentialDecay(self.learning_rate, decay_amount=7e-5)
