"""Image data sets as handles of batches, whatever files they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import check_at_least
from learned_optimization.tasks.datasets import embedded, locations
from learned_optimization.tasks.datasets.base import ArrayData, Datasets, split_ranges
from learned_optimization.tasks.datasets.catalog import (
    IMAGE_DATASETS,
    ImageDataset,
    get_image_dataset,
)
from learned_optimization.tasks.datasets.image_files import (
    prepare,
    read_original,
    read_prepared,
)
from learned_optimization.tasks.datasets.resize import resize_bilinear

__all__ = [
    "IMAGE_DATASETS",
    "ImageDatasets",
    "fashion_mnist",
    "get_image_dataset",
    "mnist",
    "prepare",
]


@dataclass(frozen=True)
class ImageDatasets(Datasets):
    """The four splits of an image data set at one size.

    Batches are `{"image": float32 [batch, size, size, channels] in [0, 1],
    "label": int32 [batch]}`.

    Attributes:
      name: a name of `IMAGE_DATASETS`.
      batch_size: examples a batch.
      image_size: height and width, in pixels.
    """

    name: str
    batch_size: int
    image_size: int

    def __post_init__(self):
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("image_size", self.image_size, 1)

    @property
    def is_synthetic(self) -> bool:
        """Whether `LOPT_SYNTHETIC_DATA=1` asks for made-up images."""
        return os.environ.get("LOPT_SYNTHETIC_DATA") == "1"

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """`num_classes`."""
        return {"num_classes": get_image_dataset(self.name).num_classes}

    @property
    def abstract_batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of one batch; reads nothing."""
        channels = get_image_dataset(self.name).channels
        shape = (self.batch_size, self.image_size, self.image_size, channels)
        return {
            "image": jax.ShapeDtypeStruct(shape, np.float32),
            "label": jax.ShapeDtypeStruct((self.batch_size,), np.int32),
        }

    def is_at_hand(self) -> bool:
        """Whether `load` would find the data; looks at names of files only."""
        row = get_image_dataset(self.name)
        return (
            self.is_synthetic
            or self.image_size in row.embedded_sizes
            or locations.find(self.name) is not None
        )

    def load(self) -> ArrayData:
        """The whole data set in memory, loaded once and cached.

        Raises:
          DataNotFoundError: saying where it was looked for and what to do.
          DatasetShapeError: if the files do not hold what they should.
        """
        row = get_image_dataset(self.name)
        if self.is_synthetic:
            return _load_synthetic(row, self.image_size)
        if self.image_size in row.embedded_sizes:
            return _load_embedded(row, self.image_size)
        source = locations.find(self.name)
        if source is None:
            raise locations.not_found(self.name)
        return _load_files(
            row, tuple(source) if isinstance(source, list) else source, self.image_size
        )


def fashion_mnist(batch_size: int, image_size: int = 28) -> ImageDatasets:
    """Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747); 8x8 is embedded."""
    return ImageDatasets("fashion_mnist", batch_size, image_size)


def mnist(batch_size: int, image_size: int = 28) -> ImageDatasets:
    """MNIST (LeCun et al. 1998)."""
    return ImageDatasets("mnist", batch_size, image_size)


@lru_cache(maxsize=4)
def _load_files(
    row: ImageDataset, source: Path | tuple[Path, ...], image_size: int
) -> ArrayData:
    if isinstance(source, tuple):
        images, labels = read_original(row, source)
    else:
        images, labels = read_prepared(row, source)
    return _as_array_data(row, *resize_bilinear(images, image_size), labels)


@lru_cache(maxsize=4)
def _load_embedded(row: ImageDataset, image_size: int) -> ArrayData:
    return _as_array_data(row, *embedded.load(row.name, image_size))


@lru_cache(maxsize=4)
def _load_synthetic(row: ImageDataset, image_size: int) -> ArrayData:
    """Noise around one pattern a class: something to learn, nothing to report."""
    rng = np.random.default_rng(0)
    num_train, num_test = 2_000, 500
    labels = rng.integers(0, row.num_classes, num_train + num_test)
    shape = (image_size, image_size, row.channels)
    patterns = rng.integers(0, 256, (row.num_classes, *shape))
    noise = rng.integers(0, 256, (len(labels), *shape))
    images = ((patterns[labels] + noise) // 2).astype(np.uint8)
    return ArrayData(
        {"image": images, "label": labels.astype(np.int32)},
        split_ranges(num_train, num_test),
        {"image": 255.0},
    )


def _as_array_data(
    row: ImageDataset, images: np.ndarray, divisor: float, labels: np.ndarray
) -> ArrayData:
    return ArrayData(
        {"image": images, "label": labels.astype(np.int32)},
        split_ranges(row.num_train, row.num_test),
        {} if divisor == 1 else {"image": divisor},
    )
