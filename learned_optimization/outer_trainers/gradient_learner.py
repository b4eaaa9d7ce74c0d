"""Meta-training step by step: workers estimate gradients, a learner averages them.

`SingleMachineGradientLearner` does both. `program.MetaProgram` does the same as one
compiled program; this is for estimators of one's own, and for several machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.learned_optimizers.checkpoints import ParameterCheckpoint
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.outer_trainers.gradient_estimator import (
    GradientEstimator,
    GradientEstimatorOut,
    OuterState,
    UnrollInfo,
    WorkerWeights,
)
from learned_optimization.outer_trainers.gradient_worker import (
    AggregatedGradient,
    WorkerComputeOut,
    gradient_worker_compute,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import PRNGKey

__all__ = [
    "AggregatedGradient",
    "GradientEstimator",
    "GradientEstimatorOut",
    "GradientLearner",
    "GradientLearnerState",
    "OptCheckpoint",
    "OuterState",
    "ParameterCheckpoint",
    "SingleMachineGradientLearner",
    "SingleMachineState",
    "UnrollInfo",
    "WorkerComputeOut",
    "WorkerWeights",
    "gradient_worker_compute",
]

_configurable = configurable(__name__)


@flax.struct.dataclass
class OptCheckpoint:
    """A learner's state, apart from theta.

    Attributes:
      gradient_learner_state: of `GradientLearner`.
      elapsed_time: seconds of meta-training.
      total_inner_steps: updates of inner problems.
    """

    gradient_learner_state: Any
    elapsed_time: Any
    total_inner_steps: Any


@flax.struct.dataclass
class GradientLearnerState:
    """Where a learner is.

    Attributes:
      theta_opt_state: of the outer optimizer; theta is its parameters.
    """

    theta_opt_state: Any


@_configurable
class GradientLearner:
    """Steps meta-parameters by the mean of gradients that workers send.

    Args:
      meta_init: has `init(key)`, which makes meta-parameters: a learned optimizer.
      theta_opt: the outer optimizer.
      init_theta_from_path: a checkpoint that meta-parameters begin from.
      init_outer_state_from_path: part of the published interface; must be None.
      reset_outer_iteration: part of the published interface; has no effect.
      num_steps: meta-steps, told to the outer optimizer.
      init_seed: seed of the first meta-parameters, in place of the key given.
    """

    def __init__(
        self,
        meta_init: Any,
        theta_opt: Optimizer,
        init_theta_from_path: str | None = None,
        init_outer_state_from_path: str | None = None,
        reset_outer_iteration: bool = False,
        num_steps: int | None = None,
        init_seed: int | None = None,
    ):
        del reset_outer_iteration
        if init_outer_state_from_path is not None:
            raise LoptError(
                "init_outer_state_from_path is not supported: a run goes on from its "
                "own folder, and init_theta_from_path begins from a checkpoint."
            )
        self._meta_init, self._theta_opt = meta_init, theta_opt
        self._init_theta_from_path = init_theta_from_path
        self._num_steps, self._init_seed = num_steps, init_seed

    def init(self, key: PRNGKey) -> GradientLearnerState:
        """Return the state before the first meta-step."""
        if self._init_seed is not None:
            key = key_of_seed(self._init_seed)
        theta_key, opt_key = jax.random.split(key)
        theta = self._meta_init.init(theta_key)
        if self._init_theta_from_path:
            stored = checkpoints.read(self._init_theta_from_path).params
            theta = checkpoints.match(stored, theta, self._init_theta_from_path)
        theta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), theta)
        state = self._theta_opt.init(theta, num_steps=self._num_steps, key=opt_key)
        return GradientLearnerState(state)

    def get_meta_params(self, state: GradientLearnerState) -> MetaParams:
        """Return the meta-parameters."""
        return self._theta_opt.get_params(state.theta_opt_state)

    def get_state_for_worker(
        self, state: GradientLearnerState, outer_iteration: Any = None
    ) -> WorkerWeights:
        """Return what a worker needs.

        Args:
          state: where the learner is.
          outer_iteration: meta-steps done; the outer optimizer's count if None.
        """
        if outer_iteration is None:
            outer_iteration = getattr(state.theta_opt_state, "iteration", 0)
        outer = OuterState(jnp.asarray(outer_iteration, jnp.int32))
        return WorkerWeights(self.get_meta_params(state), None, outer)

    def update(
        self,
        state: GradientLearnerState,
        grads_list: Sequence[AggregatedGradient],
        with_metrics: bool = False,
        key: PRNGKey | None = None,
    ) -> tuple[GradientLearnerState, dict[str, Any]]:
        """Return the state after one meta-step, and metrics.

        Args:
          state: where the learner is.
          grads_list: what workers sent, one at least.
          with_metrics: part of the published interface; has no effect.
          key: PRNG key of the outer optimizer.
        """
        del with_metrics
        mean = jax.tree.map(
            lambda *g: sum(g) / len(grads_list), *[g.theta_grads for g in grads_list]
        )
        loss = sum(g.mean_loss for g in grads_list) / len(grads_list)
        opt_state = self._theta_opt.update(
            state.theta_opt_state, mean, loss=jnp.asarray(loss), key=key
        )
        return GradientLearnerState(opt_state), {"mean_loss": loss}


@flax.struct.dataclass
class SingleMachineState:
    """Where meta-training on one machine is.

    Attributes:
      gradient_learner_state: of the learner.
      gradient_estimator_states: where the inner problems are, one per estimator.
      outer_iteration: meta-steps done.
    """

    gradient_learner_state: GradientLearnerState
    gradient_estimator_states: Sequence[Any]
    outer_iteration: int = 0


@_configurable
class SingleMachineGradientLearner:
    """Meta-trains on one machine, one call per meta-step.

    Args:
      meta_init: has `init(key)`: a learned optimizer.
      gradient_estimators: their gradients are averaged.
      theta_opt: the outer optimizer.
      num_steps: meta-steps, told to the outer optimizer.
    """

    def __init__(
        self,
        meta_init: Any,
        gradient_estimators: Sequence[GradientEstimator],
        theta_opt: Optimizer,
        num_steps: int | None = None,
    ):
        self.gradient_learner = GradientLearner(
            meta_init, theta_opt, num_steps=num_steps
        )
        self.gradient_estimators = tuple(gradient_estimators)

    @classmethod
    def of(
        cls, learner: GradientLearner, estimators: Sequence[GradientEstimator]
    ) -> SingleMachineGradientLearner:
        """Return one of a learner that is made already.

        Args:
          learner: the learner.
          estimators: their gradients are averaged.
        """
        made = object.__new__(cls)
        made.gradient_learner = learner
        made.gradient_estimators = tuple(estimators)
        return made

    def init(self, key: PRNGKey) -> SingleMachineState:
        """Return the state before the first meta-step."""
        learner_key, key = jax.random.split(key)
        learner = self.gradient_learner.init(learner_key)
        weights = self.gradient_learner.get_state_for_worker(learner, 0)
        keys = jax.random.split(key, len(self.gradient_estimators))
        states = [
            estimator.init_worker_state(weights, one)
            for estimator, one in zip(self.gradient_estimators, keys, strict=True)
        ]
        return SingleMachineState(learner, tuple(states), 0)

    def update(
        self, state: SingleMachineState, key: PRNGKey, with_metrics: bool = False
    ) -> tuple[SingleMachineState, jax.Array, Mapping[str, Any]]:
        """Return the state after a meta-step, the mean meta-loss, and metrics."""
        worker_key, learner_key = jax.random.split(key)
        done = state.outer_iteration
        weights = self.gradient_learner.get_state_for_worker(
            state.gradient_learner_state, done
        )
        out = gradient_worker_compute(
            weights,
            self.gradient_estimators,
            state.gradient_estimator_states,
            worker_key,
            with_metrics,
        )
        learner, _ = self.gradient_learner.update(
            state.gradient_learner_state, [out.to_put], with_metrics, learner_key
        )
        after = SingleMachineState(learner, out.unroll_states, done + 1)
        return after, out.to_put.mean_loss, out.metrics

    def get_meta_params(self, state: SingleMachineState) -> MetaParams:
        """Return the meta-parameters."""
        return self.gradient_learner.get_meta_params(state.gradient_learner_state)
