"""What meta-training lowers: functions of a task and a training loss of it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Task

_FLOOR = 0.02
# Of ten classes, where the normalizers of classification clip cross entropy.
_MOST = 1.5 * math.log(10)


def normalized_loss(task: Task, loss: jax.Array) -> jax.Array:
    """Return the task's normalized loss, the published meta-loss."""
    return task.normalizer(loss)


def log_loss(task: Task, loss: jax.Array) -> jax.Array:
    """Return the logarithm of the normalized loss, bounded on both sides.

    The end of a run then counts as much as its beginning, and a task of small losses as
    much as another.
    """
    bounded = jnp.clip(task.normalizer(loss), 0.0, _MOST)
    return jnp.log(bounded + _FLOOR)


META_LOSSES = {"normalized": normalized_loss, "log": log_loss}
"""Meta-losses by name."""
