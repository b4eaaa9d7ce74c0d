"""The interface of a task: a loss to minimize, and the data it needs.

A stateless task implements `init` and `loss` only. A task whose model carries
state (batch-norm statistics, say) overrides `init_with_state` and
`loss_with_state`. Every other method is derived from these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

from learned_optimization.tasks.datasets.base import Datasets

Params = Any
"""Parameters: a pytree of float arrays."""
ModelState = Any
"""What a model carries besides its parameters: a pytree of arrays, or None."""
Batch = Any
"""One batch of data: a pytree of arrays, or None."""
PRNGKey = jax.Array
"""A key of `jax.random`."""
TaskCfg = Any
"""The configuration of a task: a pytree of arrays."""
StaticCfg = Any
"""The part of a configuration that a family fixes: a pytree of arrays."""
SampledCfg = Any
"""The part of a configuration that a family draws: a pytree of arrays."""

_Value = TypeVar("_Value")


def computed(get: Callable[[Any], _Value]) -> _Value:
    """Turn a method into a property that overrides an attribute of a base class.

    `property` itself is refused there by type checkers, which take the value computed
    for the attribute's.
    """
    return cast(_Value, property(get))


class Task:
    """A fixed loss function of some parameters.

    Attributes:
      datasets: the data sets of the task, or None where the loss needs no data.
        Reading the attribute loads nothing; drawing a batch does.
    """

    datasets: Datasets | None = None
    _name: str | None = None

    @property
    def name(self) -> str:
        """The name results are stored under; the class name unless set."""
        return self._name or type(self).__name__

    def init(self, key: PRNGKey) -> Params:
        """Draw initial parameters.

        Args:
          key: PRNG key that decides the draw.

        Returns:
          A pytree of float arrays.
        """
        raise NotImplementedError(f"{type(self).__name__} must define init(key).")

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Draw initial parameters and model state (None for a stateless task)."""
        return self.init(key), None

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return the loss of one batch.

        Args:
          params: pytree as returned by `init`.
          key: PRNG key for losses that draw (dropout, noise).
          data: one batch of `datasets`, or None where the task has none.

        Returns:
          A scalar, float32.
        """
        if type(self).loss_with_state is Task.loss_with_state:
            raise NotImplementedError(
                f"{type(self).__name__} must define loss(params, key, data) "
                "or loss_with_state(params, state, key, data)."
            )
        raise TypeError(
            f"task {self.name} has model state: call loss_with_state instead of loss."
        )

    def loss_with_state(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState]:
        """Return the loss of one batch and the model state after it."""
        if state is not None:
            raise TypeError(
                f"task {self.name} is stateless but was given a model state."
            )
        return self.loss(params, key, data), None

    def loss_and_aux(
        self, params: Params, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        """Return the loss of one batch and further scalars worth recording."""
        return self.loss(params, key, data), {}

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Mapping[str, jax.Array]]:
        """Return the loss, the model state after the batch, and scalars to record.

        Evaluation calls this one: each entry of the last value is stored in the
        result file as `eval/SPLIT/<its key>`.
        """
        if type(self).loss_and_aux is not Task.loss_and_aux and state is None:
            loss, aux = self.loss_and_aux(params, key, data)
            return loss, None, aux
        loss, state = self.loss_with_state(params, state, key, data)
        return loss, state, {}

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Map a loss to a scale shared by tasks; the identity unless overridden."""
        return loss


class TaskFamily:
    """A distribution over tasks that share one structure.

    Attributes:
      datasets: data the sampled tasks train on, or None.
    """

    datasets: Datasets | None = None
    _name: str | None = None

    @property
    def name(self) -> str:
        """The family's name; the class name unless set."""
        return self._name or type(self).__name__

    @property
    def eval_datasets(self) -> Datasets | None:
        """Data used in evaluation; the training data unless overridden."""
        return self.datasets

    def sample(self, key: PRNGKey) -> Any:
        """Draw a configuration: a pytree of arrays, so that `vmap` may draw many."""
        raise NotImplementedError(f"{type(self).__name__} must define sample(key).")

    def task_fn(self, cfg: Any) -> Task:
        """Return the task of one configuration; traceable in `cfg`."""
        raise NotImplementedError(f"{type(self).__name__} must define task_fn(cfg).")

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the task evaluated where `task_fn(cfg)` is trained.

        The same one unless overridden.
        """
        return self.task_fn(cfg)

    def sample_task(self, key: PRNGKey) -> Task:
        """Draw a configuration and make its task."""
        return self.task_fn(self.sample(key))


class SampledTaskFamily(TaskFamily):
    """A family that was drawn itself, from a distribution over families.

    Attributes:
      static_cfg: what decides shapes and programs: the same for all of its tasks.
      sampled_cfg: what else was drawn for it, a pytree of arrays.
    """

    static_cfg: StaticCfg
    sampled_cfg: SampledCfg


class SingleTaskFamily(TaskFamily):
    """The family that holds one task only."""

    def __init__(
        self, task: Task, name: str | None = None, eval_task: Task | None = None
    ):
        self.task, self.eval_task = task, eval_task or task
        self.datasets = task.datasets
        self._name = name or task.name

    @property
    def eval_datasets(self) -> Datasets | None:
        """Data of the evaluation task."""
        return self.eval_task.datasets

    def sample(self, key: PRNGKey) -> Any:
        """Return a constant: there is nothing to draw."""
        del key
        return jnp.zeros([], jnp.int32)

    def task_fn(self, cfg: Any) -> Task:
        """Return the one task, for every `cfg`."""
        del cfg
        return self.task

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the evaluation task, for every `cfg`."""
        del cfg
        return self.eval_task


def identity_of(task: Task) -> str:
    """Return what a task is, as text that is the same in every process.

    Functions among its settings, such as an activation, are told apart only by
    the task's name.
    """
    return re.sub(r" at 0x[0-9a-f]+", "", f"{task.name} {task!r}")
