"""Estimates of meta-gradients from losses: pure functions, no random numbers.

Losses come in pairs, at theta plus and minus a normal perturbation (antithetic). Arrays
of losses are `[steps, tasks]`; perturbations have a leading axis `[tasks]`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.base import MetaParams

LossType = Literal["avg", "min", "last", "last_recompute"]
"""Which loss of a whole run its meta-loss is."""


class Pairs(NamedTuple):
    """What both sides of antithetic pairs lose, `[steps, tasks]` each.

    Attributes:
      positive: losses at theta plus the perturbation.
      negative: losses at theta minus it.
      mask: whether there was an update, and so a loss.
      is_done: whether the problem began again with that update: that loss and those
        that follow are of the next one.
    """

    positive: jax.Array
    negative: jax.Array
    mask: jax.Array
    is_done: jax.Array

    @property
    def mean_loss(self) -> jax.Array:
        """The mean over tasks and both sides of each task's mean loss."""
        return jnp.mean(
            (
                masked_mean(self.positive, self.mask)
                + masked_mean(self.negative, self.mask)
            )
            / 2
        )


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Return means over the first axis of what a mask has; 0 where it has nothing."""
    count = jnp.maximum(jnp.sum(mask, 0), 1)
    return jnp.sum(jnp.where(mask, values, 0), 0) / count


def es(
    pairs: Pairs,
    perturbation: MetaParams,
    std: float,
    sign_delta_loss_scalar: float | None = None,
) -> tuple[jax.Array, MetaParams]:
    """Return the mean loss, and the gradient by evolution strategies.

    Args:
      pairs: losses of one truncation.
      perturbation: a tree of arrays `[tasks, ...]`, drawn with the deviation `std`.
      std: standard deviation of perturbations.
      sign_delta_loss_scalar: if given, a difference of losses counts by its sign, times
        this.
    """
    delta = masked_mean(pairs.positive - pairs.negative, pairs.mask)
    if sign_delta_loss_scalar is not None:
        delta = jnp.sign(delta) * sign_delta_loss_scalar
    return pairs.mean_loss, _weighted(delta, perturbation, std)


def pes(
    pairs: Pairs,
    accumulator: MetaParams,
    perturbation: MetaParams,
    std: float,
    sign_delta_loss_scalar: float | None = None,
) -> tuple[jax.Array, MetaParams, MetaParams]:
    """Return loss, gradient and accumulator by persistent evolution strategies.

    Vicol, Metz, Sohl-Dickstein 2021 (arXiv:2112.13835): unbiased for losses of whole
    runs that are cut into truncations, as a loss is weighed by all perturbations since
    its run began.

    Args:
      pairs: losses of one truncation.
      accumulator: sums of perturbations of earlier truncations, `[tasks, ...]`.
      perturbation: that of this truncation.
      std: standard deviation of perturbations.
      sign_delta_loss_scalar: as of `es`; then all losses of a truncation count by the
        sign of their mean difference.

    Returns:
      The mean loss, the gradient, and the accumulator for the next truncation.
    """
    accumulator = jax.tree.map(jnp.add, accumulator, perturbation)
    delta = pairs.positive - pairs.negative
    if sign_delta_loss_scalar is not None:
        mean = masked_mean(delta, pairs.mask)
        delta = jnp.sign(mean) * sign_delta_loss_scalar * jnp.ones_like(delta)
    # From the update on with which a run begins again, losses are of the next one.
    over = jnp.cumsum(pairs.is_done, 0) > 0
    of_old = masked_mean(jnp.where(over, 0, delta), pairs.mask)
    of_new = masked_mean(jnp.where(over, delta, 0), pairs.mask)
    gradient = jax.tree.map(
        jnp.add,
        _weighted(of_old, accumulator, std),
        _weighted(of_new, perturbation, std),
    )

    def restarted(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(over[-1].reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return (
        pairs.mean_loss,
        gradient,
        jax.tree.map(restarted, accumulator, perturbation),
    )


def full_es(
    positive: jax.Array,
    negative: jax.Array,
    perturbation: MetaParams,
    std: float,
    clip_loss_diff: float | None = None,
    sign_delta_loss_scalar: float | None = None,
) -> tuple[jax.Array, MetaParams]:
    """Return the mean loss, and the gradient by evolution strategies of whole runs.

    Args:
      positive: the loss of each run at theta plus the perturbation, `[tasks]`.
      negative: at theta minus it.
      perturbation: a tree of arrays `[tasks, ...]`.
      std: standard deviation of perturbations.
      clip_loss_diff: differences are clipped to this size; those that are no number or
        infinite are 0.
      sign_delta_loss_scalar: as of `es`.
    """
    delta = jnp.nan_to_num(positive - negative, nan=0.0, posinf=0.0, neginf=0.0)
    if clip_loss_diff is not None:
        delta = jnp.clip(delta, -clip_loss_diff, clip_loss_diff)
    if sign_delta_loss_scalar is not None:
        delta = jnp.sign(delta) * sign_delta_loss_scalar
    return jnp.mean((positive + negative) / 2), _weighted(delta, perturbation, std)


def loss_of_run(
    losses: jax.Array, loss_type: LossType, length: Any = None
) -> jax.Array:
    """Return the loss of each run, `[tasks]`, of those of its updates.

    Args:
      losses: `[steps, tasks]`.
      loss_type: which of them, or their mean.
      length: how many updates there were, at least one, those behind them being no
        part of the run; as many as there are losses if None.
    """
    length = losses.shape[0] if length is None else length
    is_of_run = (jnp.arange(losses.shape[0]) < length)[:, None]
    if loss_type == "avg":
        return jnp.sum(jnp.where(is_of_run, losses, 0), 0) / length
    if loss_type == "min":
        return jnp.min(jnp.where(is_of_run, losses, jnp.inf), 0)
    return losses[length - 1]


def _weighted(delta: jax.Array, perturbation: MetaParams, std: float) -> MetaParams:
    """Return the mean over tasks of what each perturbation says."""
    weights = delta / (2 * std**2 * delta.shape[0])

    def one(x: Any) -> jax.Array:
        return jnp.tensordot(weights, x, 1)

    return jax.tree.map(one, perturbation)
