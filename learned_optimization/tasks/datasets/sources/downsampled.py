"""Read the downsampled ImageNet of Chrabaszcz et al. 2017 (arXiv:1707.08819).

Format: https://patrykchrabaszcz.github.io/Imagenet32 (npz files with `data`, bytes
`[num, 3 * size * size]` of red, green and blue planes, and `labels` from 1).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError, ResultError
from learned_optimization.npz import read_npz
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.base import check_labels

_CHANNELS = 3
_TRAIN = re.compile(r"train_data_batch_(\d+)\.npz")


def find(row: ImageDataset, folder: Path) -> Downsampled | None:
    """Return the files `train_data_batch_*.npz` and `val_data.npz`, or None.

    They may be in the folder or in the subfolders the archives unpack to.
    """
    folders = [folder, *sorted(folder.glob("Imagenet*_npz"))]
    numbered = [
        (int(match[1]), file)
        for f in folders
        for file in f.glob("train_data_batch_*.npz")
        if (match := _TRAIN.fullmatch(file.name))
    ]
    test = [file for f in folders for file in f.glob("val_data.npz")]
    if not numbered or not test:
        return None
    return Downsampled(row, (*(file for _, file in sorted(numbered)), test[0]))


@dataclass(frozen=True)
class Downsampled:
    """An `ImageSource` of npz files, one read at a time.

    Attributes:
      row: the data set they should hold.
      files: the files of the training part and that of the test part.
    """

    row: ImageDataset
    files: tuple[Path, ...]
    is_direct: bool = False

    @property
    def num_train(self) -> int:
        """Images of the training part."""
        return sum(self._lengths[:-1])

    @property
    def num_test(self) -> int:
        """Images of the test part."""
        return self._lengths[-1]

    @property
    def unit_size(self) -> int:
        """Images of the first file: about one file is read for one unit."""
        return self._lengths[0]

    @cached_property
    def _lengths(self) -> list[int]:
        return [len(_read_labels(file)) for file in self.files]

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images `start` to `stop`; see `ImageSource.read`."""
        where = self.files[0].parent
        if len({file.name for file in self.files}) < len(self.files):
            places = sorted({file.parent.name for file in self.files})
            raise DatasetShapeError(
                f"{where.parent}: holds several copies ({', '.join(places)}): put the "
                "one wanted into a folder of its own."
            )
        got, want = (
            (self.num_train, self.num_test),
            (self.row.num_train, self.row.num_test),
        )
        if got != want:
            raise DatasetShapeError(
                f"{where}: holds {got[0]} training and {got[1]} test images, "
                f"{self.row.name} has {want[0]} and {want[1]}."
            )
        images, labels, first = [], [], 0
        for file, length in zip(self.files, self._lengths, strict=True):
            inside = slice(max(start - first, 0), max(min(stop - first, length), 0))
            if inside.start < inside.stop:
                data = _read(file, "data")
                wanted = (length, _CHANNELS * image_size**2)
                if data.shape != wanted or data.dtype != np.uint8:
                    raise DatasetShapeError(
                        f"{file}: holds {data.dtype} of shape {data.shape}"
                        f"{_pixels(data)}, expected uint8 of {wanted} for "
                        f"{image_size}x{image_size} pixels."
                    )
                planes = data[inside].reshape(-1, _CHANNELS, image_size, image_size)
                images.append(planes.transpose(0, 2, 3, 1))
                labels.append(_read_labels(file)[inside] - 1)
            first += length
        numbers = np.concatenate(labels)
        check_labels(self.row, numbers, where)
        return np.concatenate(images), numbers


def _pixels(data: np.ndarray) -> str:
    """Tell the size found where the shape is that of images of another size."""
    size = math.isqrt(data.shape[1] // _CHANNELS) if data.ndim == 2 else 0
    whole = size and data.shape[1] == _CHANNELS * size**2
    return f" ({size}x{size} pixels)" if whole else ""


def _read_labels(file: Path) -> np.ndarray:
    labels = _read(file, "labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetShapeError(
            f"{file}: labels are {labels.dtype} of shape {labels.shape}, expected "
            "whole numbers in one row."
        )
    return labels.astype(np.int32)


def _read(file: Path, key: str) -> np.ndarray:
    try:
        return read_npz(str(file), [key])[key]
    except (ResultError, KeyError) as error:
        raise DatasetShapeError(f"{file}: has no {key!r} to read: {error}.") from error
