"""The interface of a task: a loss to minimize, and the data it needs.

A stateless task implements `init` and `loss` only. A task whose model carries
state (batch-norm statistics, say) overrides `init_with_state` and
`loss_with_state`. Every other method is derived from these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.tasks.datasets.base import Datasets

Params = Any
ModelState = Any
Batch = Any
PRNGKey = jax.Array


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
        """Draws initial parameters.

        Args:
          key: PRNG key that decides the draw.

        Returns:
          A pytree of float arrays.
        """
        raise NotImplementedError(f"{type(self).__name__} must define init(key).")

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Draws initial parameters and model state (None for a stateless task)."""
        return self.init(key), None

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """The loss of one batch.

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
        """The loss of one batch and the model state after it."""
        if state is not None:
            raise TypeError(
                f"task {self.name} is stateless but was given a model state."
            )
        return self.loss(params, key, data), None

    def loss_and_aux(
        self, params: Params, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        """The loss of one batch and further scalars worth recording."""
        return self.loss(params, key, data), {}

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Mapping[str, jax.Array]]:
        """The loss, the model state after the batch, and scalars worth recording.

        Evaluation calls this one: each entry of the last value is stored in the
        result file as `eval/SPLIT/<its key>`.
        """
        if type(self).loss_and_aux is not Task.loss_and_aux and state is None:
            loss, aux = self.loss_and_aux(params, key, data)
            return loss, None, aux
        loss, state = self.loss_with_state(params, state, key, data)
        return loss, state, {}

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Maps a loss to a scale shared by tasks; the identity unless overridden."""
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
        """Draws a configuration: a pytree of arrays, so that `vmap` may draw many."""
        raise NotImplementedError(f"{type(self).__name__} must define sample(key).")

    def task_fn(self, cfg: Any) -> Task:
        """The task of one configuration; traceable in `cfg`."""
        raise NotImplementedError(f"{type(self).__name__} must define task_fn(cfg).")

    def sample_task(self, key: PRNGKey) -> Task:
        """Draws a configuration and makes its task."""
        return self.task_fn(self.sample(key))


class SingleTaskFamily(TaskFamily):
    """The family that holds one task only."""

    def __init__(self, task: Task, eval_task: Task | None = None):
        self.task = task
        self.datasets = task.datasets
        self._eval_datasets = (eval_task or task).datasets
        self._name = task.name

    @property
    def eval_datasets(self) -> Datasets | None:
        """Data of the evaluation task."""
        return self._eval_datasets

    def sample(self, key: PRNGKey) -> Any:
        """A constant: there is nothing to draw."""
        del key
        return jnp.zeros([], jnp.int32)

    def task_fn(self, cfg: Any) -> Task:
        """The one task, whatever `cfg` is."""
        del cfg
        return self.task


@configurable(module="learned_optimization")
def single_task_to_family(task: Task, eval_task: Task | None = None) -> TaskFamily:
    """Wraps one task as a family.

    Args:
      task: the task every draw returns.
      eval_task: task whose data sets are used in evaluation; `task` if None.
    """
    return SingleTaskFamily(task, eval_task)


class _SampledTask(Task):
    """A drawn task that keeps a name of its own without changing the original."""

    _delegated: ClassVar[tuple[str, ...]] = (
        "init",
        "init_with_state",
        "loss",
        "loss_with_state",
        "loss_and_aux",
        "loss_with_state_and_aux",
        "normalizer",
    )

    def __init__(self, task: Task, name: str):
        self.datasets = task.datasets
        self._name = name
        for method in self._delegated:
            setattr(self, method, getattr(task, method))


@configurable(module="learned_optimization")
def get_task(
    task_family: TaskFamily, key: PRNGKey | None = None, sample_seed: int = 0
) -> Task:
    """Draws one task of a family, the same one for the same key or seed.

    Args:
      task_family: the family to draw from.
      key: PRNG key; made from `sample_seed` if None.
      sample_seed: seed used where no key is given.

    Returns:
      The task, named `<family>_seed<sample_seed>` when drawn by seed.
    """
    if key is not None:
        return task_family.sample_task(key)
    task = task_family.sample_task(jax.random.PRNGKey(sample_seed))
    if isinstance(task_family, SingleTaskFamily):
        return task
    return _SampledTask(task, f"{task_family.name}_seed{sample_seed}")


def get_task_from_name(name: str) -> Task:
    """The registered task of that name.

    Args:
      name: a fixed task, e.g. `"ImageMLP_FashionMnist8_Relu32"`.

    Raises:
      UnknownNameError: with the nearest names, if there is no such task.
    """
    from learned_optimization.tasks import registry

    return registry.get(name).make()


def setting_of(task: Task) -> str:
    """What a task is, as text that is the same in every process.

    Functions among its settings, such as an activation, are told apart only by
    the task's name.
    """
    return re.sub(r" at 0x[0-9a-f]+", "", f"{task.name} {task!r}")


def softmax_cross_entropy(*, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of the softmax of `logits` against one-hot (or soft) labels.

    Args:
      logits: float `[..., num_classes]`, unnormalized log probabilities.
      labels: float `[..., num_classes]`, rows that sum to one.

    Returns:
      Float `[...]`, in nats.
    """
    return -jnp.sum(labels * jax.nn.log_softmax(logits, axis=-1), axis=-1)
