"""Read the cropped digits of Street View House Numbers.

Format: http://ufldl.stanford.edu/housenumbers (Matlab files with `X`, bytes
`[32, 32, 3, num]`, and `y`, `[num, 1]`, from 1 to 10, where 10 is the digit 0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.base import ArraySource

_FILES = ("train_32x32.mat", "test_32x32.mat")
_DIGIT_ZERO = 10


def find(row: ImageDataset, folder: Path) -> ArraySource | None:
    """Return the two Matlab files of a folder, or None unless both are there."""
    files = tuple(folder / name for name in _FILES)
    if not all(file.is_file() for file in files):
        return None

    def load() -> tuple[np.ndarray, np.ndarray]:
        wanted = (row.num_train, row.num_test)
        parts = [_load(*pair) for pair in zip(files, wanted, strict=True)]
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    return ArraySource(row, files, load)


def _load(path: Path, num: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=("X", "y"))
        images, labels = found["X"], found["y"]
    # What scipy raises depends on where its parsing fails.
    except Exception as error:
        raise DatasetShapeError(
            f"{path}: no Matlab file with X and y: {error!r}."
        ) from error
    if images.shape != (32, 32, 3, num) or images.dtype != np.uint8:
        raise DatasetShapeError(
            f"{path}: X is {images.dtype} of shape {images.shape}, expected uint8 of "
            f"shape {(32, 32, 3, num)}."
        )
    labels = labels.reshape(-1)
    wrong = labels[~np.isin(labels, np.arange(1, _DIGIT_ZERO + 1))]
    if labels.shape != (num,) or len(wrong):
        raise DatasetShapeError(
            f"{path}: y holds {len(labels)} labels"
            + (f", one of them {wrong[0]}" if len(wrong) else "")
            + f", expected {num} from 1 to 10."
        )
    return images.transpose(3, 0, 1, 2), labels.astype(np.int32) % _DIGIT_ZERO
