"""Learning-rate schedules: pytrees that map a step to a learning rate.

A schedule stands wherever an optimizer takes a learning rate. Steps count from
zero: the first update asks for `schedule(0)`.

`CosineLearningRateSchedule`, `LinearRampupSqrtDecay`, `PiecewiseLinear` and
`ExponentialDecay` have the names and parameters of the published baselines.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.hparams import Scalar, hparam
from learned_optimization.optimizers.piecewise import as_points, piecewise_linear
from learned_optimization.optimizers.schedule_base import Schedule, schedule

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineLearningRateSchedule",
    "ExpDecay",
    "ExponentialDecay",
    "LinearDecay",
    "LinearRampupSqrtDecay",
    "PiecewiseLinear",
    "ScalarSchedule",
    "Schedule",
    "SqrtDecay",
    "WarmupConstantCosine",
    "schedule",
]

ScalarSchedule = Schedule
"""`Schedule`, as the published interface calls it."""


@schedule
class Constant(Schedule):
    """The same learning rate at every step."""

    learning_rate: Scalar = hparam(default=0.01, short="lr")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del step, max_steps
        return jnp.asarray(self.learning_rate, jnp.float32)


@schedule
class SqrtDecay(Schedule):
    """Linear warm-up, then decay with the inverse square root of the step.

    `learning_rate * min(t / warmup, sqrt(warmup / t))` with `t = max(step, 1)`, the
    shape of Vaswani et al. 2017 (arXiv:1706.03762, section 5.3), scaled so that
    its peak is `learning_rate`. The first two updates have the same rate, as in the
    published baselines.
    """

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup: Scalar = hparam(default=1000.0, short="warmup")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del max_steps
        t = jnp.maximum(jnp.asarray(step, jnp.float32), 1.0)
        return self.learning_rate * jnp.minimum(
            t / self.warmup, jnp.sqrt(self.warmup / t)
        )


@schedule
class ExpDecay(Schedule):
    """Exponential decay: `learning_rate * exp(-rate * step)`."""

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    rate: Scalar = hparam(default=7e-5, short="rate")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del max_steps
        step = jnp.asarray(step, jnp.float32)
        return self.learning_rate * jnp.exp(-self.rate * step)


class _WarmUpThenDecay(Schedule):
    """A straight line up to the peak, then down to a share of it."""

    num_steps: Any
    learning_rate: Any
    warmup_steps: Any
    final_fraction: Any

    def left(self, progress: jax.Array) -> jax.Array:
        """Return what is left of the way down: 1 at progress 0, 0 at progress 1."""
        raise NotImplementedError

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del max_steps
        step = jnp.asarray(step, jnp.float32)
        warm = (step + 1.0) / jnp.maximum(self.warmup_steps, 1.0)
        decay_steps = jnp.maximum(self.num_steps - self.warmup_steps, 1.0)
        progress = jnp.clip((step - self.warmup_steps) / decay_steps, 0.0, 1.0)
        decayed = self.final_fraction + (1.0 - self.final_fraction) * self.left(
            progress
        )
        return self.learning_rate * jnp.where(step < self.warmup_steps, warm, decayed)


@schedule
class CosineDecay(_WarmUpThenDecay):
    """Linear warm-up, then a half cosine down to a share of the peak.

    The shape of Loshchilov & Hutter 2017 (arXiv:1608.03983) without restarts.
    """

    num_steps: Scalar = hparam(default=10_000.0, short="steps")
    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup_steps: Scalar = hparam(default=0.0, short="warmup")
    final_fraction: Scalar = hparam(default=0.0, short="final")

    def left(self, progress: jax.Array) -> jax.Array:
        """Return half a cosine."""
        return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


@schedule
class LinearDecay(_WarmUpThenDecay):
    """Linear warm-up, then a straight line down to a share of the peak."""

    num_steps: Scalar = hparam(default=10_000.0, short="steps")
    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup_steps: Scalar = hparam(default=0.0, short="warmup")
    final_fraction: Scalar = hparam(default=0.0, short="final")

    def left(self, progress: jax.Array) -> jax.Array:
        """Return a straight line."""
        return 1.0 - progress


@schedule
class CosineLearningRateSchedule(Schedule):
    """Linear warm-up from zero, a constant stretch, then half a cosine down.

    The schedule OptList's settings were found with (Metz et al. 2020,
    arXiv:2002.11887). Both fractions are shares of the run counted from its start;
    the cosine begins at `constant_fraction`. A warm-up, where there is one, ends at
    the *larger* of the two, as it does in the published program: it reaches the
    learning rate where the constant stretch was to end.
    """

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    min_learning_rate_mult: Scalar = hparam(default=0.0, short="final")
    constant_fraction: Scalar = hparam(default=0.5, short="constant")
    warmup_fraction: Scalar = hparam(default=0.01, short="warmup")

    needs_num_steps: ClassVar[bool] = True

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`.

        Raises:
          LoptError: if `max_steps` is left out.
        """
        if max_steps is None:
            raise LoptError(
                "CosineLearningRateSchedule depends on the length of the run, which "
                "only NAdamW tells it: use WarmupConstantCosine(num_steps=...), the "
                "same schedule for a run of that length."
            )
        num_steps = jnp.asarray(max_steps, jnp.float32)
        step = jnp.minimum(jnp.asarray(step, jnp.float32), num_steps)
        constant = num_steps * self.constant_fraction
        left = num_steps - constant
        progress = jnp.maximum(step - constant, 0.0) / jnp.where(left > 0, left, 1.0)
        down = 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
        least = self.min_learning_rate_mult
        decayed = least + (1.0 - least) * down
        warmup = num_steps * jnp.maximum(self.warmup_fraction, self.constant_fraction)
        warm = step / jnp.maximum(warmup, 1.0)
        warming = (jnp.asarray(self.warmup_fraction) > 0) & (step < warmup)
        return self.learning_rate * jnp.where(warming, warm, decayed)


