"""Read the parquet files of a Hugging Face copy, images or text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets.catalog import (
    Dataset,
    ImageDataset,
    TextDataset,
)
from learned_optimization.tasks.datasets.sources.base import TextSource, check_labels
from learned_optimization.tasks.datasets.sources.decode import UNIT_SIZE, decode_images

_IMAGE_COLUMNS = ("image", "img")
# Documents in memory at once.
_ROWS = 1024
_LABEL_COLUMNS = ("fine_label", "label", "labels")
# Where the test part has no labels, as ImageNet's, the validation part is ours.
_TEST_PARTS = ("test", "validation", "val")
_TEST_PARTS_OF = {"imagenet": ("validation", "val")}
# Copies with several configurations side by side, of which one is ours.
CONFIGURATIONS = {"svhn_cropped": "cropped_digits", "wikipedia": "20231101.en"}


@overload
def find(row: ImageDataset, folder: Path) -> ParquetImages | None: ...
@overload
def find(row: TextDataset, folder: Path) -> TextSource | None: ...
def find(row: Dataset, folder: Path) -> ParquetImages | TextSource | None:
    """Return files `train-*.parquet` and `test-*.parquet` (or `validation-*`), or None.

    They may be in the folder or one level below it; where the copy has several
    configurations, in `data` or in the subfolder of the one wanted.
    """
    below = ("data", CONFIGURATIONS[row.name]) if row.name in CONFIGURATIONS else ("*",)
    patterns = ("*.parquet", *(f"{name}/*.parquet" for name in below))
    files = sorted(file for pattern in patterns for file in folder.glob(pattern))
    train = tuple(file for file in files if file.name.startswith("train"))
    parts = (
        tuple(file for file in files if file.name.startswith(part))
        for part in _TEST_PARTS_OF.get(row.name, _TEST_PARTS)
    )
    test = next((part for part in parts if part), ())
    if not train:
        return None
    if isinstance(row, TextDataset):
        shards = [[ParquetText(file) for file in part] for part in (train, test)]
        return TextSource(*shards)
    return ParquetImages(row, train, test) if test else None


@dataclass(frozen=True)
class ParquetText:
    """A file of documents in the column `text`.

    Attributes:
      path: the file.
    """

    path: Path

    def documents(self) -> Iterator[str]:
        """Return the documents, in the order of the file."""
        file = _open(self.path)
        if "text" not in file.schema_arrow.names:
            raise DatasetShapeError(
                f"{self.path}: has the columns {', '.join(file.schema_arrow.names)}, "
                "expected one named text."
            )
        batches = file.iter_batches(_ROWS, columns=["text"])
        # Not by truth: a batch may be empty.
        while (batch := _checked(self.path, lambda: next(batches, None))) is not None:
            yield from (text for text in batch.column(0).to_pylist() if text)


@dataclass(frozen=True)
class ParquetImages:
    """An `ImageSource` of encoded images, a row group read at a time.

    Attributes:
      row: the data set they should hold.
      train: files of the training part.
      test: files of the test part.
    """

    row: ImageDataset
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    is_direct: bool = False
    unit_size: int = UNIT_SIZE

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, training part first."""
        return (*self.train, *self.test)

    @property
    def num_train(self) -> int:
        """Images of the training part."""
        return self._counts[0]

    @property
    def num_test(self) -> int:
        """Images of the test part."""
        return self._counts[1]

    @cached_property
    def _counts(self) -> tuple[int, int]:
        # ImageNet has 13,000 row groups: counted once, not at every read.
        train = set(self.train)
        num = self._groups[-1].stop if self._groups else 0
        num_train = sum(g.stop - g.start for g in self._groups if g.file in train)
        return num_train, num - num_train

    @cached_property
    def _groups(self) -> list[_RowGroup]:
        """Every row group and the range of images it holds."""
        groups, first = [], 0
        for file in self.files:
            metadata = _open(file).metadata
            for number in range(metadata.num_row_groups):
                stop = first + metadata.row_group(number).num_rows
                groups.append(_RowGroup(file, number, first, stop))
                first = stop
        return groups

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images `start` to `stop`; see `ImageSource.read`."""
        got, want = (
            (self.num_train, self.num_test),
            (self.row.num_train, self.row.num_test),
        )
        if got != want:
            raise DatasetShapeError(
                f"{self.files[0].parent}: holds {got[0]} training and {got[1]} test "
                f"images, {self.row.name} has {want[0]} and {want[1]}."
            )
        encoded, labels = [], []
        for group in self._groups:
            if group.start < stop and start < group.stop:
                inside = slice(max(start - group.start, 0), stop - group.start)
                some, numbers = group.read(inside)
                encoded += some
                labels += numbers
        numbers = np.array(labels, np.int32)
        check_labels(self.row, numbers, self.files[0].parent)
        return decode_images(self.row, encoded, image_size), numbers


@dataclass(frozen=True)
class _RowGroup:
    file: Path
    number: int
    start: int
    stop: int

    def read(self, inside: slice) -> tuple[list[tuple[str, bytes]], list[int]]:
        """Return the name and content of some images, and their labels."""
        file = _open(self.file)
        image, label = (
            _column(self.file, file.schema_arrow.names, names)
            for names in (_IMAGE_COLUMNS, _LABEL_COLUMNS)
        )
        table = _checked(
            self.file,
            lambda: file.read_row_group(self.number, columns=[image, label]),
        )
        table = table.slice(inside.start, inside.stop - inside.start)
        encoded, labels = [], table.column(label).to_pylist()
        cells = table.column(image).to_pylist()
        for i, (cell, number) in enumerate(zip(cells, labels, strict=True)):
            name = f"{self.file}, image {self.start + inside.start + i}"
            content = cell.get("bytes") if isinstance(cell, dict) else None
            if content is None or not isinstance(number, int):
                raise DatasetShapeError(
                    f"{name}: has the label {number!r} and "
                    f"{'no' if content is None else 'its'} bytes in the column "
                    f"{image}, expected a whole number and bytes."
                )
            encoded.append((name, content))
        return encoded, labels


def _column(file: Path, names: list[str], wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in names:
            return name
    raise DatasetShapeError(
        f"{file}: has the columns {', '.join(names)}, expected one named "
        f"{' or '.join(wanted)}."
    )


def _checked(path: Path, read: Callable[[], Any]) -> Any:
    """Return what `read` returns; damage inside a file shows only there."""
    import pyarrow

    try:
        return read()
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DatasetShapeError(f"{path}: is damaged: {reason}.") from error


def _open(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise LoptError(
            "reading parquet files needs the package pyarrow: "
            "pip install 'optimizer-baselines[data]'."
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DatasetShapeError(f"{path}: no parquet file: {error}.") from error
