"""Read the unpacked archive of Food-101.

Format: https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101 (`images` with a
folder a class, `meta/classes.txt`, and `meta/train.txt` and `meta/test.txt` with
lines `CLASS/NUMBER`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.base import check_labels
from learned_optimization.tasks.datasets.sources.decode import UNIT_SIZE, decode_images

_LISTS = ("classes.txt", "train.txt", "test.txt")


def find(row: ImageDataset, folder: Path) -> Food101 | None:
    """Return the archive's content in a folder or its `food-101`, else None."""
    for root in (folder, folder / "food-101"):
        lists = [root / "meta" / name for name in _LISTS]
        if (root / "images").is_dir() and all(path.is_file() for path in lists):
            return Food101(row, root)
    return None


@dataclass(frozen=True)
class Food101:
    """An `ImageSource` of the unpacked archive; classes are numbered by name.

    Attributes:
      row: the data set it should hold.
      root: the folder of `images` and `meta`.
    """

    row: ImageDataset
    root: Path
    is_direct: bool = False
    unit_size: int = UNIT_SIZE

    @cached_property
    def _names(self) -> tuple[list[str], list[str], list[str]]:
        classes, train, test = (_lines(self.root / "meta" / name) for name in _LISTS)
        return sorted(classes), train, test

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every image, training part first, in the order of the lists."""
        _, train, test = self._names
        return tuple(self.root / "images" / f"{name}.jpg" for name in (*train, *test))

    @property
    def num_train(self) -> int:
        """Images of the training part."""
        return len(self._names[1])

    @property
    def num_test(self) -> int:
        """Images of the test part."""
        return len(self._names[2])

    def read(
        self, start: int, stop: int, image_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images `start` to `stop`; see `ImageSource.read`."""
        row, (classes, train, test) = self.row, self._names
        got = (len(classes), len(train), len(test))
        want = (row.num_classes, row.num_train, row.num_test)
        if got != want:
            raise DatasetShapeError(
                f"{self.root / 'meta'}: lists {got[0]} classes, {got[1]} training and "
                f"{got[2]} test images; {row.name} has {want[0]}, {want[1]} and "
                f"{want[2]}."
            )
        number = {name: i for i, name in enumerate(classes)}
        files = self.files[start:stop]
        labels = np.array(
            [number.get(path.parent.name, -1) for path in files], np.int32
        )
        check_labels(row, labels, self.root)
        return decode_images(row, ((path, path) for path in files), image_size), labels


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetShapeError(f"{path}: no list of names: {error}.") from error
