"""Reads and checks the files of an image data set; writes their prepared form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.npz import read_npz, write_npz
from learned_optimization.tasks.datasets import locations
from learned_optimization.tasks.datasets.catalog import ImageDataset, get_image_dataset
from learned_optimization.tasks.datasets.idx import read_idx


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
    images, labels = read_original(row, files)
    path = locations.prepared_path(name)
    write_npz(str(path), {"image": images, "label": labels}, compress=False)
    return path


def read_prepared(row: ImageDataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a file that `prepare` wrote.

    Returns:
      uint8 images `[num, size, size, channels]` and labels `[num]`, training
      then test.

    Raises:
      ResultError: if the file is damaged or of another make.
      DatasetShapeError: if it does not hold what the data set does.
    """
    arrays = read_npz(str(path), keys=("image", "label"))
    images, labels = arrays["image"], arrays["label"]
    num = row.num_train + row.num_test
    pixels = (row.image_size, row.image_size, row.channels)
    for field, array, shape in (
        ("image", images, (num, *pixels)),
        ("label", labels, (num,)),
    ):
        if array.shape != shape or array.dtype != np.uint8:
            raise DatasetShapeError(
                f"{path}: {field!r} is {array.dtype} of shape {array.shape}, expected "
                f"uint8 of shape {shape}. `lopt data prepare {row.name} --from DIR` "
                "makes the file anew."
            )
    _check_labels(row, labels, path)
    return images, labels


def read_original(
    row: ImageDataset, files: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of the four IDX files, as `read_prepared` returns them.

    Args:
      row: the data set they should hold.
      files: images and labels of the training part, then of the test part.

    Raises:
      DatasetShapeError: naming the file, what was found and what was expected.
    """
    train_images, train_labels, test_images, test_labels = map(read_idx, files)
    pixels = (row.image_size, row.image_size)
    for path, array, shape in zip(
        files,
        (train_images, train_labels, test_images, test_labels),
        (
            (row.num_train, *pixels),
            (row.num_train,),
            (row.num_test, *pixels),
            (row.num_test,),
        ),
        strict=True,
    ):
        if array.shape != shape:
            raise DatasetShapeError(
                f"{path}: holds an array of shape {array.shape}, expected {shape} "
                f"for {row.name}."
            )
    labels = np.concatenate([train_labels, test_labels])
    _check_labels(row, labels, files[0].parent)
    return np.concatenate([train_images, test_images])[..., None], labels


def _check_labels(row: ImageDataset, labels: np.ndarray, where: Path) -> None:
    if labels.max() >= row.num_classes:
        raise DatasetShapeError(
            f"{row.name} has {row.num_classes} classes, but {where} holds the label "
            f"{labels.max()}."
        )
