"""Persistent evolution strategies: truncations without the bias of truncation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.learned_optimizers.base import MetaParams
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

__all__ = ["PESWorkerState", "TruncatedPES"]


@flax.struct.dataclass
class PESWorkerState:
    """Where both sides of the pairs are.

    Attributes:
      pos_state: the trajectories of theta plus perturbations.
      neg_state: those of theta minus them.
      accumulator: sums of the perturbations since each trajectory began,
        `[tasks, ...]`.
    """

    pos_state: Any
    neg_state: Any
    accumulator: MetaParams


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class TruncatedPES(GradientEstimator):
    """Compares antithetic pairs over a truncation, each side going on by itself.

    Vicol, Metz, Sohl-Dickstein 2021 (arXiv:2112.13835). Its gradient has no bias where
    inner problems say that a run is over when the next begins, as those of this package
    do, and not, as published, with the run's last update; see `LOptTruncatedStep`.

    Attributes:
      truncated_step: the inner problems.
      trunc_length: updates of a truncation.
      std: standard deviation of perturbations.
      steps_per_jit: part of the published interface; has no effect, a truncation being
        one program.
      stack_antithetic_samples: part of the published interface; both sides are one
        program always.
      sign_delta_loss_scalar: if given, a truncation's differences of losses count by
        the sign of their mean, times this.
    """

    truncated_step: VectorizedTruncatedStep
    trunc_length: int = 10
    std: float = 0.01
    steps_per_jit: int = 10
    stack_antithetic_samples: bool = False
    sign_delta_loss_scalar: float | None = None

    @property
    def num_updates(self) -> int:
        """Updates of a truncation."""
        return self.trunc_length

    def init_worker_state(
        self, worker_weights: WorkerWeights, key: PRNGKey
    ) -> PESWorkerState:
        """Return where the inner problems begin; see `GradientEstimator`."""
        theta, num_tasks = worker_weights.theta, self.truncated_step.num_tasks
        begun = self.truncated_step.init_step_state(
            theta, worker_weights.outer_state, key
        )
        zeros = jax.tree.map(lambda x: jnp.zeros((num_tasks, *jnp.shape(x))), theta)
        return PESWorkerState(begun, begun, zeros)

    def _estimate(
        self,
        worker_weights: WorkerWeights,
        key: PRNGKey,
        state: PESWorkerState,
        data: Any,
    ) -> GradientEstimatorOut:
        draw_key, key = jax.random.split(key)
        drawn, positive, negative = vector_sample_perturbations(
            worker_weights.theta, draw_key, self.std, self.truncated_step.num_tasks
        )
        states, pairs, out = unroll_pairs(
            self.truncated_step,
            self.trunc_length,
            (positive, negative),
            (state.pos_state, state.neg_state),
            key,
            data,
            worker_weights.outer_state,
        )
        loss, grad, accumulator = estimates.pes(
            pairs, state.accumulator, drawn, self.std, self.sign_delta_loss_scalar
        )
        info = UnrollInfo.of(out)
        after = PESWorkerState(*states, accumulator)
        return GradientEstimatorOut(loss, grad, after, info)
