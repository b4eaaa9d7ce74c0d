"""A task made of a flax module and a loss of the module's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch, ModelState, Params, PRNGKey, Task
from learned_optimization.tasks.datasets.base import Datasets


@dataclass(frozen=True)
class FlaxTask(Task):
    """A task whose model is a flax module, with or without model state.

    Subclasses define `model` and `output_loss`; those whose module keeps
    variables besides its parameters also say so with `is_stateful`.

    Attributes:
      datasets: the examples the model is trained on.
      input_field: the field of a batch that the model reads.
    """

    input_field: ClassVar[str] = "image"

    # `field()` keeps the None of `Task` from becoming this field's default.
    datasets: Datasets = field()  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def model(self) -> nn.Module:
        """The module, called with `input_field` of one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define model.")

    @property
    def is_stateful(self) -> bool:
        """Whether the module keeps variables besides its parameters."""
        return False

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """Return the scalar loss of what the model made of `data`."""
        raise NotImplementedError(f"{type(self).__name__} must define output_loss.")

    def output_aux(self, output: jax.Array, data: Batch) -> Mapping[str, jax.Array]:
        """Return further scalars to record in evaluation; none unless overridden."""
        del output, data
        return {}

    def init(self, key: PRNGKey) -> Params:
        """Draw initial parameters: float32 arrays by layer."""
        return self.init_with_state(key)[0]

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Draw initial parameters and model state (None if not stateful)."""
        one = self.datasets.abstract_batch[self.input_field]
        variables = self.model.init(key, jnp.zeros((1, *one.shape[1:]), one.dtype))
        params = variables.pop("params")
        return params, variables or None

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return the loss of one batch, for a task without model state."""
        return self.loss_with_state(params, None, key, data)[0]

    def loss_with_state(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState]:
        """Return the loss of one batch and the model state after it."""
        output, state = self._apply(params, state, key, data)
        return self.output_loss(output, data), state

    def loss_and_aux(
        self, params: Params, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        """Return the loss and further scalars, for a task without model state."""
        loss, _, aux = self.loss_with_state_and_aux(params, None, key, data)
        return loss, aux

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Mapping[str, jax.Array]]:
        """Return the loss, the model state after the batch, and further scalars."""
        output, state = self._apply(params, state, key, data)
        return self.output_loss(output, data), state, self.output_aux(output, data)

    def _apply(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState]:
        if self.is_stateful != (state is not None):
            raise TypeError(
                f"task {self.name} has model state: pass the one init_with_state made."
                if self.is_stateful
                else f"task {self.name} is stateless but was given a model state."
            )
        collections = state or {}
        output, collections = self.model.apply(
            {"params": params, **collections},
            data[self.input_field],
            rngs={"dropout": key},
            mutable=list(collections),
        )
        return output, collections or None
