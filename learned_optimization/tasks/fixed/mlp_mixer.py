"""MLP-Mixers that classify images."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from learned_optimization.tasks.datasets.image import cifar100, food101, imagenet
from learned_optimization.tasks.models.classification import (
    ImageClassificationTask,
    scale_to_ten,
)
from learned_optimization.tasks.models.mixer import MLPMixer
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class MLPMixerTask(ImageClassificationTask):
    """Classification of images by an MLP-Mixer.

    Attributes:
      datasets: images and labels.
      hidden: channels of a patch's embedding.
      num_blocks: mixer blocks.
      tokens_mlp: width of the MLPs across patches.
      channels_mlp: width of the MLPs across channels.
      patch_size: height and width of a patch, in pixels.
    """

    hidden: int
    num_blocks: int
    tokens_mlp: int
    channels_mlp: int
    patch_size: int = 16

    @property
    def model(self) -> MLPMixer:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return MLPMixer(
            self.patch_size,
            self.hidden,
            self.num_blocks,
            self.tokens_mlp,
            self.channels_mlp,
            self.num_classes,
        )

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Scale `[0, log(2 num_classes)]` to `[0, 10]`; not finite becomes 10."""
        return scale_to_ten(loss, self.num_classes)


_SMALL = {"hidden": 768, "num_blocks": 8, "tokens_mlp": 384, "channels_mlp": 3072}
_TINY = {"hidden": 512, "num_blocks": 5, "tokens_mlp": 384, "channels_mlp": 2048}


@fixed_task
def MLPMixer_ImageNet64_small16() -> MLPMixerTask:
    """ImageNet at 64x64, eight blocks of width 768."""
    return MLPMixerTask(imagenet(128, image_size=64), **_SMALL)


@fixed_task
def MLPMixer_ImageNet64_tiny16() -> MLPMixerTask:
    """ImageNet at 64x64, five blocks of width 512."""
    return MLPMixerTask(imagenet(128, image_size=64), **_TINY)


@fixed_task
def MLPMixer_ImageNet64_bs256_tiny16() -> MLPMixerTask:
    """ImageNet at 64x64, five blocks of width 512, batches of 256."""
    return MLPMixerTask(imagenet(256, image_size=64), **_TINY)


@fixed_task
def MLPMixer_Food101_64_small16() -> MLPMixerTask:
    """Food-101 at 64x64, eight blocks of width 768."""
    return MLPMixerTask(food101(128), **_SMALL)


@fixed_task
def MLPMixer_Food101_64_tiny16() -> MLPMixerTask:
    """Food-101 at 64x64, five blocks of width 512."""
    return MLPMixerTask(food101(128), **_TINY)


@fixed_task
def MLPMixer_Food101_64_bs256_tiny16() -> MLPMixerTask:
    """Food-101 at 64x64, five blocks of width 512, batches of 256."""
    return MLPMixerTask(food101(256), **_TINY)


@fixed_task
def MLPMixer_Cifar100_small16() -> MLPMixerTask:
    """CIFAR-100 at 32x32, eight blocks of width 768."""
    return MLPMixerTask(cifar100(128), **_SMALL)


@fixed_task
def MLPMixer_Cifar100_tiny16() -> MLPMixerTask:
    """CIFAR-100 at 32x32, five blocks of width 512."""
    return MLPMixerTask(cifar100(128), **_TINY)


@fixed_task
def MLPMixer_Cifar100_bs256_tiny16() -> MLPMixerTask:
    """CIFAR-100 at 32x32, five blocks of width 512, batches of 256."""
    return MLPMixerTask(cifar100(256), **_TINY)
