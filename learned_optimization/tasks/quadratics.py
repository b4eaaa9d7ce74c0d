"""Quadratic losses: the smallest tasks, with everything known in closed form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.configurable import configurable
from learned_optimization.errors import check_at_least
from learned_optimization.tasks.base import Batch, Params, PRNGKey, Task, TaskFamily
from learned_optimization.tasks.datasets.base import (
    SPLITS,
    ArrayData,
    Datasets,
    dataset_lru_cache,
    split_ranges,
)
from learned_optimization.tasks.moved_task import MovedTask
from learned_optimization.tasks.task import computed

__all__ = [
    "BatchQuadraticTask",
    "FixedDimQuadraticFamily",
    "FixedDimQuadraticFamilyData",
    "GaussianOffsets",
    "LogQuadraticTask",
    "NoisyMeanQuadraticTask",
    "NoisyQuadraticFamily",
    "QuadraticTask",
    "SumQuadraticTask",
    "batch_datasets",
    "noise_datasets",
]

_configurable = configurable(__name__)


@dataclass(frozen=True)
class GaussianOffsets(Datasets):
    """Points drawn once from a standard normal: 1,000 to train on, 200 to test.

    Attributes:
      dim: entries of a point.
      batch_size: points per batch; a batch is `{"offset": f32[batch_size, dim]}`.
    """

    dim: int
    batch_size: int
    name = "gaussian_offsets"

    @property
    def extra_info(self) -> dict[str, int]:
        """Nothing: there are no classes and no vocabulary."""
        return {}

    @property
    def abstract_batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The shape of one batch."""
        return {"offset": jax.ShapeDtypeStruct((self.batch_size, self.dim), "float32")}

    def is_available(self) -> bool:
        """Return True: the points are made, not read."""
        return True

    def load(self) -> ArrayData:
        """Return the points, the same in every process."""
        return _gaussian_offsets(self.dim)


@lru_cache(maxsize=8)
def _gaussian_offsets(dim: int) -> ArrayData:
    splits = split_ranges(num_train=1000, num_test=200)
    points = np.random.default_rng(0).standard_normal((1200, dim), np.float32)
    return ArrayData(arrays={"offset": points}, splits=splits, divisors={})


@dataset_lru_cache
def batch_datasets() -> Datasets:
    """Make data of batches float32 `[4, 2]`, entries drawn from a standard normal."""
    return _normal_draws((4, 2))


@dataset_lru_cache
def noise_datasets() -> Datasets:
    """Make data of batches float32 `[]`, each drawn from a standard normal."""
    return _normal_draws(())