@schedule
class WarmupConstantCosine(Schedule):
    """`CosineLearningRateSchedule` of a run whose length is known beforehand."""

    num_steps: Scalar = hparam(default=10_000.0, short="steps")
    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup_fraction: Scalar = hparam(default=0.01, short="warmup")
    constant_fraction: Scalar = hparam(default=0.5, short="constant")
    final_fraction: Scalar = hparam(default=0.0, short="final")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del max_steps
        planned = CosineLearningRateSchedule(
            learning_rate=self.learning_rate,
            min_learning_rate_mult=self.final_fraction,
            constant_fraction=self.constant_fraction,
            warmup_fraction=self.warmup_fraction,
        )
        return planned(step, self.num_steps)


@schedule
class LinearRampupSqrtDecay(Schedule):
    """`SqrtDecay` under its published name and parameters."""

    peak_lr: Scalar = hparam(default=1e-3, short="lr")
    warmup_steps: Scalar = hparam(default=1000.0, short="warmup")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        return SqrtDecay(self.peak_lr, self.warmup_steps)(step, max_steps)


@schedule
class ExponentialDecay(Schedule):
    """Exponential decay: `base_lr * (1 - decay_amount) ** step`."""

    base_lr: Scalar = hparam(default=0.01, short="lr")
    decay_amount: Scalar = hparam(default=7e-5, short="decay")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        # A float32 of almost one, raised to a power of 300,000, is off by percents.
        rate = -jnp.log1p(-jnp.asarray(self.decay_amount, jnp.float32))
        return ExpDecay(self.base_lr, rate)(step, max_steps)


@schedule
class PiecewiseLinear(Schedule):
    """Straight lines between points; level before the first and after the last.

    Attributes:
      times: the steps of the points, increasing.
      vals: the learning rates there, as many.
    """

    times: tuple[Scalar, ...] | list[Scalar] = hparam(
        default=(10_000.0, 20_000.0), short="times"
    )
    vals: tuple[Scalar, ...] | list[Scalar] = hparam(default=(1e-4, 1e-5), short="vals")

    def __post_init__(self) -> None:
        """Check the points.

        Raises:
          LoptError: if there are none, or not as many steps as rates.
        """
        as_points(self, "times", "vals")

    def __call__(
        self, step: ArrayLike, max_steps: ArrayLike | None = None
    ) -> jax.Array:
        """Return the learning rate of an update; see `Schedule.__call__`."""
        del max_steps
        return piecewise_linear(self.times, self.vals)(step)
