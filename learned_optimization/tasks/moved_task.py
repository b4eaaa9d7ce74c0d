"""A task whose minimum is moved and whose axes are stretched."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from learned_optimization.tasks.base import Batch, Params, PRNGKey, Task
from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.tasks.task import computed


@dataclass(frozen=True, eq=False)
class MovedTask(Task):
    """The loss of another task at `stretch (x - center)`.

    Attributes:
      base: the other task, whose parameters are one array `[dim]`.
      center: float `[dim]`, where the minimum moves to; may be traced.
      stretch: float `[dim]` or a scalar, root of the curvature; may be traced.
    """

    base: Task
    center: jax.Array
    stretch: jax.Array | float = 1.0

    @computed
    def datasets(self) -> Datasets | None:
        """The data of `base`."""
        return self.base.datasets

    def init(self, key: PRNGKey) -> Params:
        """Return the start of `base`, not moved: float32 `[dim]`."""
        return self.base.init(key)

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return the loss of `base` at `stretch (x - center)`."""
        return self.base.loss(self.stretch * (params - self.center), key, data)
