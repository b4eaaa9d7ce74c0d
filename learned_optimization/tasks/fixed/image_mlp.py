"""Multi-layer perceptrons that classify images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch, softmax_cross_entropy
from learned_optimization.tasks.datasets.image import fashion_mnist, mnist
from learned_optimization.tasks.models.flax_task import FlaxTask
from learned_optimization.tasks.models.mlp import MLP, Activation, Norm
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ImageMLPTask(FlaxTask):
    """Classification of images by a multi-layer perceptron.

    Attributes:
      datasets: images and labels; give the sizes of the first and last layer.
      hidden: width of each hidden layer.
      activation: applied after every hidden layer.
      loss_kind: `"cross_entropy"`, the mean softmax cross entropy in nats, or
        `"mse"`, the mean squared error of the logits against one-hot labels over
        all entries.
      dropout: probability that a hidden unit is dropped.
      norm: `"layer"` or `"batch"` norm before every hidden activation, or None.
    """

    hidden: tuple[int, ...]
    activation: Activation = jax.nn.relu
    loss_kind: Literal["cross_entropy", "mse"] = "cross_entropy"
    dropout: float = 0.0
    norm: Norm | None = None

    @property
    def num_classes(self) -> int:
        """The number of labels, and of logits an image."""
        return self.datasets.extra_info["num_classes"]

    @property
    def model(self) -> MLP:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return MLP(
            self.hidden, self.num_classes, self.activation, self.dropout, self.norm
        )

    @property
    def is_stateful(self) -> bool:
        """Whether the batch norm's moving averages are carried along."""
        return self.norm == "batch"

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """The loss of the logits `[batch, num_classes]`, a scalar."""
        labels = jax.nn.one_hot(data["label"], self.num_classes)
        if self.loss_kind == "mse":
            return jnp.mean(jnp.square(output - labels))
        return jnp.mean(softmax_cross_entropy(logits=output, labels=labels))

    def output_aux(self, output: jax.Array, data: Batch) -> Mapping[str, jax.Array]:
        """The share of images classified rightly, as `accuracy` (cross entropy)."""
        if self.loss_kind == "mse":
            return {}
        return {"accuracy": jnp.mean(jnp.argmax(output, axis=-1) == data["label"])}

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Maps a loss to a bounded one; what is not finite becomes the worst.

        Cross entropy is clipped to `[0, 1.5 log(num_classes)]`; the mean squared
        error is clipped at 1 and multiplied by 10.
        """
        if self.loss_kind == "mse":
            return 10 * jnp.minimum(_finite_or(1.0, loss), 1.0)
        worst = 1.5 * math.log(self.num_classes)
        return jnp.clip(_finite_or(worst, loss), 0.0, worst)


def _finite_or(value: float, loss: jax.Array) -> jax.Array:
    return jnp.nan_to_num(loss, nan=value, posinf=value, neginf=value)


@fixed_task
def ImageMLP_FashionMnist_Relu128x128() -> ImageMLPTask:
    """Fashion-MNIST at 28x28, two hidden layers of 128."""
    return ImageMLPTask(fashion_mnist(128), hidden=(128, 128))


@fixed_task
def ImageMLP_FashionMnist8_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 8x8, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=8), hidden=(32,))


@fixed_task
def ImageMLP_FashionMnist16_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 16x16, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=16), hidden=(32,))


@fixed_task
def ImageMLP_FashionMnist32_Relu32() -> ImageMLPTask:
    """Fashion-MNIST at 32x32, one hidden layer of 32."""
    return ImageMLPTask(fashion_mnist(128, image_size=32), hidden=(32,))


@fixed_task
def ImageMLP_Mnist_128x128x128_Relu() -> ImageMLPTask:
    """MNIST at 28x28, three hidden layers of 128."""
    return ImageMLPTask(mnist(128), hidden=(128, 128, 128))
