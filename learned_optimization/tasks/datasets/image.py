"""Image data sets by name.

The functions named `..._datasets` have the published names and parameters, and gin
configures them; the others are short forms of them. All return handles of the same
data, see `tasks/datasets/image_data.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.tasks.datasets.image_data import ImageDatasets

__all__ = [
    "cifar10",
    "cifar10_datasets",
    "cifar100",
    "cifar100_datasets",
    "fashion_mnist",
    "fashion_mnist_datasets",
    "food101",
    "food101_datasets",
    "imagenet",
    "imagenet16_datasets",
    "imagenet32_datasets",
    "imagenet64_datasets",
    "mnist",
    "mnist_datasets",
    "svhn_cropped",
    "svhn_cropped_datasets",
]

_configurable = configurable(__name__)

ImageSize = int | Sequence[int]


def fashion_mnist(batch_size: int, image_size: int = 28) -> ImageDatasets:
    """Return Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747); 8x8 is embedded."""
    return ImageDatasets("fashion_mnist", batch_size, image_size)


def mnist(batch_size: int, image_size: int = 28) -> ImageDatasets:
    """Return MNIST (LeCun et al. 1998)."""
    return ImageDatasets("mnist", batch_size, image_size)


def cifar10(
    batch_size: int, image_size: int = 32, is_grey: bool = False
) -> ImageDatasets:
    """Return CIFAR-10 (Krizhevsky 2009)."""
    return ImageDatasets("cifar10", batch_size, image_size, is_grey)


def cifar100(batch_size: int, image_size: int = 32) -> ImageDatasets:
    """Return CIFAR-100 with its 100 fine labels (Krizhevsky 2009)."""
    return ImageDatasets("cifar100", batch_size, image_size)


def svhn_cropped(batch_size: int, image_size: int = 32) -> ImageDatasets:
    """Return Street View House Numbers, cropped digits (Netzer et al. 2011)."""
    return ImageDatasets("svhn_cropped", batch_size, image_size)


def food101(batch_size: int, image_size: int = 64) -> ImageDatasets:
    """Return Food-101 (Bossard et al. 2014), made square at one size."""
    return ImageDatasets("food101", batch_size, image_size)


def imagenet(batch_size: int, image_size: int) -> ImageDatasets:
    """Return ImageNet (Russakovsky et al. 2015), downsampled to one size.

    Images are reduced as in Chrabaszcz et al. 2017 (arXiv:1707.08819), which the
    published tasks are trained on: every pixel is the mean of those it covers.
    """
    return ImageDatasets("imagenet", batch_size, image_size)


@_configurable
def mnist_datasets(
    batch_size: int,
    image_size: ImageSize = (28, 28),
    stack_channels: int = 1,
    **options: Any,
) -> ImageDatasets:
    """Return MNIST (LeCun et al. 1998).

    Args:
      batch_size: examples per batch.
      image_size: height and width in pixels, which must be equal, or one number.
      stack_channels: how often the one channel of a pixel is repeated.
      **options: `convert_to_black_and_white`, `normalize_mean` and `normalize_std`
        change the images, see `ImageDatasets`. `prefetch_batches`,
        `shuffle_buffer_size` and `cache` are accepted and change nothing: data is
        held in memory, or read ahead.

    Raises:
      LoptError: for images that are not square, and for random flips
        (`aug_flip_left_right`, `aug_flip_up_down`).
      UnknownNameError: for an option of another name.
    """
    options["stack_channels"] = stack_channels
    return _image_datasets("mnist", batch_size, image_size, options)


@_configurable
def fashion_mnist_datasets(
    batch_size: int,
    image_size: ImageSize = (28, 28),
    stack_channels: int = 1,
    **options: Any,
) -> ImageDatasets:
    """Return Fashion-MNIST (Xiao et al. 2017), as `mnist_datasets` MNIST."""
    options["stack_channels"] = stack_channels
    return _image_datasets("fashion_mnist", batch_size, image_size, options)


@_configurable
def cifar10_datasets(
    batch_size: int, image_size: ImageSize = (32, 32), **options: Any
) -> ImageDatasets:
    """Return CIFAR-10 (Krizhevsky 2009), as `mnist_datasets` MNIST."""
    return _image_datasets("cifar10", batch_size, image_size, options)


@_configurable
def cifar100_datasets(
    batch_size: int, image_size: ImageSize = (32, 32), **options: Any
) -> ImageDatasets:
    """Return CIFAR-100 (Krizhevsky 2009), as `mnist_datasets` MNIST."""
    return _image_datasets("cifar100", batch_size, image_size, options)


@_configurable
def svhn_cropped_datasets(
    batch_size: int, image_size: ImageSize = (32, 32), **options: Any
) -> ImageDatasets:
    """Return cropped SVHN (Netzer et al. 2011), as `mnist_datasets` MNIST."""
    return _image_datasets("svhn_cropped", batch_size, image_size, options)


@_configurable
def food101_datasets(
    batch_size: int, image_size: ImageSize = (32, 32), **options: Any
) -> ImageDatasets:
    """Return Food-101 (Bossard et al. 2014), as `mnist_datasets` MNIST."""
    return _image_datasets("food101", batch_size, image_size, options)


@_configurable
def imagenet16_datasets(
    batch_size: int, image_size: ImageSize = (16, 16), **options: Any
) -> ImageDatasets:
    """Return ImageNet downsampled to 16x16, as `mnist_datasets` MNIST."""
    return _image_datasets("imagenet", batch_size, image_size, options, only=16)


@_configurable
def imagenet32_datasets(
    batch_size: int, image_size: ImageSize = (32, 32), **options: Any
) -> ImageDatasets:
    """Return ImageNet downsampled to 32x32, as `mnist_datasets` MNIST."""
    return _image_datasets("imagenet", batch_size, image_size, options, only=32)


@_configurable
def imagenet64_datasets(
    batch_size: int, image_size: ImageSize = (64, 64), **options: Any
) -> ImageDatasets:
    """Return ImageNet downsampled to 64x64, as `mnist_datasets` MNIST."""
    return _image_datasets("imagenet", batch_size, image_size, options, only=64)


# What changes nothing here, and what would change the data in a way that is not here.
_WITHOUT_EFFECT = ("prefetch_batches", "shuffle_buffer_size", "cache")
_FLIPS = ("aug_flip_left_right", "aug_flip_up_down")
_OPTIONS = (
    "stack_channels",
    "convert_to_black_and_white",
    "normalize_mean",
    "normalize_std",
    *_WITHOUT_EFFECT,
    *_FLIPS,
)


def _image_datasets(
    name: str,
    batch_size: int,
    image_size: ImageSize,
    options: dict[str, Any],
    only: int | None = None,
) -> ImageDatasets:
    for option in options:
        if option not in _OPTIONS:
            raise UnknownNameError("option of an image data set", option, _OPTIONS)
    if any(options.get(flip) for flip in _FLIPS):
        raise LoptError(
            f"{name}: random flips are not available. Map the batches yourself, e.g. "
            "tasks.datasets.base.datasets_map(flip, datasets)."
        )
    size = image_size
    if isinstance(size, Sequence):
        if len(set(size)) != 1:
            raise LoptError(
                f"{name}: images are square, so image_size must be one number or two "
                f"that are equal, got {tuple(size)}."
            )
        size = size[0]
    if only is not None and size != only:
        raise LoptError(
            f"imagenet{only}: its images are {only}x{only}, got image_size={size}. "
            "Use imagenet16_datasets, imagenet32_datasets, imagenet64_datasets, or "
            "imagenet(batch_size, image_size)."
        )
    mean, std = options.get("normalize_mean"), options.get("normalize_std")
    return ImageDatasets(
        name,
        batch_size,
        size,
        is_grey=bool(options.get("convert_to_black_and_white")),
        stack_channels=options.get("stack_channels", 1),
        normalize_mean=None if mean is None else tuple(mean),
        normalize_std=None if std is None else tuple(std),
    )
