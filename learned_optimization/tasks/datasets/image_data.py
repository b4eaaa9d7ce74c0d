"""Image data sets as handles of batches, from whichever files they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from learned_optimization import environment
from learned_optimization.errors import DatasetShapeError, LoptError, check_at_least
from learned_optimization.tasks.datasets import embedded, locations, prepared
from learned_optimization.tasks.datasets.base import (
    ArrayData,
    Batch,
    Datasets,
    split_ranges,
)
from learned_optimization.tasks.datasets.catalog import ImageDataset, get_image_dataset
from learned_optimization.tasks.datasets.resize import resize_bilinear
from learned_optimization.tasks.datasets.sources.base import (
    ImageSource,
    TextSource,
    check_labels,
)


@dataclass(frozen=True, eq=False)
class ChangedImages(ArrayData):
    """Images whose channels are repeated, or whose values are normalized, on use.

    Attributes:
      stack_channels: as in `ImageDatasets`, like the others.
      mean: what is subtracted from values in [0, 255].
      std: what they are divided by after that.
    """

    stack_channels: int = 1
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def decode(self, batch: Batch) -> dict[str, Any]:
        """Turn stored values into what a task sees (numpy in and out, or jax)."""
        decoded = super().decode(batch)
        image = decoded["image"]
        if self.stack_channels > 1:
            # Without a function of numpy's or of jax's: it may be an array of either.
            image = image[..., (0,) * self.stack_channels]
        if self.mean is not None and self.std is not None:
            image = 255 * image - np.asarray(self.mean, np.float32)
            image = image / np.asarray(self.std, np.float32)
        return {**decoded, "image": image}


@dataclass(frozen=True)
class ImageDatasets(Datasets):
    """The four splits of an image data set at one size.

    Batches are `{"image": float32 [batch, size, size, channels] in [0, 1],
    "label": int32 [batch]}`.

    Attributes:
      name: a name of `IMAGE_DATASETS`.
      batch_size: examples per batch.
      image_size: height and width, in pixels.
      is_grey: whether the channels of a pixel are averaged into one.
      stack_channels: how often the one channel of a pixel is repeated.
      normalize_mean: for each channel, what is subtracted from values in [0, 255]
        instead of dividing them by 255; None for those in [0, 1].
      normalize_std: what they are divided by after that.
    """

    name: str
    batch_size: int
    image_size: int
    is_grey: bool = False
    stack_channels: int = 1
    normalize_mean: tuple[float, ...] | None = None
    normalize_std: tuple[float, ...] | None = None

    def __post_init__(self):
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("image_size", self.image_size, 1)
        check_at_least("stack_channels", self.stack_channels, 1)
        if self.stack_channels > 1 and self._stored_channels > 1:
            raise LoptError(
                f"stack_channels repeats one channel, and {self.name} has "
                f"{self._stored_channels}: leave it at 1."
            )
        given = [v for v in (self.normalize_mean, self.normalize_std) if v is not None]
        if len(given) == 1 or any(len(v) not in (1, self._channels) for v in given):
            raise LoptError(
                "normalize_mean and normalize_std are given together, each with one "
                f"number for all {self._channels} channels or one for each, got "
                f"{self.normalize_mean!r} and "
                f"{self.normalize_std!r}."
            )

    @property
    def is_synthetic(self) -> bool:
        """Whether `LOPT_SYNTHETIC_DATA=1` asks for made-up images."""
        return environment.flag("LOPT_SYNTHETIC_DATA")

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """`num_classes`."""
        return {"num_classes": get_image_dataset(self.name).num_classes}

    @property
    def abstract_batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of one batch; reads nothing."""
        shape = (self.batch_size, self.image_size, self.image_size, self._channels)
        return {
            "image": jax.ShapeDtypeStruct(shape, np.float32),
            "label": jax.ShapeDtypeStruct((self.batch_size,), np.int32),
        }

    def is_available(self) -> bool:
        """Return whether `load` would find the data; looks at names of files only."""
        row = get_image_dataset(self.name)
        return (
            self.is_synthetic
            or self.image_size in row.embedded_sizes
            or self._find() is not None
        )

    def load(self) -> ArrayData:
        """Return the whole data set, loaded once and cached; mapped where it is large.

        Raises:
          DataNotFoundError: saying where it was looked for and what to do.
          DatasetShapeError: if the files do not hold what they should.
        """
        data = self._load()
        if self.stack_channels == 1 and self.normalize_mean is None:
            return data
        return ChangedImages(
            data.arrays,
            data.splits,
            data.divisors,
            stack_channels=self.stack_channels,
            mean=self.normalize_mean,
            std=self.normalize_std,
        )

    def _load(self) -> ArrayData:
        row = get_image_dataset(self.name)
        if self.is_synthetic:
            return _load_synthetic(row, self.image_size, self.is_grey)
        if self.image_size in row.embedded_sizes:
            return _load_embedded(row, self.image_size)
        found = self._find()
        if found is None:
            raise locations.not_found(self.name, self._variant)
        if isinstance(found, Path):
            changed = (found / prepared.MANIFEST).stat().st_mtime_ns
            return _load_prepared(row, found, changed, self.image_size, self.is_grey)
        return _load_original(row, found.files, self.image_size, self.is_grey)

    @property
    def _stored_channels(self) -> int:
        return 1 if self.is_grey else get_image_dataset(self.name).channels

    @property
    def _channels(self) -> int:
        return self._stored_channels * self.stack_channels

    @property
    def _variant(self) -> str:
        return locations.image_variant(get_image_dataset(self.name), self.image_size)

    def _find(self) -> Path | ImageSource | None:
        folder = locations.prepared_folder(self.name, self._variant)
        if prepared.is_prepared(folder):
            return folder
        source = locations.find_originals(self.name)
        if source is None or isinstance(source, TextSource) or not source.is_direct:
            return None
        return source


