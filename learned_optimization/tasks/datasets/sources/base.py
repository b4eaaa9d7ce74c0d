"""What every reader of original files returns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset


class ImageSource(Protocol):
    """The original files of an image data set; made by names of files alone.

    Attributes:
      files: the files, in the order they are read.
      num_train: examples of the training part, which come first.
      num_test: examples of the test part.
      is_direct: whether they are read so fast that nothing need be prepared.
      unit_size: examples worth reading at once.
    """

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order they are read."""
        ...

    @property
    def num_train(self) -> int:
        """Examples of the training part."""
        ...

    @property
    def num_test(self) -> int:
        """Examples of the test part."""
        ...

    @property
    def is_direct(self) -> bool:
        """Whether nothing need be prepared."""
        ...

    @property
    def unit_size(self) -> int:
        """Examples worth reading at once."""
        ...

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return some examples, in an order that is always the same.

        Args:
          start: number of the first, counted over both parts.
          stop: number after the last.
          image_size: height and width wanted, in pixels; where the images have
            one size of their own it is that.

        Returns:
          uint8 images `[num, image_size, image_size, channels]` and int32
          labels `[num]`.

        Raises:
          DatasetShapeError: naming the file, what was found and what was
            expected.
        """
        ...


@dataclass(frozen=True)
class ArraySource:
    """An `ImageSource` of few files that are read whole.

    Attributes:
      row: the data set they should hold.
      files: the files.
      load: reads the files: uint8 images `[num_train + num_test, size, size,
        channels]` and integer labels `[num_train + num_test]`.
    """

    row: ImageDataset
    files: tuple[Path, ...]
    load: Callable[[], tuple[np.ndarray, np.ndarray]]
    is_direct: bool = True

    @property
    def num_train(self) -> int:
        """Examples of the training part, as published."""
        return self.row.num_train

    @property
    def num_test(self) -> int:
        """Examples of the test part, as published."""
        return self.row.num_test

    @property
    def unit_size(self) -> int:
        """Everything: nothing is gained by reading less."""
        return self.num_train + self.num_test

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images `start` to `stop`; see `ImageSource.read`."""
        images, labels = self.load()
        where = self.files[0].parent
        num = self.num_train + self.num_test
        wanted = (num, image_size, image_size, self.row.channels)
        if images.shape != wanted or labels.shape != (num,):
            raise DatasetShapeError(
                f"{where}: holds images of shape {images.shape} and labels of shape "
                f"{labels.shape}, expected {wanted} and {(num,)} for {self.row.name}."
            )
        check_labels(self.row, labels, where)
        return images[start:stop], labels[start:stop].astype(np.int32)


class TextShard(Protocol):
    """A file of documents."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    def documents(self) -> Iterator[str]:
        """Return the documents, in an order that is always the same."""
        ...


@dataclass(frozen=True)
class TextSource:
    """The original files of a text data set.

    Attributes:
      train: shards of the training part.
      test: shards of the test part; none where the data set has none.
    """

    train: Sequence[TextShard]
    test: Sequence[TextShard]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, training part first."""
        return tuple(shard.path for shard in (*self.train, *self.test))


def fingerprint(files: Sequence[Path], *settings: object) -> str:
    """Tell a list of files and settings from any other, by names and sizes."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\t{path.stat().st_size}\n".encode())
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def check_labels(row: ImageDataset, labels: np.ndarray, where: Path) -> None:
    """Raise `DatasetShapeError` unless every label is a class of the data set."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < row.num_classes:
        wrong = labels.max() if labels.max() >= row.num_classes else labels.min()
        raise DatasetShapeError(
            f"{row.name} has {row.num_classes} classes, but {where} holds the label "
            f"{wrong}."
        )
