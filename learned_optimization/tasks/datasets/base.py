"""The interface of a data set: four splits of batches, loaded on first use.

`Datasets` is a light handle. Making one, comparing two and asking for the
shape of a batch read nothing; drawing a batch loads the arrays once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import UnknownNameError
from learned_optimization.tasks.datasets.streams import EpochStream

SPLITS = ("train", "inner_valid", "outer_valid", "test")

Batch = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ArrayData:
    """A whole data set, all splits in one array a field.

    One array a field lets a compiled program reach every split by index. What is
    too large for memory is mapped from disk, and read as it is needed.

    Attributes:
      arrays: field name to array `[num_examples, ...]`, in storage dtype; in
        memory, mapped, or anything that gathers rows as numpy arrays do.
      splits: split name to the half-open range of examples it holds.
      divisors: field name to the number its values are divided by on use; such
        a field is stored as integers and becomes float32. Others are used as
        they are.
    """

    arrays: Mapping[str, Any]
    splits: Mapping[str, tuple[int, int]]
    divisors: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def decode(self, batch: Batch) -> dict[str, Any]:
        """Turns stored values into what a task sees (numpy in and out, or jax)."""
        return {
            field: (
                values.astype(np.float32) / np.float32(self.divisors[field])
                if field in self.divisors
                else values
            )
            for field, values in batch.items()
        }

    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The decoded batch of the examples at `indices` (host side)."""
        return self.decode({f: a[indices] for f, a in self.arrays.items()})

    @property
    def num_examples(self) -> int:
        """Examples of all splits."""
        return max(stop for _, stop in self.splits.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, wherever they are."""
        return sum(a.nbytes for a in self.arrays.values())

    @property
    def is_in_memory(self) -> bool:
        """Whether every array is; the others are read as they are needed."""
        # A memory map is an ndarray too, of a class of its own.
        return all(type(a) is np.ndarray for a in self.arrays.values())


class Datasets:
    """Four splits of batches and what is known of them without reading.

    Subclasses define `load` (and the attributes); equality is theirs to define
    so that two handles of the same data compare equal.

    Attributes:
      name: the data set's name, as in `lopt data list`.
      batch_size: examples a batch.
      extra_info: facts such as `num_classes` or `vocab_size`.
      abstract_batch: field name to `jax.ShapeDtypeStruct` of one batch.
    """

    name: str
    batch_size: int

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is made up, for tests of shapes only."""
        return False

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """Facts such as `num_classes` or `vocab_size`."""
        raise NotImplementedError

    @property
    def abstract_batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of one batch; reads nothing."""
        raise NotImplementedError

    def load(self) -> ArrayData:
        """The whole data set in memory, loaded once and cached.

        Raises:
          DataNotFoundError: if its files are nowhere they are looked for.
        """
        raise NotImplementedError

    def is_at_hand(self) -> bool:
        """Whether `load` would find its files; reads no data."""
        raise NotImplementedError

    def split(self, name: str, seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Endless shuffled batches of one split.

        Args:
          name: one of `train`, `inner_valid`, `outer_valid`, `test`.
          seed: decides the order; the same seed replays the same batches.

        Returns:
          An iterator of batches: every example once an epoch, in a new order
          each epoch; a batch may span two epochs.
        """
        check_split(name)
        return self._batches(name, seed)

    def _batches(self, name: str, seed: int) -> Iterator[dict[str, np.ndarray]]:
        data = self.load()
        stream = EpochStream((seed, SPLITS.index(name)), data.splits[name])
        while True:
            yield data.take(stream.take(1, self.batch_size)[0])

    @property
    def train(self) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches of the first 80% of the training part."""
        return self.split("train")

    @property
    def inner_valid(self) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches of the next 10% of the training part."""
        return self.split("inner_valid")

    @property
    def outer_valid(self) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches of the last 10% of the training part."""
        return self.split("outer_valid")

    @property
    def test(self) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches of the test part."""
        return self.split("test")


def check_split(name: str) -> None:
    """Raises `UnknownNameError` unless `name` is a split."""
    if name not in SPLITS:
        raise UnknownNameError("split", name, SPLITS)


def split_ranges(num_train: int, num_test: int) -> dict[str, tuple[int, int]]:
    """Ranges of the four splits in a training part followed by a test part.

    The first 80% of the training part is `train`, the next 10% `inner_valid`,
    the last 10% `outer_valid`.
    """
    a, b = num_train * 8 // 10, num_train * 9 // 10
    return {
        "train": (0, a),
        "inner_valid": (a, b),
        "outer_valid": (b, num_train),
        "test": (num_train, num_train + num_test),
    }
