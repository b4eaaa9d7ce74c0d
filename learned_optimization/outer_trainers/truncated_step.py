"""The interface of an inner problem that is trained a truncation at a time."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import numpy as np
from jax import lax

from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.tasks.base import Batch, PRNGKey

__all__ = ["TruncatedStep", "TruncatedUnrollOut", "VectorizedTruncatedStep"]

UnrollState = Any
"""Where inner problems are: a pytree of arrays."""


@flax.struct.dataclass
class TruncatedUnrollOut:
    """What an update tells; `[tasks]` each of several problems.

    Attributes:
      loss: float32, the meta-loss; 0 where the problem began again.
      is_done: bool, whether the problem before was over, and began again with this
        update: its loss and those that follow are of the next one.
      task_param: the configuration of the task.
      iteration: int32, updates done.
      mask: bool, False where the problem began again in place of an update.
    """

    loss: jax.Array
    is_done: jax.Array
    task_param: Any
    iteration: jax.Array
    mask: jax.Array


class TruncatedStep:
    """One inner problem: it can begin, and do an update."""

    def outer_init(self, key: PRNGKey) -> MetaParams:
        """Return meta-parameters that nothing has trained."""
        raise NotImplementedError

    def init_step_state(
        self, theta: MetaParams, outer_state: Any, key: PRNGKey
    ) -> UnrollState:
        """Return the state of a problem that begins.

        Args:
          theta: meta-parameters.
          outer_state: has `outer_iteration`, the meta-steps done.
          key: PRNG key.
        """
        raise NotImplementedError

    def unroll_step(
        self,
        theta: MetaParams,
        unroll_state: UnrollState,
        key: PRNGKey,
        data: Batch,
        outer_state: Any,
    ) -> tuple[UnrollState, TruncatedUnrollOut]:
        """Return the state after an update, and what it tells.

        Args:
          theta: meta-parameters.
          unroll_state: the state before.
          key: PRNG key.
          data: what `get_batch` returns, of one update.
          outer_state: as of `init_step_state`.
        """
        raise NotImplementedError

    def meta_loss_batch(
        self,
        theta: MetaParams,
        unroll_state: UnrollState,
        key: PRNGKey,
        data: Batch,
        outer_state: Any,
    ) -> jax.Array:
        """Return the meta-loss of a batch where the problem is, without an update."""
        raise NotImplementedError

    def get_batch(self, steps: int | None = None) -> Batch:
        """Return the data of an update, or of several: `[steps, ...]`."""
        raise NotImplementedError

    def get_outer_batch(self, steps: int | None = None) -> Batch:
        """Return data for `meta_loss_batch`, or several times that."""
        return self.get_batch(steps)

    @property
    def cfg_name(self) -> str:
        """What is trained, for records."""
        return type(self).__name__

    def task_name(self) -> str:
        """Return the name of the inner problem, for records."""
        return type(self).__name__


class VectorizedTruncatedStep(TruncatedStep):
    """Several inner problems, side by side.

    Its states, keys apart, have a leading axis `[num_tasks]`; so has theta where
    `theta_is_vector`. A subclass defines the methods of `TruncatedStep` of several
    problems, or is given one problem.

    Args:
      truncated_step: one problem.
      num_tasks: how many there are.
      random_seed: part of the published interface; has no effect.
    """

    def __init__(
        self,
        truncated_step: TruncatedStep,
        num_tasks: int,
        random_seed: int | None = None,
    ):
        del random_seed
        self.truncated_step, self._num_tasks = truncated_step, num_tasks

    @property
    def num_tasks(self) -> int:
        """How many problems there are."""
        return self._num_tasks

    def outer_init(self, key: PRNGKey) -> MetaParams:
        """Return meta-parameters that nothing has trained."""
        return self.truncated_step.outer_init(key)

    def init_step_state(
        self,
        theta: MetaParams,
        outer_state: Any,
        key: PRNGKey,
        theta_is_vector: bool = False,
        num_steps_override: Any = None,
    ) -> UnrollState:
        """Return the states of problems that begin; see `TruncatedStep`.

        Args:
          theta: meta-parameters.
          outer_state: has `outer_iteration`, the meta-steps done.
          key: PRNG key.
          theta_is_vector: whether each problem has meta-parameters of its own.
          num_steps_override: the length of all, in place of the schedule's.
        """

        def one(theta: MetaParams, key: PRNGKey) -> UnrollState:
            extra = {}
            if num_steps_override is not None:
                extra["num_steps_override"] = num_steps_override
            return self.truncated_step.init_step_state(theta, outer_state, key, **extra)

        keys = jax.random.split(key, self.num_tasks)
        return jax.vmap(one, in_axes=(0 if theta_is_vector else None, 0))(theta, keys)

    def unroll_step(
        self,
        theta: MetaParams,
        unroll_state: UnrollState,
        key: PRNGKey,
        data: Batch,
        outer_state: Any,
        theta_is_vector: bool = False,
    ) -> tuple[UnrollState, TruncatedUnrollOut]:
        """Return the states after an update of each, and what it tells.

        Args:
          theta: meta-parameters.
          unroll_state: the states before.
          key: PRNG key.
          data: what `get_batch` returns, of one update.
          outer_state: as of `init_step_state`.
          theta_is_vector: whether each problem has meta-parameters of its own.
        """
        keys = jax.random.split(key, self.num_tasks)
        one = self.truncated_step.unroll_step
        axes = (0 if theta_is_vector else None, 0, 0, 0, None)
        return jax.vmap(one, in_axes=axes)(theta, unroll_state, keys, data, outer_state)

    def unroll(
        self,
        theta: MetaParams,
        unroll_state: UnrollState,
        key: PRNGKey,
        data: Batch,
        outer_state: Any,
        num_steps: int,
        theta_is_vector: bool = False,
    ) -> tuple[UnrollState, TruncatedUnrollOut]:
        """Return the states after several updates, and what they tell `[steps, ...]`.

        Args:
          theta: meta-parameters.
          unroll_state: the states before.
          key: PRNG key; equal keys draw the same, whatever theta is.
          data: what `get_batch(num_steps)` returns.
          outer_state: as of `init_step_state`.
          num_steps: updates of each problem.
          theta_is_vector: whether each problem has meta-parameters of its own.
        """

        def body(state: UnrollState, read: Any) -> Any:
            key, batch = read
            return self.unroll_step(
                theta, state, key, batch, outer_state, theta_is_vector
            )

        keys = jax.random.split(key, num_steps)
        return lax.scan(body, unroll_state, (keys, data), length=num_steps)

    def meta_loss_batch(
        self,
        theta: MetaParams,
        unroll_state: UnrollState,
        key: PRNGKey,
        data: Batch,
        outer_state: Any,
        theta_is_vector: bool = False,
    ) -> jax.Array:
        """Return the meta-loss of each problem, float32 `[num_tasks]`."""
        keys = jax.random.split(key, self.num_tasks)
        one = self.truncated_step.meta_loss_batch
        axes = (0 if theta_is_vector else None, 0, 0, 0, None)
        return jax.vmap(one, in_axes=axes)(theta, unroll_state, keys, data, outer_state)

    def get_batch(self, steps: int | None = None) -> Batch:
        """Return the data of an update of each problem, or of several updates."""
        return self._stacked(self.truncated_step.get_batch, steps)

    def get_outer_batch(self, steps: int | None = None) -> Batch:
        """Return data for `meta_loss_batch`, or several times that."""
        return self._stacked(self.truncated_step.get_outer_batch, steps)

    def _stacked(self, get: Any, steps: int | None) -> Batch:
        each = [get(steps) for _ in range(self.num_tasks)]
        axis = 0 if steps is None else 1
        return jax.tree.map(lambda *x: np.stack(x, axis), *each)

    @property
    def cfg_name(self) -> str:
        """What is trained, for records."""
        return self.truncated_step.cfg_name

    def task_name(self) -> str:
        """Return the name of the inner problem, for records."""
        return self.truncated_step.task_name()
