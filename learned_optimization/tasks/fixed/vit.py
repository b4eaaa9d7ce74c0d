"""Vision Transformers that classify images."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from learned_optimization.tasks.datasets.image import cifar100, food101, imagenet
from learned_optimization.tasks.models.classification import (
    ImageClassificationTask,
    scale_to_ten,
)
from learned_optimization.tasks.models.vit import ViT
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ViTTask(ImageClassificationTask):
    """Classification of images by a Vision Transformer.

    Attributes:
      datasets: images and labels.
      hidden: width of a token.
      mlp: width of the hidden layer of each MLP.
      num_heads: attention heads.
      num_layers: encoder layers.
      patch_size: height and width of a patch, in pixels.
    """

    hidden: int
    mlp: int
    num_heads: int
    num_layers: int
    patch_size: int = 16

    @property
    def model(self) -> ViT:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return ViT(
            self.patch_size,
            self.hidden,
            self.mlp,
            self.num_heads,
            self.num_layers,
            self.num_classes,
        )

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Scale `[0, log(2 num_classes)]` to `[0, 10]`; not finite becomes 10."""
        return scale_to_ten(loss, self.num_classes)


_WIDE_SHALLOW = {"hidden": 384, "mlp": 1536, "num_heads": 6, "num_layers": 6}
_SKINNY_DEEP = {"hidden": 128, "mlp": 512, "num_heads": 4, "num_layers": 10}


@fixed_task
def VIT_ImageNet64_wideshallow() -> ViTTask:
    """ImageNet at 64x64, six layers of width 384."""
    return ViTTask(imagenet(128, image_size=64), **_WIDE_SHALLOW)


@fixed_task
def VIT_ImageNet64_skinnydeep() -> ViTTask:
    """ImageNet at 64x64, ten layers of width 128."""
    return ViTTask(imagenet(128, image_size=64), **_SKINNY_DEEP)


@fixed_task
def VIT_Food101_64_wideshallow() -> ViTTask:
    """Food-101 at 64x64, six layers of width 384."""
    return ViTTask(food101(128), **_WIDE_SHALLOW)


@fixed_task
def VIT_Food101_64_skinnydeep() -> ViTTask:
    """Food-101 at 64x64, ten layers of width 128."""
    return ViTTask(food101(128), **_SKINNY_DEEP)


@fixed_task
def VIT_Cifar100_wideshallow() -> ViTTask:
    """CIFAR-100 at 32x32, six layers of width 384."""
    return ViTTask(cifar100(128), **_WIDE_SHALLOW)


@fixed_task
def VIT_Cifar100_skinnydeep() -> ViTTask:
    """CIFAR-100 at 32x32, ten layers of width 128."""
    return ViTTask(cifar100(128), **_SKINNY_DEEP)
