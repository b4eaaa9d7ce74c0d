"""Backpropagation through truncations: biased, as each forgets its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers.estimates import masked_mean
from learned_optimization.outer_trainers.gradient_estimator import (
    GradientEstimator,
    GradientEstimatorOut,
    UnrollInfo,
    WorkerWeights,
)
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.tasks.base import PRNGKey

__all__ = ["TruncatedGrad"]


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class TruncatedGrad(GradientEstimator):
    """Differentiates the mean loss of a truncation; where it begins is a constant.

    Attributes:
      truncated_step: the inner problems.
      unroll_length: updates of a truncation.
      steps_per_jit: part of the published interface; has no effect.
    """

    truncated_step: VectorizedTruncatedStep
    unroll_length: int = 20
    steps_per_jit: int = 10

    @property
    def num_updates(self) -> int:
        """Updates of a truncation."""
        return self.unroll_length

    def _estimate(
        self, worker_weights: WorkerWeights, key: PRNGKey, state: Any, data: Any
    ) -> GradientEstimatorOut:
        step = self.truncated_step

        def loss_of(theta: MetaParams) -> tuple[jax.Array, Any]:
            # What `VectorizedTruncatedStep` does itself can be differentiated.
            after, out = VectorizedTruncatedStep.unroll(
                step,
                theta,
                state,
                key,
                data,
                worker_weights.outer_state,
                self.unroll_length,
            )
            return jnp.mean(masked_mean(out.loss, out.mask)), (after, out)

        (loss, (after, out)), grad = jax.value_and_grad(loss_of, has_aux=True)(
            worker_weights.theta
        )
        info = UnrollInfo.of(out)
        return GradientEstimatorOut(loss, grad, after, info)
