"""Evolution strategies on whole runs, of whatever loss of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from learned_optimization.configurable import configurable
from learned_optimization.errors import UnknownNameError
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers import estimates
from learned_optimization.outer_trainers.common import (
    stack_batches,
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
from learned_optimization.outer_trainers.truncation_schedule import TruncationSchedule
from learned_optimization.tasks.base import PRNGKey

__all__ = ["FullES"]


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class FullES(GradientEstimator):
    """Compares antithetic pairs over whole runs, fresh ones each time.

    All runs of an estimate have one length, drawn by `truncation_schedule` and rounded
    down to `steps_per_jit`. Meta-training as one program needs a schedule that says how
    long they are at most.

    Attributes:
      truncated_step: the inner problems; they must not end, see
        `NeverEndingTruncationSchedule`.
      truncation_schedule: draws the length.
      std: standard deviation of perturbations.
      steps_per_jit: updates that are one program.
      loss_type: of a run: the `"avg"` of its losses, their `"min"`, the `"last"`, or
        `"last_recompute"`: the mean over `recompute_samples` batches at its end.
      recompute_samples: as said.
      clip_loss_diff: differences of losses are clipped to this size.
      sign_delta_loss_scalar: if given, differences count by their sign, times this.
      stack_antithetic_samples: part of the published interface; both sides are one
        program always.
    """

    truncated_step: VectorizedTruncatedStep
    truncation_schedule: TruncationSchedule
    std: float = 0.01
    steps_per_jit: int = 10
    loss_type: estimates.LossType = "avg"
    recompute_samples: int = 50
    clip_loss_diff: float | None = None
    sign_delta_loss_scalar: float | None = None
    stack_antithetic_samples: bool = False

    def __post_init__(self) -> None:
        allowed = get_args(estimates.LossType)
        if self.loss_type not in allowed:
            raise UnknownNameError("loss_type", str(self.loss_type), allowed)

    @property
    def num_updates(self) -> int:
        """Updates of a run, at most.

        Raises:
          LoptError: if the schedule does not say.
        """
        num_blocks = max(1, self.truncation_schedule.longest // self.steps_per_jit)
        return num_blocks * self.steps_per_jit

    def init_worker_state(self, worker_weights: WorkerWeights, key: PRNGKey) -> Any:
        """Return nothing: each estimate begins afresh."""
        del worker_weights, key
        return ()

    def compute_gradient_estimate(
        self,
        worker_weights: WorkerWeights,
        key: PRNGKey,
        state: Any,
        with_summary: bool = False,
        datas_list: Any = None,
    ) -> tuple[GradientEstimatorOut, Mapping[str, jax.Array]]:
        """Return an estimate; see `GradientEstimator`."""
        del with_summary
        length_key, draw_key, init_key, key = jax.random.split(key, 4)
        drawn_length = self.truncation_schedule.init(
            length_key, worker_weights.outer_state
        ).length
        num_blocks = max(1, int(drawn_length) // self.steps_per_jit)
        length = num_blocks * self.steps_per_jit
        given = stack_batches(datas_list)
        drawn, thetas, states = self._begin(
            worker_weights, draw_key, init_key, jnp.asarray(length, jnp.int32)
        )
        blocks, outs = [], []
        for i in range(num_blocks):
            first, last = i * self.steps_per_jit, (i + 1) * self.steps_per_jit
            data = (
                self.truncated_step.get_batch(self.steps_per_jit)
                if given is None
                else jax.tree.map(lambda x, a=first, b=last: x[a:b], given)
            )
            block_key = jax.random.fold_in(key, i)
            states, pairs, out = self._block(
                thetas, states, block_key, data, worker_weights.outer_state
            )
            blocks.append((np.asarray(pairs.positive), np.asarray(pairs.negative)))
            outs.append(UnrollInfo.of(out))
        positive, negative = (
            np.concatenate(side) for side in zip(*blocks, strict=True)
        )
        if self.loss_type == "last_recompute":
            end_key = jax.random.fold_in(key, num_blocks)
            losses = self._recompute(
                thetas, states, end_key, worker_weights.outer_state
            )
        else:
            losses = (
                estimates.loss_of_run(jnp.asarray(positive), self.loss_type),
                estimates.loss_of_run(jnp.asarray(negative), self.loss_type),
            )
        loss, grad = self._of_losses(losses, drawn)
        info = jax.tree.map(lambda *x: np.concatenate(x), *outs)
        return GradientEstimatorOut(loss, grad, state, info), {
            "length": jnp.asarray(length)
        }

    def _estimate(
        self, worker_weights: WorkerWeights, key: PRNGKey, state: Any, data: Any
    ) -> GradientEstimatorOut:
        """Return the same, of data of the longest run; the length may be traced."""
        outer, size = worker_weights.outer_state, self.steps_per_jit
        length_key, draw_key, init_key, key = jax.random.split(key, 4)
        drawn_length = self.truncation_schedule.init(length_key, outer).length
        num_blocks = jnp.maximum(1, drawn_length // size)
        drawn, thetas, states = self._begin(
            worker_weights, draw_key, init_key, num_blocks * size
        )

        def block(i: Any, carry: Any) -> Any:
            states, losses = carry
            read = jax.tree.map(
                lambda x: lax.dynamic_slice_in_dim(x, i * size, size), data
            )
            block_key = jax.random.fold_in(key, i)
            states, pairs, _ = self._block(thetas, states, block_key, read, outer)
            made = jnp.stack([pairs.positive, pairs.negative])
            return states, lax.dynamic_update_slice_in_dim(losses, made, i * size, 1)

        losses = jnp.zeros((2, self.num_updates, self.truncated_step.num_tasks))
        _, losses = lax.fori_loop(0, num_blocks, block, (states, losses))
        of_runs = [
            estimates.loss_of_run(side, self.loss_type, num_blocks * size)
            for side in losses
        ]
        loss, grad = self._of_losses(of_runs, drawn)
        return GradientEstimatorOut(loss, grad, state, None)

    def _of_losses(
        self, losses: Sequence[jax.Array], drawn: MetaParams
    ) -> tuple[jax.Array, MetaParams]:
        positive, negative = losses
        return estimates.full_es(
            positive,
            negative,
            drawn,
            self.std,
            self.clip_loss_diff,
            self.sign_delta_loss_scalar,
        )

    @cached_property
    def _begin(self) -> Any:
        step = self.truncated_step

        def begin(weights: WorkerWeights, draw_key: Any, key: Any, length: Any) -> Any:
            drawn, *thetas = vector_sample_perturbations(
                weights.theta, draw_key, self.std, step.num_tasks
            )
            states = [
                step.init_step_state(
                    theta,
                    weights.outer_state,
                    key,
                    theta_is_vector=True,
                    num_steps_override=length,
                )
                for theta in thetas
            ]
            return drawn, tuple(thetas), tuple(states)

        return jax.jit(begin)

    @cached_property
    def _block(self) -> Any:
        def block(thetas: Any, states: Any, key: Any, data: Any, outer: Any) -> Any:
            return unroll_pairs(
                self.truncated_step,
                self.steps_per_jit,
                thetas,
                states,
                key,
                data,
                outer,
            )

        return jax.jit(block)

    def _recompute(self, thetas: Any, states: Any, key: PRNGKey, outer: Any) -> Any:
        step, samples = self.truncated_step, self.recompute_samples
        data = step.get_outer_batch(samples)
        keys = jax.random.split(key, samples)

        @jax.jit
        def of_side(theta: Any, state: Any) -> jax.Array:
            def one(read: Any) -> jax.Array:
                key, batch = read
                return step.meta_loss_batch(theta, state, key, batch, outer, True)

            return jnp.mean(lax.map(one, (keys, data)), 0)

        return tuple(of_side(*side) for side in zip(thetas, states, strict=True))
