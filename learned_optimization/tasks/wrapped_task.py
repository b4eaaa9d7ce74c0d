"""What wrappers of tasks and of families have in common: names and equality."""

from __future__ import annotations

import dataclasses
import math
import numbers
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from learned_optimization.errors import LoptError
from learned_optimization.tasks.base import (
    Batch,
    ModelState,
    Params,
    PRNGKey,
    Task,
    TaskFamily,
)
from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.tasks.task import computed

ARRAYS = (jax.Array, np.ndarray)


def check_positive(what: str, value: Any, maximum: float = math.inf) -> None:
    """Raise `LoptError` unless `value` is finite, above 0 and at most `maximum`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan
    if not 0 < number <= maximum or math.isinf(number):
        limit = "" if maximum == math.inf else f" and at most {maximum:g}"
        raise LoptError(f"{what} must be a number above 0{limit}, got {value!r}.")


def normal_like(key: PRNGKey, tree: Any) -> Any:
    """Return a standard normal draw of the shapes and float dtypes of `tree`."""
    leaves, treedef = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(len(leaves), 1))
    draws = [
        jax.random.normal(k, a.shape, a.dtype)
        for k, a in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(treedef, draws)


def with_float_dtype(tree: Any, dtype: str = "float32") -> Any:
    """Return the same tree as jax arrays, those of floats in another dtype."""

    def one(x):
        x = jnp.asarray(x)
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(one, tree)


def _settings(wrapper: Any) -> dict[str, Any]:
    _, *fields = dataclasses.fields(wrapper)
    return {field.name: getattr(wrapper, field.name) for field in fields}


def _text(value: Any) -> str:
    if callable(value):
        # The text of a function holds its address, which no other process repeats.
        return getattr(value, "__name__", type(value).__name__)
    leaves = jax.tree.leaves(value)
    if not any(isinstance(leaf, ARRAYS) for leaf in leaves):
        return str(value).replace(" ", "")
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return ""
    return f"{zlib.crc32(b''.join(np.asarray(leaf).tobytes() for leaf in leaves)):08x}"


def _wrapper_name(wrapper: Any, inner: str) -> str:
    """Return the class, every setting that is not the default, and what is wrapped."""
    _, *fields = dataclasses.fields(wrapper)
    changed = [
        f"_{name}{_text(value)}"
        for field, (name, value) in zip(fields, _settings(wrapper).items(), strict=True)
        if not isinstance(value, type(field.default)) or value != field.default
    ]
    return f"{type(wrapper).__name__}{''.join(changed)}_{inner}"


@dataclass(frozen=True, eq=False)
class WrappedTask(Task):
    """A task that changes another one; subclasses override what they change.

    Every loss is derived from `loss_with_state_and_aux`. Two wrappers are equal if
    their settings are; arrays among the settings, which may be traced, count as
    equal only if they are the same object.

    Attributes:
      task: the wrapped task, with or without model state.
    """

    task: Task

    def _identity(self) -> tuple[Any, ...]:
        leaves, treedef = jax.tree.flatten((self.task, _settings(self)))
        by_id = [id(leaf) if isinstance(leaf, ARRAYS) else leaf for leaf in leaves]
        return (type(self), treedef, *by_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WrappedTask) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    @property
    def name(self) -> str:
        """The class, every setting that is not the default, and the inner name."""
        return self._name or _wrapper_name(self, self.task.name)

    @computed
    def datasets(self) -> Datasets | None:
        """The data of the wrapped task."""
        return self.task.datasets

    def init(self, key: PRNGKey) -> Params:
        """Draw initial parameters."""
        return self.init_with_state(key)[0]

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Draw initial parameters and model state."""
        return self.task.init_with_state(key)

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return the loss of one batch, for a task without model state."""
        return self.loss_with_state(params, None, key, data)[0]

    def loss_with_state(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState]:
        """Return the loss of one batch and the model state after it."""
        return self.loss_with_state_and_aux(params, state, key, data)[:2]

    def loss_and_aux(
        self, params: Params, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, Any]:
        """Return the loss and further scalars, for a task without model state."""
        loss, _, aux = self.loss_with_state_and_aux(params, None, key, data)
        return loss, aux

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss, the model state after the batch, and further scalars."""
        return self.task.loss_with_state_and_aux(params, state, key, data)

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Return the scale of the wrapped task."""
        return self.task.normalizer(loss)


@dataclass(frozen=True)
class WrappedTaskFamily(TaskFamily):
    """Wraps every task of another family, with the settings the wrapper has.

    Attributes:
      task_family: the family whose tasks are wrapped.
    """

    task_family: TaskFamily
    _wrapper: ClassVar[type[WrappedTask]]

    def __post_init__(self) -> None:
        # Settings are checked and put into one form by the wrapper itself.
        for name, value in _settings(self._wrapper(Task(), **_settings(self))).items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """The class, every setting that is not the default, and the inner name."""
        return self._name or _wrapper_name(self, self.task_family.name)

    @computed
    def datasets(self) -> Datasets | None:
        """The data of the wrapped family."""
        return self.task_family.datasets

    @property
    def eval_datasets(self) -> Datasets | None:
        """The evaluation data of the wrapped family."""
        return self.task_family.eval_datasets

    def sample(self, key: PRNGKey) -> Any:
        """Return a configuration of the wrapped family."""
        return self.task_family.sample(key)

    def task_fn(self, cfg: Any) -> Task:
        """Return the wrapped task of one configuration; traceable in `cfg`."""
        return self._wrapped(self.task_family.task_fn, cfg)

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the wrapped evaluation task of one configuration."""
        return self._wrapped(self.task_family.eval_task_fn, cfg)

    def _wrapped(self, task_fn: Callable[[Any], Task], cfg: Any) -> Task:
        return self._wrapper(task_fn(cfg), **_settings(self))


class WrappedTaskFamilyWithTaskWrapper(TaskFamily):
    """Wraps every task of another family with any function of a task.

    Args:
      task_family: the family whose tasks are wrapped.
      task_wrapper: returns the wrapped task of a task, e.g. `NormalizeTaskGradient`, or
        `functools.partial(ReparamWeights, param_scale=2.0)`.
      name: the name of the family; the class name if None.
    """

    def __init__(
        self,
        task_family: TaskFamily,
        task_wrapper: Callable[[Task], Task],
        name: str | None = None,
    ):
        self.task_family, self.task_wrapper = task_family, task_wrapper
        self.datasets = task_family.datasets
        self._name = name

    @property
    def eval_datasets(self) -> Datasets | None:
        """The evaluation data of the wrapped family."""
        return self.task_family.eval_datasets

    def sample(self, key: PRNGKey) -> Any:
        """Draw a configuration of the wrapped family."""
        return self.task_family.sample(key)

    def task_fn(self, cfg: Any) -> Task:
        """Return the wrapped task of one configuration."""
        return self.task_wrapper(self.task_family.task_fn(cfg))

    def eval_task_fn(self, cfg: Any) -> Task:
        """Return the wrapped evaluation task of one configuration."""
        return self.task_wrapper(self.task_family.eval_task_fn(cfg))
