"""Image data sets: one row of `IMAGE_DATASETS` each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import DatasetShapeError, LoptError, UnknownNameError
from learned_optimization.npz import read_npz, write_npz
from learned_optimization.tasks.datasets import embedded, locations
from learned_optimization.tasks.datasets.base import ArrayData, Datasets, split_ranges
from learned_optimization.tasks.datasets.idx import read_idx
from learned_optimization.tasks.datasets.resize import resize_bilinear


@dataclass(frozen=True)
class ImageDataset:
    """What is known of an image data set without reading it.

    Attributes:
      name: its name.
      image_size: height and width as published, in pixels.
      channels: channels of a pixel.
      num_classes: number of labels.
      num_train: examples of the training part.
      num_test: examples of the test part.
      licence: under what it may be used.
      embedded_sizes: image sizes that are part of the package.
    """

    name: str
    image_size: int
    channels: int
    num_classes: int
    num_train: int
    num_test: int
    licence: str
    embedded_sizes: tuple[int, ...] = ()


IMAGE_DATASETS = {
    row.name: row
    for row in (
        ImageDataset(
            "fashion_mnist", 28, 1, 10, 60_000, 10_000, "MIT", embedded_sizes=(8,)
        ),
        ImageDataset("mnist", 28, 1, 10, 60_000, 10_000, "CC BY-SA 3.0"),
    )
}


def get_image_dataset(name: str) -> ImageDataset:
    """The row of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    if name not in IMAGE_DATASETS:
        raise UnknownNameError("data set", name, IMAGE_DATASETS)
    return IMAGE_DATASETS[name]


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


def prepare(name: str, folder: str | Path) -> Path:
    """Reads original IDX files and writes the prepared form, which loads faster.

    Args:
      name: a name of `IMAGE_DATASETS`.
      folder: where the four IDX files are.

    Returns:
      The file written.

    Raises:
      LoptError: if files are missing or not what they should be; nothing is
        written then.
    """
    row = get_image_dataset(name)
    files = locations.find_idx_files(Path(folder).expanduser())
    if files is None:
        raise LoptError(
            f"{folder} does not hold the four IDX files of {name} "
            "(train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and the "
            "same for t10k)."
        )
    images, labels = _read_original(row, files)
    path = locations.prepared_path(name)
    write_npz(str(path), {"image": images, "label": labels}, compress=False)
    return path


def _read_original(
    row: ImageDataset, files: list[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """Images `[num, size, size, channels]` and labels, training then test."""
    train_images, train_labels, test_images, test_labels = map(read_idx, files)
    for path, array, axes in zip(
        files,
        (train_images, train_labels, test_images, test_labels),
        ((row.image_size, row.image_size), (), (row.image_size, row.image_size), ()),
        strict=True,
    ):
        if array.shape[1:] != axes or array.ndim != len(axes) + 1:
            raise DatasetShapeError(
                f"{path}: holds an array of shape {array.shape}, expected "
                f"{('num', *axes)}."
            )
    for name, images, labels, count in (
        ("training", train_images, train_labels, row.num_train),
        ("test", test_images, test_labels, row.num_test),
    ):
        if not len(images) == len(labels) == count:
            raise DatasetShapeError(
                f"the {name} part of {row.name} has {len(images)} images and "
                f"{len(labels)} labels, expected {count} of each "
                f"({files[0].parent})."
            )
    labels = np.concatenate([train_labels, test_labels])
    if labels.max(initial=0) >= row.num_classes:
        raise DatasetShapeError(
            f"{row.name} has {row.num_classes} classes, but {files[0].parent} "
            f"holds the label {labels.max()}."
        )
    return np.concatenate([train_images, test_images])[..., None], labels


@lru_cache(maxsize=4)
def _load_files(
    row: ImageDataset, source: Path | tuple[Path, ...], image_size: int
) -> ArrayData:
    if isinstance(source, tuple):
        images, labels = _read_original(row, list(source))
    else:
        arrays = read_npz(str(source))
        images, labels = arrays["image"], arrays["label"]
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
