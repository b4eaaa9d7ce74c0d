"""Residual networks of eleven sizes that classify images of ImageNet."""

from __future__ import annotations

from dataclasses import dataclass

from learned_optimization.tasks.datasets.image import imagenet
from learned_optimization.tasks.models.classification import ImageClassificationTask
from learned_optimization.tasks.models.resnet import ResNet
from learned_optimization.tasks.registry import fixed_task


@dataclass(frozen=True)
class ResNetTask(ImageClassificationTask):
    """Classification of images by a residual network with batch norm.

    Attributes:
      datasets: images and labels.
      channels_per_group: channels each of the four groups ends with.
      stem_kernel_size: window of the first convolution.
      blocks_per_group: residual blocks of each group.
      stem_stride: stride of the first convolution.
      use_max_pool: whether a 3x3 maximum of stride 2 follows it.
    """

    channels_per_group: tuple[int, ...]
    stem_kernel_size: int
    blocks_per_group: tuple[int, ...] = (1, 1, 1, 1)
    stem_stride: int = 2
    use_max_pool: bool = True

    @property
    def model(self) -> ResNet:
        """Maps images `[batch, h, w, c]` to logits `[batch, num_classes]`."""
        return ResNet(
            self.blocks_per_group,
            self.channels_per_group,
            self.num_classes,
            self.stem_kernel_size,
            self.stem_stride,
            self.use_max_pool,
        )

    @property
    def is_stateful(self) -> bool:
        """True: the batch norms' moving averages are carried along."""
        return True


@fixed_task
def Resnet_MultiRuntime_0() -> ResNetTask:
    """ImageNet at 16x16, four blocks of 8x16x16x16 channels."""
    return ResNetTask(
        imagenet(64, image_size=16),
        channels_per_group=(8, 16, 16, 16),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_1() -> ResNetTask:
    """ImageNet at 16x16, four blocks of 8x16x16x32 channels."""
    return ResNetTask(
        imagenet(64, image_size=16),
        channels_per_group=(8, 16, 16, 32),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_2() -> ResNetTask:
    """ImageNet at 16x16, four blocks of 64x128x128x128 channels."""
    return ResNetTask(
        imagenet(64, image_size=16),
        channels_per_group=(64, 128, 128, 128),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_3() -> ResNetTask:
    """ImageNet at 16x16, four blocks of 64x128x256x512 channels."""
    return ResNetTask(
        imagenet(192, image_size=16),
        channels_per_group=(64, 128, 256, 512),
        stem_kernel_size=5,
    )


@fixed_task
def Resnet_MultiRuntime_4() -> ResNetTask:
    """ImageNet at 16x16, four blocks of 128x256x512x512 channels."""
    return ResNetTask(
        imagenet(192, image_size=16),
        channels_per_group=(128, 256, 512, 512),
        stem_kernel_size=5,
    )


@fixed_task
def Resnet_MultiRuntime_5() -> ResNetTask:
    """ImageNet at 32x32, four blocks of 128x256x512x512 channels."""
    return ResNetTask(
        imagenet(128, image_size=32),
        channels_per_group=(128, 256, 512, 512),
        stem_kernel_size=5,
    )


@fixed_task
def Resnet_MultiRuntime_6() -> ResNetTask:
    """ImageNet at 32x32, four blocks of 128x256x512x512 channels."""
    return ResNetTask(
        imagenet(256, image_size=32),
        channels_per_group=(128, 256, 512, 512),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_7() -> ResNetTask:
    """ImageNet at 32x32, four blocks of 256x512x512x1024 channels."""
    return ResNetTask(
        imagenet(256, image_size=32),
        channels_per_group=(256, 512, 512, 1024),
        stem_kernel_size=5,
    )


@fixed_task
def Resnet_MultiRuntime_8() -> ResNetTask:
    """ImageNet at 64x64, four blocks of 256x512x1024x1024 channels."""
    return ResNetTask(
        imagenet(256, image_size=64),
        channels_per_group=(256, 512, 1024, 1024),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_9() -> ResNetTask:
    """ImageNet at 64x64, 12 blocks of 256x512x1024x1024 channels."""
    return ResNetTask(
        imagenet(256, image_size=64),
        blocks_per_group=(1, 2, 4, 5),
        channels_per_group=(256, 512, 1024, 1024),
        stem_kernel_size=3,
    )


@fixed_task
def Resnet_MultiRuntime_10() -> ResNetTask:
    """ImageNet at 64x64, 9 blocks of 256x512x1024x1024 channels."""
    return ResNetTask(
        imagenet(256, image_size=64),
        blocks_per_group=(1, 1, 3, 4),
        channels_per_group=(256, 512, 1024, 1024),
        stem_kernel_size=5,
        use_max_pool=False,
    )
