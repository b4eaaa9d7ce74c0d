"""Perceptrons of one shape, with drawn activations and losses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.tasks.base import (
    Batch,
    Params,
    PRNGKey,
    Task,
    TaskFamily,
    softmax_cross_entropy,
)
from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.tasks.models.classification import clip_to_chance
from learned_optimization.tasks.models.init import truncated_fan_in

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
}
"""Activations by name."""

LOSSES = ("cross_entropy", "mse")
"""Losses by name."""


@configurable(__name__)
@dataclass(frozen=True, eq=False)
class ImageMLPFamily(TaskFamily):
    """Classification of images by perceptrons of one shape.

    Which activation and which loss a task has is drawn: that shapes no array, so that
    one program has them all. Widths, depths and batch sizes do: each is a family.

    Attributes:
      datasets: images and labels; their batch size is that of the tasks.
      hidden: width of each hidden layer.
      activations: name to how likely it is; see `ACTIVATIONS`.
      losses: name to how likely it is; see `LOSSES`. Squared error is scaled to what
        it is at chance.
    """

    datasets: Datasets | None = None
    hidden: tuple[int, ...] = (32,)
    activations: dict[str, float] = field(default_factory=lambda: {"relu": 1.0})
    losses: dict[str, float] = field(default_factory=lambda: {"cross_entropy": 1.0})

    def __post_init__(self) -> None:
        for what, got, known in (
            ("activation", self.activations, ACTIVATIONS),
            ("loss", self.losses, LOSSES),
        ):
            for name, likely in got.items():
                if name not in known:
                    raise UnknownNameError(what, str(name), known)
                if likely <= 0:
                    raise LoptError(
                        f"{what} {name} must have a chance above 0, got {likely!r}."
                    )
        if self.datasets is None:
            raise LoptError("ImageMLPFamily needs datasets, got None.")

    @property
    def name(self) -> str:
        """The layers, the batch size, and what is drawn."""
        assert self.datasets is not None
        parts = ["x".join(map(str, self.hidden)), f"bs{self.datasets.batch_size}"]
        return "_".join(["ImageMLP", *parts, *self.activations, *self.losses])

    def sample(self, key: PRNGKey) -> dict[str, jax.Array]:
        """Draw `{"activation": int32, "loss": int32}`, numbers of the names."""
        keys = jax.random.split(key)

        def draw(key: PRNGKey, chances: dict[str, float]) -> jax.Array:
            weights = jnp.asarray(list(chances.values()), jnp.float32)
            return jax.random.categorical(key, jnp.log(weights)).astype(jnp.int32)

        return {
            "activation": draw(keys[0], self.activations),
            "loss": draw(keys[1], self.losses),
        }

    def task_fn(self, cfg: Any) -> Task:
        """Return the task of an activation and a loss."""
        return _Perceptron(self, cfg)


class _Perceptron(Task):
    def __init__(self, family: ImageMLPFamily, cfg: Any):
        self.family, self.cfg = family, cfg
        self.datasets = family.datasets
        self._name = family.name

    @property
    def _num_classes(self) -> int:
        assert self.datasets is not None
        return self.datasets.extra_info["num_classes"]

    def init(self, key: PRNGKey) -> Params:
        assert self.datasets is not None
        image = self.datasets.abstract_batch["image"].shape[1:]
        sizes = [math.prod(image), *self.family.hidden, self._num_classes]
        keys = jax.random.split(key, len(sizes) - 1)
        draw = truncated_fan_in
        return {
            f"layer_{i}": {
                "w": draw(keys[i], (inputs, outputs), jnp.float32),
                "b": jnp.zeros(outputs),
            }
            for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
        }

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        del key
        x = data["image"].reshape(data["image"].shape[0], -1)
        for i in range(len(params) - 1):
            x = self._activated(_affine(params[f"layer_{i}"], x))
        logits = _affine(params[f"layer_{len(params) - 1}"], x)
        labels = jax.nn.one_hot(data["label"], self._num_classes)
        kinds = {
            "cross_entropy": lambda: softmax_cross_entropy(
                logits=logits, labels=labels
            ),
            # At chance, with outputs of zero, it is 1.
            "mse": lambda: jnp.sum(jnp.square(logits - labels), -1),
        }
        losses = [jnp.mean(kinds[name]()) for name in self.family.losses]
        return _picked(losses, self.cfg["loss"])

    def _activated(self, x: jax.Array) -> jax.Array:
        made = [ACTIVATIONS[name](x) for name in self.family.activations]
        return _picked(made, self.cfg["activation"])

    def normalizer(self, loss: jax.Array) -> jax.Array:
        return clip_to_chance(loss, self._num_classes)


def _affine(layer: Params, x: jax.Array) -> jax.Array:
    return x @ layer["w"] + layer["b"]


def _picked(choices: list[jax.Array], index: jax.Array) -> jax.Array:
    picked = choices[0]
    for i, choice in enumerate(choices[1:], 1):
        picked = jnp.where(index == i, choice, picked)
    return picked
