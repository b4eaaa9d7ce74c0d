"""A worker of meta-training: the mean gradient of its estimators.

Its names are part of `gradient_learner`, as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers.gradient_estimator import (
    GradientEstimator,
    WorkerWeights,
)
from learned_optimization.tasks.base import PRNGKey

LOSS_OF_NAN = 20.0
"""What a meta-loss counts that is no number."""


@flax.struct.dataclass
class AggregatedGradient:
    """What a worker sends.

    Attributes:
      theta_grads: the mean gradient of its estimators.
      theta_model_state: part of the published interface; None.
      mean_loss: float32 scalar.
    """

    theta_grads: MetaParams
    theta_model_state: Any
    mean_loss: Any


@flax.struct.dataclass
class WorkerComputeOut:
    """What a worker computed.

    Attributes:
      to_put: what it sends.
      unroll_states: where its inner problems are, one state per estimator.
      metrics: name to number.
      event_info: what the inner problems told, one per estimator.
    """

    to_put: AggregatedGradient
    unroll_states: Sequence[Any]
    metrics: Mapping[str, Any]
    event_info: Any


def _finite(tree: Any, nan: float) -> Any:
    return jax.tree.map(
        lambda x: np.nan_to_num(np.asarray(x), nan=nan, posinf=nan, neginf=nan), tree
    )


@configurable("learned_optimization.outer_trainers.gradient_learner")
def gradient_worker_compute(
    worker_weights: WorkerWeights,
    gradient_estimators: Sequence[GradientEstimator],
    unroll_states: Sequence[Any],
    key: PRNGKey,
    with_metrics: bool = False,
    clip_nan_loss_to_value: float | None = LOSS_OF_NAN,
    device: Any = None,
) -> WorkerComputeOut:
    """Run every estimator once, and return the mean of their gradients.

    Args:
      worker_weights: meta-parameters, and where meta-training is.
      gradient_estimators: the estimators.
      unroll_states: where the inner problems of each are.
      key: PRNG key.
      with_metrics: part of the published interface; has no effect.
      clip_nan_loss_to_value: what a loss counts that is no number or infinite; such
        entries of a gradient are 0.
      device: where to compute; jax's default device if None.

    Raises:
      LoptError: if there is no estimator.
    """
    if not gradient_estimators:
        raise LoptError("gradient_estimators must hold at least one, got none.")
    states, infos, losses, total, metrics = [], [], [], None, {}
    keys = jax.random.split(key, len(gradient_estimators))
    for estimator, state, one in zip(
        gradient_estimators, unroll_states, keys, strict=True
    ):
        with jax.default_device(device):
            out, told = estimator.compute_gradient_estimate(
                worker_weights, one, state, with_metrics
            )
        total = out.grad if total is None else jax.tree.map(jnp.add, total, out.grad)
        losses.append(out.mean_loss)
        states.append(out.unroll_state)
        infos.append(out.unroll_info)
        metrics.update({f"{estimator.task_name()}/{k}": v for k, v in told.items()})
    grads = jax.tree.map(lambda g: g / len(gradient_estimators), total)
    loss = jnp.mean(jnp.stack(losses))
    if clip_nan_loss_to_value is not None:
        loss = _finite(loss, clip_nan_loss_to_value)
    sent = AggregatedGradient(_finite(grads, 0.0), None, np.asarray(loss))
    return WorkerComputeOut(sent, tuple(states), metrics, tuple(infos))
