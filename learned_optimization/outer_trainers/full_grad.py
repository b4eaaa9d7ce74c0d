"""Backpropagation through whole runs: exact, and only for short ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.configurable import configurable
from learned_optimization.errors import UnknownNameError
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers.gradient_estimator import (
    GradientEstimator,
    GradientEstimatorOut,
    UnrollInfo,
    WorkerWeights,
)
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.tasks.base import PRNGKey

__all__ = ["FullGrad"]

_LOSSES = ("avg", "last")


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class FullGrad(GradientEstimator):
    """Differentiates the loss of runs from their beginning, fresh ones each time.

    What a step computes within is computed again on the way back, so that memory holds
    the states between steps only.

    Attributes:
      truncated_step: the inner problems; their schedule must be longer than
        `unroll_length`.
      unroll_length: updates of a run.
      loss_type: `"avg"` over the run, or the `"last"` loss.
    """

    truncated_step: VectorizedTruncatedStep
    unroll_length: int = 20
    loss_type: str = "avg"

    def __post_init__(self) -> None:
        if self.loss_type not in _LOSSES:
            raise UnknownNameError("loss_type", str(self.loss_type), _LOSSES)

    @property
    def num_updates(self) -> int:
        """Updates of a run."""
        return self.unroll_length

    def init_worker_state(self, worker_weights: WorkerWeights, key: PRNGKey) -> Any:
        """Return nothing: each estimate begins afresh."""
        del worker_weights, key
        return ()

    def _estimate(
        self, worker_weights: WorkerWeights, key: PRNGKey, state: Any, data: Any
    ) -> GradientEstimatorOut:
        step, outer = self.truncated_step, worker_weights.outer_state
        init_key, key = jax.random.split(key)
        keys = jax.random.split(key, self.unroll_length)

        def loss_of(theta: MetaParams) -> tuple[jax.Array, Any]:
            begun = step.init_step_state(theta, outer, init_key)

            @jax.checkpoint
            def body(state: Any, read: Any) -> Any:
                key, batch = read
                return step.unroll_step(theta, state, key, batch, outer)

            _, out = lax.scan(body, begun, (keys, data))
            losses = out.loss if self.loss_type == "avg" else out.loss[-1]
            return jnp.mean(losses), out

        (loss, out), grad = jax.value_and_grad(loss_of, has_aux=True)(
            worker_weights.theta
        )
        info = UnrollInfo.of(out)
        return GradientEstimatorOut(loss, grad, state, info)
