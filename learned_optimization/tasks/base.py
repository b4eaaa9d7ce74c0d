"""Tasks and families of tasks, and how to get one: by name, or drawn.

The interface itself is in `tasks.task`; it is imported from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.numerics import pinned
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.tasks.registry import TASKS
from learned_optimization.tasks.task import (
    Batch,
    ModelState,
    Params,
    PRNGKey,
    SampledCfg,
    SampledTaskFamily,
    SingleTaskFamily,
    StaticCfg,
    Task,
    TaskCfg,
    TaskFamily,
)

__all__ = [
    "Batch",
    "Datasets",
    "ModelState",
    "PRNGKey",
    "Params",
    "SampledCfg",
    "SampledTaskFamily",
    "SingleTaskFamily",
    "StaticCfg",
    "Task",
    "TaskCfg",
    "TaskFamily",
    "get_task",
    "get_task_from_name",
    "sample_single_task_family",
    "sample_task_family_from_task_fns",
    "single_task_to_family",
    "softmax_cross_entropy",
]

_configurable = configurable(__name__)


@_configurable
def single_task_to_family(
    task: Task, name: str | None = None, eval_task: Task | None = None
) -> TaskFamily:
    """Wrap one task as a family.

    Args:
      task: the task every draw returns.
      name: the family's name; the task's if None.
      eval_task: the task evaluated, and whose data sets are used there; `task` if
        None.
    """
    return SingleTaskFamily(task, name, eval_task)


@_configurable
def sample_single_task_family(key: PRNGKey, task_family: TaskFamily) -> TaskFamily:
    """Return the given family for every key: a distribution over one family.

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
@pinned()
def get_task(
    task_family: TaskFamily | None = None,
    task_family_seed: int | None = None,
    sample_task_family_fn: Callable[[PRNGKey], TaskFamily] | None = None,
    sample_task_family_fn_seed: int | None = None,
    *,
    key: PRNGKey | None = None,
    sample_seed: int | None = None,
) -> Task:
    """Draw one task of a family, the same one for the same seeds.

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
        task_family = sample_task_family_fn(key_of_seed(family_seed))
    if key is not None:
        return task_family.sample_task(key)
    seed = seeds[0] if seeds else 0
    task = task_family.sample_task(key_of_seed(seed))
    if isinstance(task_family, SingleTaskFamily):
        return task
    return _SampledTask(task, f"{task_family.name}_seed{seed}")


def get_task_from_name(name: str) -> Task:
    """Return the registered task of that name.

    Args:
      name: a fixed task, e.g. `"ImageMLP_FashionMnist8_Relu32"`.

    Raises:
      UnknownNameError: with the nearest names, if there is no such task.
    """
    return TASKS.get(name).make()


def softmax_cross_entropy(*, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the cross entropy of the softmax of `logits` and one-hot or soft labels.

    Args:
      logits: float `[..., num_classes]`, unnormalized log probabilities.
      labels: float `[..., num_classes]`, rows that sum to one.

    Returns:
      Float `[...]`, in nats.
    """
    return -jnp.sum(labels * jax.nn.log_softmax(logits, axis=-1), axis=-1)
