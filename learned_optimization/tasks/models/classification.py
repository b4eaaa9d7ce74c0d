"""Tasks that classify images: loss, accuracy and normalizers they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch, softmax_cross_entropy
from learned_optimization.tasks.models.flax_task import FlaxTask


@dataclass(frozen=True)
class ImageClassificationTask(FlaxTask):
    """Classification of images by the mean softmax cross entropy, in nats.

    Attributes:
      datasets: images and labels; give the sizes of the first and last layer.
    """

    @property
    def num_classes(self) -> int:
        """The number of labels, and of logits an image."""
        return self.datasets.extra_info["num_classes"]

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """Return the loss of the logits `[batch, num_classes]`, a scalar."""
        labels = jax.nn.one_hot(data["label"], self.num_classes)
        return jnp.mean(softmax_cross_entropy(logits=output, labels=labels))

    def output_aux(self, output: jax.Array, data: Batch) -> Mapping[str, jax.Array]:
        """Return the share of images classified rightly, as `accuracy`."""
        return {"accuracy": jnp.mean(jnp.argmax(output, axis=-1) == data["label"])}


def clip_to_chance(loss: jax.Array, num_classes: int) -> jax.Array:
    """Clip to `[0, 1.5 log(num_classes)]`; what is not finite becomes the worst."""
    worst = 1.5 * math.log(num_classes)
    return jnp.clip(finite_or(worst, loss), 0.0, worst)


def scale_to_ten(loss: jax.Array, num_classes: int) -> jax.Array:
    """Map `log(2 num_classes)` and all beyond, or not finite, to 10 and 0 to 0."""
    worst = math.log(2 * num_classes)
    return jnp.clip(10 * finite_or(worst, loss) / worst, 0.0, 10.0)


def finite_or(value: float, loss: jax.Array) -> jax.Array:
    """Return the loss, or a value in place of NaN and either infinity."""
    return jnp.nan_to_num(loss, nan=value, posinf=value, neginf=value)
