"""Evolution strategies on truncations: biased, as a truncation forgets how it began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from learned_optimization.configurable import configurable
from learned_optimization.outer_trainers import estimates
from learned_optimization.outer_trainers.common import (
    unroll_pairs,
    vector_sample_perturbations,
)
from learned_optimization.outer_trainers.gradient_estimator import (
    GradientEstimator,
    GradientEstimatorOut,
    UnrollInfo,
    WorkerWeights,
)
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.tasks.base import PRNGKey

__all__ = ["TruncatedES"]


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class TruncatedES(GradientEstimator):
    """Compares antithetic pairs over a truncation, both from one state.

    The positive side's trajectory goes on.

    Attributes:
      truncated_step: the inner problems.
      unroll_length: updates of a truncation.
      steps_per_jit: part of the published interface; has no effect, a truncation being
        one program.
      std: standard deviation of perturbations.
      sign_delta_loss_scalar: if given, differences of losses count by their sign, times
        this.
      stack_antithetic_samples: part of the published interface; both sides are one
        program always.
    """

    truncated_step: VectorizedTruncatedStep
    unroll_length: int = 20
    steps_per_jit: int = 10
    std: float = 0.01
    sign_delta_loss_scalar: float | None = None
    stack_antithetic_samples: bool = False

    @property
    def num_updates(self) -> int:
        """Updates of a truncation."""
        return self.unroll_length

    def _estimate(
        self, worker_weights: WorkerWeights, key: PRNGKey, state: Any, data: Any
    ) -> GradientEstimatorOut:
        draw_key, key = jax.random.split(key)
        drawn, positive, negative = vector_sample_perturbations(
            worker_weights.theta, draw_key, self.std, self.truncated_step.num_tasks
        )
        (state, _), pairs, out = unroll_pairs(
            self.truncated_step,
            self.unroll_length,
            (positive, negative),
            (state, state),
            key,
            data,
            worker_weights.outer_state,
        )
        loss, grad = estimates.es(pairs, drawn, self.std, self.sign_delta_loss_scalar)
        info = UnrollInfo.of(out)
        return GradientEstimatorOut(loss, grad, state, info)
