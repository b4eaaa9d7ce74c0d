"""Multi-layer perceptrons that compress images and rebuild them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from learned_optimization.tasks.base import Batch
from learned_optimization.tasks.datasets.image import cifar10, fashion_mnist, mnist
from learned_optimization.tasks.models.flax_task import FlaxTask
from learned_optimization.tasks.models.mlp import MLP, Activation
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ImageMLPAETask(FlaxTask):
    """An autoencoder of images: a sigmoid for each pixel, mean squared error.

    Attributes:
      datasets: images; their size is that of the first and last layer.
      hidden: width of each hidden layer, the code among them.
      activation: applied after every hidden layer.
    """

    hidden: tuple[int, ...]
    activation: Activation = jax.nn.relu

    @property
    def model(self) -> MLP:
        """Maps images `[batch, h, w, c]` to pixel logits `[batch, h * w * c]`."""
        num_pixels = math.prod(self.datasets.abstract_batch["image"].shape[1:])
        return MLP(self.hidden, num_pixels, self.activation)

    def output_loss(self, output: jax.Array, data: Batch) -> jax.Array:
        """Return the mean squared error over all pixels of the batch, a scalar."""
        pixels = data["image"].reshape(output.shape)
        return jnp.mean(jnp.square(jax.nn.sigmoid(output) - pixels))

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Clip a loss to `[0, 1]`; NaN becomes 1, the worst a sigmoid can do."""
        return jnp.clip(jnp.nan_to_num(loss, nan=1.0), 0.0, 1.0)


@fixed_task
def ImageMLPAE_Cifar10_32x32x32_bs128() -> ImageMLPAETask:
    """CIFAR-10 at 32x32, three hidden layers of 32."""
    return ImageMLPAETask(cifar10(128), hidden=(32, 32, 32))


@fixed_task
def ImageMLPAE_Cifar10_256x256x256_bs128() -> ImageMLPAETask:
    """CIFAR-10 at 32x32, three hidden layers of 256."""
    return ImageMLPAETask(cifar10(128), hidden=(256, 256, 256))


@fixed_task
def ImageMLPAE_Cifar10_256x256x256_bs1024() -> ImageMLPAETask:
    """CIFAR-10 at 32x32, three hidden layers of 256, batches of 1024."""
    return ImageMLPAETask(cifar10(1024), hidden=(256, 256, 256))


@fixed_task
def ImageMLPAE_Cifar10_128x32x128_bs256() -> ImageMLPAETask:
    """CIFAR-10 at 32x32, hidden layers of 128, 32 and 128, batches of 256."""
    return ImageMLPAETask(cifar10(256), hidden=(128, 32, 128))


@fixed_task
def ImageMLPAE_Mnist_128x32x128_bs128() -> ImageMLPAETask:
    """MNIST at 28x28, hidden layers of 128, 32 and 128."""
    return ImageMLPAETask(mnist(128), hidden=(128, 32, 128))


@fixed_task
def ImageMLPAE_FashionMnist_128x32x128_bs128() -> ImageMLPAETask:
    """Fashion-MNIST at 28x28, hidden layers of 128, 32 and 128."""
    return ImageMLPAETask(fashion_mnist(128), hidden=(128, 32, 128))
