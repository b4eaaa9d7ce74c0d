"""The interface of an estimator of meta-gradients, and what it is told and says.

Its names are part of `gradient_learner`, as published.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax

from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers.common import stack_batches
from learned_optimization.outer_trainers.truncated_step import TruncatedUnrollOut
from learned_optimization.tasks.base import PRNGKey


@flax.struct.dataclass
class OuterState:
    """What of meta-training inner problems may know.

    Attributes:
      outer_iteration: int32, meta-steps done.
    """

    outer_iteration: jax.Array


@flax.struct.dataclass
class WorkerWeights:
    """What a worker needs to estimate a gradient.

    Attributes:
      theta: meta-parameters.
      theta_model_state: part of the published interface; None.
      outer_state: as of `OuterState`.
    """

    theta: MetaParams
    theta_model_state: Any
    outer_state: OuterState


@flax.struct.dataclass
class UnrollInfo:
    """What updates of inner problems told, `[steps, tasks]`; see `TruncatedUnrollOut`.

    Attributes:
      loss: meta-losses.
      iteration: updates done.
      task_param: configurations of the tasks.
      is_done: whether a problem was over.
    """

    loss: jax.Array
    iteration: jax.Array
    task_param: Any
    is_done: jax.Array

    @classmethod
    def of(cls, out: TruncatedUnrollOut) -> UnrollInfo:
        """Return what is kept of what updates tell.

        Args:
          out: of all updates, `[steps, tasks]`.
        """
        return cls(out.loss, out.iteration, out.task_param, out.is_done)


@flax.struct.dataclass
class GradientEstimatorOut:
    """An estimate.

    Attributes:
      mean_loss: float32 scalar.
      grad: a tree as theta.
      unroll_state: where the inner problems are now.
      unroll_info: what they told; None where there is nothing.
    """

    mean_loss: jax.Array
    grad: MetaParams
    unroll_state: Any
    unroll_info: UnrollInfo | None


class GradientEstimator:
    """Estimates the meta-gradient, a truncation at a time.

    A subclass is traceable where `datas_list` is given.
    """

    truncated_step: Any

    @property
    def num_updates(self) -> int:
        """Updates of each problem in an estimate."""
        raise NotImplementedError

    def init_worker_state(self, worker_weights: WorkerWeights, key: PRNGKey) -> Any:
        """Return where the inner problems begin.

        Args:
          worker_weights: meta-parameters, and where meta-training is.
          key: PRNG key.
        """
        return self.truncated_step.init_step_state(
            worker_weights.theta, worker_weights.outer_state, key
        )

    def compute_gradient_estimate(
        self,
        worker_weights: WorkerWeights,
        key: PRNGKey,
        state: Any,
        with_summary: bool = False,
        datas_list: Any = None,
    ) -> tuple[GradientEstimatorOut, Mapping[str, jax.Array]]:
        """Return an estimate and metrics.

        Args:
          worker_weights: meta-parameters, and where meta-training is.
          key: PRNG key.
          state: where the inner problems are.
          with_summary: part of the published interface; has no effect.
          datas_list: data of all updates, a list of batches or one tree
            `[steps, ...]`; taken from the data sets if None.
        """
        del with_summary
        data = stack_batches(datas_list)
        if data is None:
            data = self.truncated_step.get_batch(self.num_updates)
        return self._jitted(worker_weights, key, state, data), {}

    def task_name(self) -> str:
        """Return the name of the inner problems, for records."""
        return self.truncated_step.task_name()

    @property
    def cfg_name(self) -> str:
        """What is trained, for records."""
        return self.truncated_step.cfg_name

    # A compiled estimate is kept by the estimator: there is one per object.
    @functools.cached_property
    def _jitted(self) -> Any:
        return jax.jit(self._estimate)

    def _estimate(
        self, worker_weights: WorkerWeights, key: PRNGKey, state: Any, data: Any
    ) -> GradientEstimatorOut:
        raise NotImplementedError