@lru_cache(maxsize=4)
def _load_original(
    row: ImageDataset, files: tuple[Path, ...], image_size: int, is_grey: bool
) -> ArrayData:
    # `files` is what the result is kept by; the source is found from it again.
    source = locations.find_originals(row.name)
    if source is None or isinstance(source, TextSource) or source.files != files:
        raise locations.not_found(row.name)
    num = source.num_train + source.num_test
    images, labels = source.read(0, num, row.image_size or image_size)
    splits = split_ranges(source.num_train, source.num_test)
    return _resized(images, labels, splits, image_size, is_grey)


@lru_cache(maxsize=4)
def _load_prepared(
    row: ImageDataset, folder: Path, changed: int, image_size: int, is_grey: bool
) -> ArrayData:
    del changed  # a data set prepared again is another one
    found = prepared.read(folder)
    images, labels = found.arrays["image"], found.arrays["label"]
    size = row.image_size or image_size
    num = row.num_train + row.num_test
    if images.shape != (num, size, size, row.channels) or labels.shape != (num,):
        raise DatasetShapeError(
            f"{folder}: holds images of shape {images.shape} and labels of shape "
            f"{labels.shape}, expected {(num, size, size, row.channels)} for "
            f"{row.name}. Run `{locations.prepare_command(row.name)}` again."
        )
    check_labels(row, labels, folder)
    splits = split_ranges(found.num_train, found.num_test)
    return _resized(images, labels, splits, image_size, is_grey)


@lru_cache(maxsize=4)
def _load_embedded(row: ImageDataset, image_size: int) -> ArrayData:
    images, divisor, labels = embedded.load(row.name, image_size)
    splits = split_ranges(row.num_train, row.num_test)
    return _as_array_data(images, divisor, labels, splits)


@lru_cache(maxsize=4)
def _load_synthetic(row: ImageDataset, image_size: int, is_grey: bool) -> ArrayData:
    """Return noise on a colour and a pattern per class: to learn, not to report."""
    rng = np.random.default_rng(0)
    num_train, num_test = 2_000, 500
    # Few enough classes that there are examples enough of each.
    num_classes = min(row.num_classes, 10)
    labels = rng.integers(0, num_classes, num_train + num_test)
    channels = 1 if is_grey else row.channels
    shape = (image_size, image_size, channels)
    colours = rng.integers(0, 256, (num_classes, 1, 1, channels), np.uint16)
    patterns = rng.integers(0, 256, (num_classes, *shape), np.uint16)
    noise = rng.integers(0, 256, (len(labels), *shape), np.uint16)
    # Darker than grey, as most pictures are.
    images = ((2 * colours + patterns)[labels] + noise) // 6
    splits = split_ranges(num_train, num_test)
    return _as_array_data(images.astype(np.uint8), 255.0, labels, splits)


def _resized(
    images: np.ndarray,
    labels: np.ndarray,
    splits: Mapping[str, tuple[int, int]],
    image_size: int,
    is_grey: bool,
) -> ArrayData:
    images, divisor = resize_bilinear(images, image_size)
    if is_grey:
        channels = images.shape[-1]
        if divisor == 1:
            images = images.mean(axis=-1, keepdims=True)
        else:
            # A sum of integers is exact; the division waits for the batch.
            divisor *= channels
            kind = np.uint16 if divisor < 1 << 16 else np.uint32
            images = images.sum(axis=-1, keepdims=True, dtype=kind)
    return _as_array_data(images, divisor, labels, splits)


def _as_array_data(
    images: np.ndarray,
    divisor: float,
    labels: np.ndarray,
    splits: Mapping[str, tuple[int, int]],
) -> ArrayData:
    return ArrayData(
        {"image": images, "label": labels.astype(np.int32)},
        splits,
        {} if divisor == 1 else {"image": divisor},
    )
