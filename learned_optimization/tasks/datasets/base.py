"""The interface of a data set: four splits of batches.

A user's own data is made by `Datasets.from_arrays`, or a `Datasets` of four iterators,
or of functions that make them. Data in arrays is a subclass with a method `load`, a
light handle: making one, comparing two and asking for the shape of a batch read no
files; drawing a batch loads the arrays once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

import jax
import numpy as np

from learned_optimization.errors import (
    AbsentError,
    LoptError,
    UnknownNameError,
    check_at_least,
)
from learned_optimization.tasks.datasets.arrays import (
    ArrayData,
    Batch,
    abstract_array,
    joined,
    split_ranges,
)
from learned_optimization.tasks.datasets.iterators import (
    BatchSource,
    LazyIterator,
    ThreadSafeIterator,
)
from learned_optimization.tasks.datasets.streams import EpochStream

__all__ = [
    "SPLITS",
    "ArrayData",
    "Batch",
    "Datasets",
    "LazyDataset",
    "LazyIterator",
    "ThreadSafeIterator",
    "check_split",
    "dataset_lru_cache",
    "dataset_lru_cache_clear",
    "datasets_map",
    "split_ranges",
]

SPLITS = ("train", "inner_valid", "outer_valid", "test")
"""The four splits of every data set."""


class Datasets:
    """Four splits of batches and what is known of them without reading.

    Each split is given as

    - a function `fn(seed)` that makes an iterator of batches: every seed of a set
      has data of its own, the same for all of its configurations;
    - a function without arguments, or a list: all seeds have the same batches;
    - an iterator: all trials that run together have the same batches, and what runs
      after them goes on where they stopped. Such a run cannot go on from a
      checkpoint: it begins again.

    A function or list that ends is started again. A batch is any tree of arrays, of
    the same structure, shapes and dtypes in all four splits.

    `train`, `inner_valid`, `outer_valid` and `test` are iterators that go on: each
    `next(datasets.train)` is another batch. `split` starts again where that can be.

    Data in arrays is a subclass that defines `load` and the attributes, and no
    iterators; equality is its to define so that two handles of the same data
    compare equal.

    Args:
      train: batches to train on.
      inner_valid: batches for an inner validation.
      outer_valid: batches to choose configurations by.
      test: batches to report.
      extra_info: facts such as `num_classes` or `vocab_size`.
      abstract_batch: a batch as `jax.ShapeDtypeStruct`; taken from the first batch
        of `train` if None, when it is asked for.

    Attributes:
      name: the data set's name, as in `lopt data list`.
      batch_size: examples per batch; of data in arrays only.
      extra_info: facts such as `num_classes` or `vocab_size`.
      abstract_batch: a tree of `jax.ShapeDtypeStruct` like one batch.
    """

    name: str
    batch_size: int

    def __init__(
        self,
        train: Any,
        inner_valid: Any,
        outer_valid: Any,
        test: Any,
        extra_info: Mapping[str, Any] | None = None,
        abstract_batch: Any = None,
    ):
        self.name = "own_data"
        given = (train, inner_valid, outer_valid, test)
        self._sources = {
            split: BatchSource.of(source)
            for split, source in zip(SPLITS, given, strict=True)
        }
        self._extra_info = dict(extra_info or {})
        self._abstract_batch = None
        if abstract_batch is not None:
            self._abstract_batch = jax.tree.map(abstract_array, abstract_batch)

    @staticmethod
    def from_arrays(
        train: Batch,
        test: Batch,
        batch_size: int = 128,
        *,
        divisors: Mapping[str, float] | None = None,
        shuffle_seed: int | None = 0,
        extra_info: Mapping[str, Any] | None = None,
        name: str = "own_data",
    ) -> Datasets:
        """Make a data set of arrays: a training and a test part.

        The first 80% of the training part are `train`, the next 10% `inner_valid`, the
        last 10% `outer_valid`. Whole runs are compiled, whole splits are evaluated at
        their end, and two that hold the same are equal.

        Args:
          train: field name to array `[num_train, ...]`, e.g. `image` and `label`.
          test: the same of the test part.
          batch_size: examples per batch.
          divisors: field name to the number its values are divided by on use, e.g.
            `{"image": 255.0}`: such a field is stored as the integers it holds.
          shuffle_seed: puts the training part in an order drawn by it before it is
            split; if None it is split as it is, which is right only where its order
            says nothing, as that of sorted labels would.
          extra_info: facts such as `num_classes`; where there is a field `label` of
            whole numbers, their number is taken from it.
          name: the data set's name.

        Raises:
          LoptError: naming a field that is missing, or of another length, shape or
            type; or if there are too few examples.
        """
        check_at_least("batch_size", batch_size, 1)
        data = joined(train, test, divisors, shuffle_seed)
        facts: dict[str, Any] = {}
        label = data.arrays.get("label")
        if label is not None and label.dtype.kind in "iu":
            facts["num_classes"] = int(label.max()) + 1
        return _OwnArrays(data, batch_size, facts | dict(extra_info or {}), name)

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is made up, for tests of shapes only."""
        return False

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """Facts such as `num_classes` or `vocab_size`."""
        return self._extra_info

    @property
    def abstract_batch(self) -> Any:
        """Shapes and dtypes of one batch; data in arrays is not read for it."""
        if self._abstract_batch is None:
            try:
                batch = self.source("train").peek()
            except StopIteration:
                raise LoptError(
                    "the iterator of the split 'train' has no batch left."
                ) from None
            self._abstract_batch = jax.tree.map(abstract_array, batch)
        return self._abstract_batch

    def load(self) -> ArrayData | None:
        """Return the whole data set as arrays, loaded once and cached.

        None where it is given as iterators.

        Raises:
          DataNotFoundError: if its files are nowhere they are looked for.
        """
        return None

    def is_available(self) -> bool:
        """Return whether `load` would find its files; reads no data."""
        return True

    def source(self, name: str) -> BatchSource:
        """Return where the batches of a split come from.

        Raises:
          UnknownNameError: if there is no such split.
        """
        check_split(name)
        if type(self).load is Datasets.load:
            return self._sources[name]
        return BatchSource(lambda seed: self._batches(name, seed), True, True)

    def split(self, name: str, seed: int = 0) -> Iterator[Any]:
        """Return endless batches of one split, shuffled where the data is in arrays.

        Args:
          name: one of `train`, `inner_valid`, `outer_valid`, `test`.
          seed: decides the order; the same seed replays the same batches. Of no
            effect where the split was given as an iterator.

        Returns:
          An iterator of batches. Of arrays: every example once an epoch, in a new
          order each epoch; a batch may span two epochs.
        """
        return self.source(name).start(seed)

    def _batches(self, name: str, seed: int) -> Iterator[dict[str, np.ndarray]]:
        data = cast("ArrayData", self.load())
        stream = EpochStream((seed, SPLITS.index(name)), data.splits[name])
        while True:
            yield data.take(stream.take(1, self.batch_size)[0])

    def _going_on(self, name: str) -> Iterator[Any]:
        # Written to `__dict__`, since handles of data in arrays are frozen.
        iterators = self.__dict__.setdefault("_iterators", {})
        if name not in iterators:
            iterators[name] = self.split(name)
        return iterators[name]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_iterators"}

    @property
    def train(self) -> Iterator[Any]:
        """Batches to train on."""
        return self._going_on("train")

    @property
    def inner_valid(self) -> Iterator[Any]:
        """Batches for an inner validation."""
        return self._going_on("inner_valid")

    @property
    def outer_valid(self) -> Iterator[Any]:
        """Batches to choose configurations by."""
        return self._going_on("outer_valid")

    @property
    def test(self) -> Iterator[Any]:
        """Batches to report: those of the test part."""
        return self._going_on("test")


