"""Tasks whose parameters are those of a learned optimizer: meta-training as a task.

Whatever trains a task then meta-trains, and optimizers can be compared on it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.outer_trainers.gradient_estimator import (
    OuterState,
    WorkerWeights,
)
from learned_optimization.outer_trainers.lopt_truncated_step import LOptTruncatedStep
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncated_step import VectorizedTruncatedStep
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
)
from learned_optimization.tasks.base import (
    Batch,
    ModelState,
    Params,
    PRNGKey,
    single_task_to_family,
)
from learned_optimization.tasks.custom_gradient import with_gradient
from learned_optimization.tasks.datasets.base import SPLITS, ArrayData, Datasets
from learned_optimization.tasks.task import computed
from learned_optimization.tasks.wrapped_task import WrappedTask, check_positive

__all__ = ["LOptTask", "TruncatedPESTask"]


@dataclass(frozen=True)
class _ManyBatches(Datasets):
    """Several batches of a data set in arrays, one after another, as one batch.

    Attributes:
      datasets: the data set.
      count: how many batches.
      is_train_only: whether all splits are `train`.
    """

    datasets: Datasets
    count: int
    is_train_only: bool = False

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The data set's name."""
        return self.datasets.name

    @property
    def batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Examples of all batches."""
        return self.count * self.datasets.batch_size

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is made up."""
        return self.datasets.is_synthetic

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """Facts such as `num_classes`."""
        return self.datasets.extra_info

    @property
    def abstract_batch(self) -> Any:
        """Shapes and dtypes of all batches; reads nothing."""

        def one(a: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((self.batch_size, *a.shape[1:]), a.dtype)

        return jax.tree.map(one, self.datasets.abstract_batch)

    def is_available(self) -> bool:
        """Return whether its files are found."""
        return self.datasets.is_available()

    def load(self) -> ArrayData | None:
        """Return the whole data set."""
        data = self.datasets.load()
        if data is None:
            raise LoptError(
                f"the data of {self.datasets.name} is given as iterators; a task that "
                "trains on several batches at once needs it in arrays."
            )
        return _train_only(data) if self.is_train_only else data


@functools.lru_cache(maxsize=4)
def _train_only(data: ArrayData) -> ArrayData:
    return dataclasses.replace(data, splits=dict.fromkeys(SPLITS, data.splits["train"]))


def _weights(theta: MetaParams) -> WorkerWeights:
    # Lengths are constant here: how many meta-steps there were changes nothing.
    return WorkerWeights(theta, None, OuterState(jnp.zeros([], jnp.int32)))


@dataclass(frozen=True, eq=False)
class _OfBatches(WrappedTask):
    """A task whose batch is several of an inner task, one after another."""

    lopt: LearnedOptimizer

    @property
    def axes(self) -> tuple[int, ...]:
        """How batches of the inner task are counted."""
        raise NotImplementedError

    def batches(self, data: Batch) -> Batch:
        """Return batches of the inner task, `[*axes, examples, ...]`."""
        if data is None:
            return None
        assert self.task.datasets is not None
        shape = *self.axes, self.task.datasets.batch_size
        return jax.tree.map(lambda x: jnp.reshape(x, (*shape, *x.shape[1:])), data)

    def _data(self, is_train_only: bool = False) -> Datasets | None:
        if self.task.datasets is None:
            return None
        count = math.prod(self.axes)
        return _ManyBatches(self.task.datasets, count, is_train_only)


@dataclass(frozen=True, eq=False)
class LOptTask(_OfBatches):
    """Trains a learned optimizer by backpropagation through whole inner runs.

    Its loss is the mean of the normalized losses of a run of a task, each of a batch
    before the update. A batch is as many of the task as the run has steps.

    Attributes:
      task: the task that is trained inside.
      lopt: the learned optimizer.
      num_steps: updates of the inner run.
    """

    num_steps: int = 10

    def __post_init__(self) -> None:
        check_at_least("num_steps", self.num_steps, 1)

    @property
    def axes(self) -> tuple[int, ...]:
        """A batch for each step."""
        return (self.num_steps,)

    @computed
    def datasets(self) -> Datasets | None:
        """The data of the inner task, of which a batch is `num_steps` batches."""
        return self._data()

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Return meta-parameters that nothing has trained."""
        return self.lopt.init(key), None

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the mean loss of an inner run."""
        init_key, key = jax.random.split(key)
        start, model_state = self.task.init_with_state(init_key)
        opt = self.lopt.opt_fn(params, is_training=True)
        opt_state = opt.init(start, model_state=model_state, num_steps=self.num_steps)

        # Steps are computed again on the way back: else all of each would be kept.
        @jax.checkpoint
        def step(opt_state: Any, read: Any) -> tuple[Any, jax.Array]:
            key, batch = read
            loss_key, update_key = jax.random.split(key)
            at, model_state = opt.get_params_state(opt_state)
            (loss, model_state), grad = jax.value_and_grad(
                self.task.loss_with_state, has_aux=True
            )(at, model_state, loss_key, batch)
            opt_state = opt.update(
                opt_state, grad, loss=loss, model_state=model_state, key=update_key
            )
            return opt_state, self.task.normalizer(loss)

        keys = jax.random.split(key, self.num_steps)
        _, losses = lax.scan(step, opt_state, (keys, self.batches(data)))
        return jnp.mean(losses), state, {}


@dataclass(frozen=True, eq=False)
class TruncatedPESTask(_OfBatches):
    """Trains a learned optimizer by persistent evolution strategies.

    A gradient is an estimate of `TruncatedPES` over a truncation of antithetic pairs,
    the loss is the mean of both sides' losses over it, and where the pairs are is the
    model state. All splits draw from the training data; an evaluation costs as much as
    a step.

    Attributes:
      task: the task that is trained inside.
      lopt: the learned optimizer.
      num_tasks: pairs.
      total_length: updates of a whole inner run; runs begin at different times.
      trunc_length: updates of a truncation.
      std: standard deviation of perturbations.
    """

    num_tasks: int = 16
    total_length: int = 50
    trunc_length: int = 10
    std: float = 0.01

    def __post_init__(self) -> None:
        for name in ("num_tasks", "total_length", "trunc_length"):
            check_at_least(name, getattr(self, name), 1)
        check_positive("std", self.std)

    @property
    def axes(self) -> tuple[int, ...]:
        """A batch for each update of each pair."""
        return self.trunc_length, self.num_tasks

    @functools.cached_property
    def estimator(self) -> TruncatedPES:
        """What estimates gradients."""
        one = LOptTruncatedStep(
            single_task_to_family(self.task),
            self.lopt,
            ConstantTruncationSchedule(self.total_length),
            random_initial_iteration_offset=self.total_length,
        )
        pairs = VectorizedTruncatedStep(one, self.num_tasks)
        return TruncatedPES(pairs, trunc_length=self.trunc_length, std=self.std)

    @computed
    def datasets(self) -> Datasets | None:
        """The training data of the inner task, many batches at a time."""
        return self._data(is_train_only=True)

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Return meta-parameters that nothing has trained, and where pairs begin."""
        theta_key, key = jax.random.split(key)
        theta = self.lopt.init(theta_key)
        weights = _weights(theta)
        return theta, self.estimator.init_worker_state(weights, key)

    def init(self, key: PRNGKey) -> Params:
        """Return meta-parameters that nothing has trained."""
        return self.init_with_state(key)[0]

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss of a truncation, and where the pairs are after it."""
        weights = _weights(lax.stop_gradient(params))
        out, _ = self.estimator.compute_gradient_estimate(
            weights, key, state, datas_list=self.batches(data)
        )
        return with_gradient(params, out.mean_loss, out.grad), out.unroll_state, {}

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Return the loss as it is: it is of normalized losses."""
        return loss
