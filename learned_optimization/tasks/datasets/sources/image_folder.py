"""Read a folder of images per class: `train/CLASS/FILE`, `val/CLASS/FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.decode import UNIT_SIZE, decode_images

_SUFFIXES = (".jpeg", ".jpg", ".png")
_TEST_NAMES = ("val", "validation", "test")


def find(row: ImageDataset, folder: Path) -> ImageFolder | None:
    """Return the folders `train` and `val` (or `validation`, `test`), or None."""
    train = folder / "train"
    test = next(
        (folder / name for name in _TEST_NAMES if (folder / name).is_dir()), None
    )
    if test is None or not train.is_dir():
        return None
    has_classes = any(child.is_dir() for child in train.iterdir())
    return ImageFolder(row, train, test) if has_classes else None


@dataclass(frozen=True)
class ImageFolder:
    """An `ImageSource` of one file per image; classes are numbered by name.

    Attributes:
      row: the data set it should hold.
      train: folder of the training part.
      test: folder of the test part.
    """

    row: ImageDataset
    train: Path
    test: Path
    is_direct: bool = False
    unit_size: int = UNIT_SIZE

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(
            sorted(child.name for child in self.train.iterdir() if child.is_dir())
        )

    @cached_property
    def _parts(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        def part(root: Path) -> tuple[Path, ...]:
            return tuple(
                path
                for name in self.classes
                for path in sorted((root / name).glob("*"))
                if path.suffix.lower() in _SUFFIXES
            )

        return part(self.train), part(self.test)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every image, training part first, class by class."""
        return (*self._parts[0], *self._parts[1])

    @property
    def num_train(self) -> int:
        """Images of the training part."""
        return len(self._parts[0])

    @property
    def num_test(self) -> int:
        """Images of the test part."""
        return len(self._parts[1])

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images `start` to `stop`; see `ImageSource.read`."""
        row = self.row
        got = (len(self.classes), self.num_train, self.num_test)
        want = (row.num_classes, row.num_train, row.num_test)
        if got != want:
            raise DatasetShapeError(
                f"{self.train.parent}: holds {got[0]} classes, {got[1]} training and "
                f"{got[2]} test images; {row.name} has {want[0]}, {want[1]} and "
                f"{want[2]}."
            )
        files = self.files[start:stop]
        number = {name: i for i, name in enumerate(self.classes)}
        labels = np.array([number[path.parent.name] for path in files], np.int32)
        return decode_images(row, ((path, path) for path in files), image_size), labels
