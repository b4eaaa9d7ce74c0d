"""Convolutional networks that classify images."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from learned_optimization.tasks.datasets.image import cifar10, cifar100, imagenet
from learned_optimization.tasks.models.classification import (
    ImageClassificationTask,
    clip_to_chance,
)
from learned_optimization.tasks.models.conv import ConvNet
from learned_optimization.tasks.models.mlp import Activation
from learned_optimization.tasks.models.norm import Norm
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ConvTask(ImageClassificationTask):
    """Classification of images by 3x3 convolutions.

    Attributes:
      datasets: images and labels; give the sizes of the first and last layer.
      channels: channels of each convolution; the first has stride 2.
      activation: applied after every convolution.
      norm: `"layer"` or `"batch"` norm after every activation, or None.
    """

    channels: tuple[int, ...]
    activation: Activation = jax.nn.relu
    norm: Norm | None = None

    @property
    def model(self) -> ConvNet:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return ConvNet(self.channels, self.num_classes, self.activation, self.norm)

    @property
    def is_stateful(self) -> bool:
        """Whether the batch norm's moving averages are carried along."""
        return self.norm == "batch"

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Clip to `[0, 1.5 log(num_classes)]`; what is not finite is the worst."""
        return clip_to_chance(loss, self.num_classes)


@fixed_task
def Conv_Cifar10_8_16x32() -> ConvTask:
    """CIFAR-10 at 8x8, convolutions to 16x32 channels."""
    return ConvTask(cifar10(128, image_size=8), channels=(16, 32))


@fixed_task
def Conv_Cifar10_16_32x64x64() -> ConvTask:
    """CIFAR-10 at 16x16, convolutions to 32x64x64 channels."""
    return ConvTask(cifar10(128, image_size=16), channels=(32, 64, 64))


@fixed_task
def Conv_Cifar10_32x64x64() -> ConvTask:
    """CIFAR-10 at 32x32, convolutions to 32x64x64 channels."""
    return ConvTask(cifar10(128), channels=(32, 64, 64))


@fixed_task
def Conv_Cifar100_32x64x64() -> ConvTask:
    """CIFAR-100 at 32x32, convolutions to 32x64x64 channels."""
    return ConvTask(cifar100(128), channels=(32, 64, 64))


@fixed_task
def Conv_Cifar100_32x64x64_BS32() -> ConvTask:
    """CIFAR-100 at 32x32, convolutions to 32x64x64 channels, batches of 32."""
    return ConvTask(cifar100(32), channels=(32, 64, 64))


@fixed_task
def Conv_Cifar100_32x64x64_Tanh() -> ConvTask:
    """CIFAR-100 at 32x32, convolutions to 32x64x64 channels, tanh."""
    return ConvTask(cifar100(128), channels=(32, 64, 64), activation=jnp.tanh)


@fixed_task
def Conv_Cifar10_32x64x64_Tanh() -> ConvTask:
    """CIFAR-10 at 32x32, convolutions to 32x64x64 channels, tanh."""
    return ConvTask(cifar10(128), channels=(32, 64, 64), activation=jnp.tanh)


@fixed_task
def Conv_imagenet32_16_32x64x64() -> ConvTask:
    """ImageNet at 32x32, convolutions to 32x64x64 channels."""
    return ConvTask(imagenet(128, image_size=32), channels=(32, 64, 64))


@fixed_task
def Conv_imagenet16_16_64x128x128x128() -> ConvTask:
    """ImageNet at 16x16, convolutions to 64x128x128x128 channels."""
    return ConvTask(imagenet(128, image_size=16), channels=(64, 128, 128, 128))


@fixed_task
def Conv_Cifar10_32x64x64_batchnorm() -> ConvTask:
    """CIFAR-10 at 32x32, convolutions to 32x64x64 channels, batch norm."""
    return ConvTask(cifar10(128), channels=(32, 64, 64), norm="batch")


@fixed_task
def Conv_Cifar10_32x64x64_layernorm() -> ConvTask:
    """CIFAR-10 at 32x32, convolutions to 32x64x64 channels, layer norm."""
    return ConvTask(cifar10(128), channels=(32, 64, 64), norm="layer")