def _normal_draws(shape: tuple[int, ...]) -> Datasets:
    def draws(split: int, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng([split, seed])
        while True:
            yield np.asarray(rng.standard_normal(shape, np.float32))

    train, inner_valid, outer_valid, test = (
        partial(draws, split) for split in range(len(SPLITS))
    )
    batch = jax.ShapeDtypeStruct(shape, np.float32)
    return Datasets(train, inner_valid, outer_valid, test, abstract_batch=batch)


def _square_norm(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(x), axis=-1)


@_configurable
@dataclass(frozen=True)
class QuadraticTask(Task):
    """`sum(x^2)`, started from a standard normal `x` of shape `[dim]`."""

    dim: int = 10

    def __post_init__(self) -> None:
        check_at_least("dim", self.dim, 1)

    @property
    def name(self) -> str:
        """The class name, then every setting that is not the default."""
        changed = [
            f"_{field.name}{getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return self._name or type(self).__name__ + "".join(changed)

    def init(self, key: PRNGKey) -> Params:
        """Return a standard normal draw, float32 `[dim]`."""
        return jax.random.normal(key, (self.dim,))

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return `sum(x^2)`."""
        return _square_norm(params)


@_configurable
@dataclass(frozen=True)
class NoisyMeanQuadraticTask(QuadraticTask):
    """`sum((x - e)^2)`, noise `e ~ N(0, noise_std^2 I)` drawn at every call."""

    noise_std: float = 0.1

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return `sum((x - e)^2)`, whose mean is `sum(x^2) + dim noise_std^2`."""
        noise = self.noise_std * jax.random.normal(key, params.shape, params.dtype)
        return _square_norm(params - noise)


@_configurable
@dataclass(frozen=True)
class BatchQuadraticTask(QuadraticTask):
    """`mean_b sum((x - d_b)^2)` over a batch of `GaussianOffsets` `d_b`."""

    batch_size: int = 32

    @computed
    def datasets(self) -> Datasets:
        """The offsets, of shape `[batch_size, dim]` per batch."""
        return GaussianOffsets(self.dim, self.batch_size)

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return `mean_b sum((x - d_b)^2)` with `d = data["offset"]`."""
        return jnp.mean(_square_norm(params - data["offset"]))


@_configurable
@dataclass(frozen=True)
class LogQuadraticTask(QuadraticTask):
    """`log(sum(x^2) + 1e-10)`: geometric convergence is a straight line."""

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return `log(sum(x^2) + 1e-10)`, finite at the minimum."""
        return jnp.log(_square_norm(params) + 1e-10)


@_configurable
@dataclass(frozen=True)
class SumQuadraticTask(QuadraticTask):
    """`sum((a + b)^2)`: two parameters of which only the sum matters."""

    def init(self, key: PRNGKey) -> Params:
        """Return two standard normal draws, `{"a": f32[dim], "b": f32[dim]}`."""
        a, b = jax.random.normal(key, (2, self.dim))
        return {"a": a, "b": b}

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return `sum((a + b)^2)`."""
        return _square_norm(params["a"] + params["b"])


@_configurable
@dataclass(frozen=True)
class FixedDimQuadraticFamily(TaskFamily):
    """`sum((x - c)^2)` with a center `c ~ N(0, I)` per task."""

    dim: int = 10

    @property
    def base(self) -> Task:
        """The task whose center is moved."""
        return QuadraticTask(self.dim)

    @computed
    def datasets(self) -> Datasets | None:
        """The data every task of the family trains on, if any."""
        return self.base.datasets

    def sample(self, key: PRNGKey) -> dict[str, jax.Array]:
        """Return a center, `{"center": f32[dim]}`."""
        # A task drawn and started with one key must not start at its minimum.
        return {"center": jax.random.normal(jax.random.fold_in(key, 1), (self.dim,))}

    def task_fn(self, cfg: dict[str, jax.Array]) -> Task:
        """Return the base task, moved as `cfg` says."""
        return MovedTask(self.base, **cfg)


@_configurable
@dataclass(frozen=True)
class FixedDimQuadraticFamilyData(FixedDimQuadraticFamily):
    """`mean_b sum((x - c - d_b)^2)`: a center `c` per task, offsets `d_b` per batch."""

    batch_size: int = 32

    @property
    def base(self) -> Task:
        """The quadratic around the offsets."""
        return BatchQuadraticTask(self.dim, self.batch_size)


@_configurable
@dataclass(frozen=True)
class NoisyQuadraticFamily(FixedDimQuadraticFamily):
    """`sum((s (x - c) - e)^2)`: `s` and `c` drawn per task, noise `e` per call.

    `log(s^2) ~ N(0, I)`, `c ~ N(0, I)` and `e ~ N(0, cov I)`, so the covariance of
    the gradient is proportional to the curvature `2 s^2`.
    """

    cov: float = 0.1

    @property
    def base(self) -> Task:
        """The quadratic with a noisy mean."""
        return NoisyMeanQuadraticTask(self.dim, math.sqrt(self.cov))

    def sample(self, key: PRNGKey) -> dict[str, jax.Array]:
        """Draw a center and a stretch, `{"center": f32[dim], "stretch": f32[dim]}`."""
        log_curvature = jax.random.normal(jax.random.fold_in(key, 2), (self.dim,))
        return {**super().sample(key), "stretch": jnp.exp(log_curvature / 2)}