class _OwnArrays(Datasets):
    """A user's arrays, known by what they hold."""

    def __init__(
        self, data: ArrayData, batch_size: int, extra_info: Mapping[str, Any], name: str
    ):
        self.name, self.batch_size = name, batch_size
        self._data, self._extra_info = data, dict(extra_info)

    def load(self) -> ArrayData:
        """Return the arrays."""
        return self._data

    @property
    def abstract_batch(self) -> Any:
        """Shapes and dtypes of one batch."""
        row = self._data.take(np.zeros(1, np.int64))
        return {
            field: jax.ShapeDtypeStruct((self.batch_size, *x.shape[1:]), x.dtype)
            for field, x in row.items()
        }

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(repr(sorted(self._extra_info.items())).encode())
        for field, array in sorted(self._data.arrays.items()):
            told = f"{field} {array.dtype} {array.shape} {self._data.divisors}"
            digest.update(told.encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def __repr__(self) -> str:
        return f"{self.name}({self._digest}, batch_size={self.batch_size})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OwnArrays) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class LazyDataset(Datasets):
    """A data set that is made when something of it is needed.

    Args:
      dataset_fn: makes the data set.
    """

    def __init__(self, dataset_fn: Callable[[], Datasets]):
        self._made = lru_cache(maxsize=None)(dataset_fn)

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is made up, for tests of shapes only."""
        return self._made().is_synthetic

    @property
    def extra_info(self) -> Mapping[str, Any]:
        """Facts such as `num_classes` or `vocab_size`."""
        return self._made().extra_info

    @property
    def abstract_batch(self) -> Any:
        """Shapes and dtypes of one batch."""
        return self._made().abstract_batch

    def __getattr__(self, name: str) -> Any:
        # What else data in arrays has, such as its batch size.
        if name == "_made":
            raise AttributeError(name)
        return getattr(self._made(), name)

    def load(self) -> ArrayData | None:
        """Return the whole data set as arrays; None where it is given as iterators."""
        return self._made().load()

    def is_available(self) -> bool:
        """Return whether `load` would find its files; reads no data."""
        return self._made().is_available()

    def source(self, name: str) -> BatchSource:
        """Return where the batches of a split come from."""
        return self._made().source(name)

    def _going_on(self, name: str) -> Iterator[Any]:
        return self._made()._going_on(name)


def datasets_map(
    fn: Callable[[Any], Any], datasets: Datasets, abstract_batch: Any = None
) -> Datasets:
    """Make a data set of the same batches passed through a function.

    Args:
      fn: turns a batch into the new one, on the host, where numpy is faster than jax.
      datasets: the data set.
      abstract_batch: a new batch as `jax.ShapeDtypeStruct`; taken from the first
        batch if None, when it is asked for.
    """
    return Datasets(
        *(datasets.source(split).map(fn) for split in SPLITS),
        extra_info=datasets.extra_info,
        abstract_batch=abstract_batch,
    )


_Function = TypeVar("_Function", bound=Callable[..., Any])
_CACHED: list[Any] = []


def dataset_lru_cache(fn: _Function) -> _Function:
    """Keep the data set made for each set of arguments, as a decorator."""
    cached = lru_cache(maxsize=None)(fn)
    _CACHED.append(cached)
    return cast("_Function", cached)


def dataset_lru_cache_clear() -> None:
    """Forget the data sets that `dataset_lru_cache` keeps."""
    for cached in _CACHED:
        cached.cache_clear()


_ABSENT = (
    "get_tfrecord_data_dir",
    "preload_tfds_image_classification_datasets",
    "tfds_image_classification_datasets",
    "tfrecord_image_classification_datasets",
)


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        raise AbsentError(
            f"{__name__}.{name}",
            "reads files of tensorflow, which this package does without. Use a data "
            "set of tasks.datasets.image, or give iterators of your own to Datasets",
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_split(name: str) -> None:
    """Raise `UnknownNameError` unless `name` is a split."""
    if name not in SPLITS:
        raise UnknownNameError("split", name, SPLITS)
