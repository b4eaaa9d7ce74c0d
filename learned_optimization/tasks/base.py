"""The interface of a task: a loss to minimize, and the data it needs.

A stateless task implements `init` and `loss` only. A task whose model carries
state (batch-norm statistics, say) overrides `init_with_state` and
`loss_with_state`. Every other method is derived from these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets.base import Datasets

_configurable = configurable(__name__)

Params = Any
ModelState = Any
Batch = Any
PRNGKey = jax.Array
# Configurations of tasks and of families: trees of arrays.
TaskCfg = Any
StaticCfg = Any
SampledCfg = Any


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

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the task evaluated where `task_fn(cfg)` is trained.

        The same one unless overridden.
        """
        return self.task_fn(cfg)

    def sample_task(self, key: PRNGKey) -> Task:
        """Draws a configuration and makes its task."""
        return self.task_fn(self.sample(key))


class SampledTaskFamily(TaskFamily):
    """A family that was drawn itself, from a distribution over families.

    Attributes:
      static_cfg: what decides shapes and programs: the same for all of its tasks.
      sampled_cfg: what was drawn for it besides, a pytree of arrays.
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
        """A constant: there is nothing to draw."""
        del key
        return jnp.zeros([], jnp.int32)

    def task_fn(self, cfg: Any) -> Task:
        """The one task, whatever `cfg` is."""
        del cfg
        return self.task

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the evaluation task, whatever `cfg` is."""
        del cfg
        return self.eval_task


@_configurable
def single_task_to_family(
    task: Task, name: str | None = None, eval_task: Task | None = None
) -> TaskFamily:
    """Wraps one task as a family.

    Args:
      task: the task every draw returns.
      name: the family's name; the task's if None.
      eval_task: the task evaluated, and whose data sets are used there; `task` if
        None.
    """
    return SingleTaskFamily(task, name, eval_task)


@_configurable
def sample_single_task_family(key: PRNGKey, task_family: TaskFamily) -> TaskFamily:
    """Return a given family, whatever the key: a distribution over one family.

    Raises:
      LoptError: if `task_family` is no task family.
    """
    del key
    if not isinstance(task_family, TaskFamily):
        raise LoptError(
            f"task_family must be a TaskFamily, got {task_family!r}: make one of a "
            "task with single_task_to_family(task)."
        )
    return task_family


@_configurable
def sample_task_family_from_task_fns(
    key: PRNGKey, task_fns: Sequence[Callable[[], Task | TaskFamily]]
) -> TaskFamily:
    """Draw one of several functions, and return the family it makes.

    Args:
      key: PRNG key that decides which, with equal chances; not traced.
      task_fns: functions without arguments that make a task, which becomes a family
        of its own, or a family.

    Raises:
      LoptError: if there are no functions, or one makes neither.
    """
    if len(task_fns) == 0:
        raise LoptError("task_fns must hold at least one function, got none.")
    made = task_fns[int(jax.random.randint(key, (), 0, len(task_fns)))]()
    if isinstance(made, Task):
        made = single_task_to_family(made)
    return sample_single_task_family(key, made)


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


@_configurable
def get_task(
    task_family: TaskFamily | None = None,
    task_family_seed: int | None = None,
    sample_task_family_fn: Callable[[PRNGKey], TaskFamily] | None = None,
    sample_task_family_fn_seed: int | None = None,
    *,
    key: PRNGKey | None = None,
    sample_seed: int | None = None,
) -> Task:
    """Draws one task of a family, the same one for the same seeds.

    Args:
      task_family: the family to draw from.
      task_family_seed: decides the task drawn; 0 if None.
      sample_task_family_fn: draws the family, where none is given.
      sample_task_family_fn_seed: decides the family drawn; 0 if None.
      key: PRNG key that decides the task instead of `task_family_seed`.
      sample_seed: another name of `task_family_seed`.

    Returns:
      The task, named `<family>_seed<task_family_seed>` when drawn by seed.

    Raises:
      LoptError: unless one of `task_family` and `sample_task_family_fn` is given,
        and at most one of `key`, `task_family_seed` and `sample_seed`.
    """
    if (task_family is None) == (sample_task_family_fn is None):
        raise LoptError(
            "get_task needs either task_family or sample_task_family_fn, got "
            f"{task_family!r} and {sample_task_family_fn!r}."
        )
    seeds = [s for s in (task_family_seed, sample_seed) if s is not None]
    if len(seeds) + (key is not None) > 1:
        raise LoptError(
            "get_task draws by key, by task_family_seed or by sample_seed, which is "
            "another name of it: give one of them."
        )
    if task_family is None:
        assert sample_task_family_fn is not None
        family_seed = sample_task_family_fn_seed or 0
        task_family = sample_task_family_fn(jax.random.PRNGKey(family_seed))
    if key is not None:
        return task_family.sample_task(key)
    seed = seeds[0] if seeds else 0
    task = task_family.sample_task(jax.random.PRNGKey(seed))
    if isinstance(task_family, SingleTaskFamily):
        return task
    return _SampledTask(task, f"{task_family.name}_seed{seed}")


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
