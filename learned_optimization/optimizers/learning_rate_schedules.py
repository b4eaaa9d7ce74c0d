"""Learning-rate schedules: pytrees that map a step to a learning rate.

A schedule stands wherever an optimizer takes a learning rate. Steps count from
zero: the first update asks for `schedule(0)`.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from learned_optimization.configurable import configurable
from learned_optimization.optimizers.base import (
    Optimizer,
    Scalar,
    hparam,
    hparams_dataclass,
)

_T = TypeVar("_T", bound=type)


class Schedule:
    """A learning rate that depends on the step.

    Subclasses are made by `@schedule` and define `__call__`.
    """

    # Named like an optimizer: the class, then every setting.
    name = Optimizer.name

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
        raise NotImplementedError


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(hparam,))
def schedule(cls: _T) -> _T:
    """Class decorator that makes a schedule.

    The class becomes a frozen dataclass, a pytree of its hyper-parameters and a
    gin configurable.
    """
    return configurable("learned_optimization.optimizers")(hparams_dataclass(cls))


@schedule
class Constant(Schedule):
    """The same learning rate at every step."""

    learning_rate: Scalar = hparam(default=0.01, short="lr")

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
        del step
        return jnp.asarray(self.learning_rate, jnp.float32)


@schedule
class SqrtDecay(Schedule):
    """Linear warm-up, then decay with the inverse square root of the step.

    `learning_rate * min(t / warmup, sqrt(warmup / t))` with `t = step + 1`, the
    shape of Vaswani et al. 2017 (arXiv:1706.03762, section 5.3), scaled so that
    its peak is `learning_rate`.
    """

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup: Scalar = hparam(default=1000.0, short="warmup")

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
        t = jnp.asarray(step, jnp.float32) + 1.0
        return self.learning_rate * jnp.minimum(
            t / self.warmup, jnp.sqrt(self.warmup / t)
        )


@schedule
class ExpDecay(Schedule):
    """Exponential decay: `learning_rate * exp(-rate * t)` with `t = step + 1`."""

    learning_rate: Scalar = hparam(default=0.01, short="lr")
    rate: Scalar = hparam(default=7e-5, short="rate")

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
        t = jnp.asarray(step, jnp.float32) + 1.0
        return self.learning_rate * jnp.exp(-self.rate * t)


class _WarmUpThenDecay(Schedule):
    """A straight line up to the peak, then down to a share of it."""

    num_steps: Any
    learning_rate: Any
    warmup_steps: Any
    final_fraction: Any

    def left(self, progress: jax.Array) -> jax.Array:
        """What is left of the way down, from 1 at progress 0 to 0 at progress 1."""
        raise NotImplementedError

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
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
        """Half a cosine."""
        return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


@schedule
class LinearDecay(_WarmUpThenDecay):
    """Linear warm-up, then a straight line down to a share of the peak."""

    num_steps: Scalar = hparam(default=10_000.0, short="steps")
    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup_steps: Scalar = hparam(default=0.0, short="warmup")
    final_fraction: Scalar = hparam(default=0.0, short="final")

    def left(self, progress: jax.Array) -> jax.Array:
        """A straight line."""
        return 1.0 - progress


@schedule
class WarmupConstantCosine(Schedule):
    """Linear warm-up from zero, a constant stretch, then half a cosine down.

    Both fractions are shares of the run counted from its start, so the rate is
    constant between them; a warm-up longer than `constant_fraction` ends there.
    The shape OptList's settings were found with (Metz et al. 2020,
    arXiv:2002.11887).
    """

    num_steps: Scalar = hparam(default=10_000.0, short="steps")
    learning_rate: Scalar = hparam(default=0.01, short="lr")
    warmup_fraction: Scalar = hparam(default=0.01, short="warmup")
    constant_fraction: Scalar = hparam(default=0.5, short="constant")
    final_fraction: Scalar = hparam(default=0.0, short="final")

    def __call__(self, step: ArrayLike) -> jax.Array:
        """The learning rate of update `step`, counted from zero."""
        num_steps = jnp.asarray(self.num_steps, jnp.float32)
        step = jnp.minimum(jnp.asarray(step, jnp.float32), num_steps)
        warmup = num_steps * jnp.minimum(self.warmup_fraction, self.constant_fraction)
        constant = num_steps * self.constant_fraction
        left = jnp.maximum(num_steps - constant, 1.0)
        progress = jnp.maximum(step - constant, 0.0) / left
        down = 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
        decayed = self.final_fraction + (1.0 - self.final_fraction) * down
        warm = step / jnp.maximum(warmup, 1.0)
        return self.learning_rate * jnp.where(step < warmup, warm, decayed)
