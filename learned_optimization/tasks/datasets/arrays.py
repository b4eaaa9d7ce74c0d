"""Data that fits in arrays: all splits of a data set, and where each begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import LoptError, UnknownNameError, check_at_least
from learned_optimization.text import brief

Batch = Mapping[str, Any]
"""One batch of arrays: field name to array."""


@dataclass(frozen=True, eq=False)
class ArrayData:
    """A whole data set, with one array per field for all splits.

    One array per field lets a compiled program reach every split by index. What is
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
        """Turn stored values into what a task sees (numpy in and out, or jax)."""
        return {
            field: (
                values.astype(np.float32) / np.float32(self.divisors[field])
                if field in self.divisors
                else values
            )
            for field, values in batch.items()
        }

    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return the decoded batch of the examples at `indices` (host side)."""
        return self.decode({f: a[indices] for f, a in self.arrays.items()})

    @property
    def num_examples(self) -> int:
        """Examples of all splits."""
        return max(stop for _, stop in self.splits.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, in memory or on disk."""
        return sum(a.nbytes for a in self.arrays.values())

    @property
    def is_in_memory(self) -> bool:
        """Whether every array is; the others are read as they are needed."""
        # A memory map is an ndarray too, of a class of its own.
        return all(type(a) is np.ndarray for a in self.arrays.values())


def split_ranges(num_train: int, num_test: int) -> dict[str, tuple[int, int]]:
    """Return ranges of the four splits in a training part followed by a test part.

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


def joined(
    train: Batch,
    test: Batch,
    divisors: Mapping[str, float] | None = None,
    shuffle_seed: int | None = None,
) -> ArrayData:
    """Return a training and a test part as one data set, in 32 bits.

    Args:
      train: field name to array `[num_train, ...]`, or what becomes one.
      test: the same of the test part, `[num_test, ...]`.
      divisors: as of `ArrayData`.
      shuffle_seed: puts the training part in an order drawn by it before it is split;
        if None, it stays as it is.

    Raises:
      LoptError: naming a field that is missing, or of another length, shape or type.
    """
    parts = {"train": _part("train", train), "test": _part("test", test)}
    if parts["train"].keys() != parts["test"].keys():
        raise LoptError(
            f"train has the fields {', '.join(sorted(parts['train']))}, and test "
            f"{', '.join(sorted(parts['test']))}: both must have the same."
        )
    for field in divisors or ():
        if field not in parts["train"]:
            raise UnknownNameError("field of the data", field, parts["train"])
    sizes = {name: len(next(iter(part.values()))) for name, part in parts.items()}
    check_at_least("the number of training examples", sizes["train"], 10)
    check_at_least("the number of test examples", sizes["test"], 1)
    arrays = {}
    order: Any = slice(None)
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(sizes["train"])
    for field, values in parts["train"].items():
        others = parts["test"][field]
        if (values.shape[1:], values.dtype) != (others.shape[1:], others.dtype):
            raise LoptError(
                f"examples of the field {field!r} are {_described(values)} in train, "
                f"and {_described(others)} in test: they must be alike."
            )
        arrays[field] = np.concatenate([values[order], others])
    ranges = split_ranges(sizes["train"], sizes["test"])
    return ArrayData(arrays, ranges, dict(divisors or {}))


def _part(name: str, given: Batch) -> dict[str, np.ndarray]:
    if not isinstance(given, Mapping) or not given:
        raise LoptError(
            f"{name} maps each field to its array, e.g. {{'image': images, 'label': "
            f"labels}}, got {brief(given)}."
        )
    part = {f: _in_32_bits(f"{name}[{f!r}]", values) for f, values in given.items()}
    lengths = {field: len(values) for field, values in part.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} of {field}" for field, n in lengths.items())
        raise LoptError(f"the fields of {name} must be of one length, got {shown}.")
    return part


def _in_32_bits(what: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise LoptError(
            f"{what} must be an array of numbers [num_examples, ...], got "
            f"{array.dtype} {list(array.shape)}."
        )
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.itemsize <= 4:
        return array
    limits = np.iinfo(np.int32)
    if array.size and not (limits.min <= array.min() <= array.max() <= limits.max):
        raise LoptError(f"{what} holds whole numbers beyond 32 bits.")
    return array.astype(np.int32)


def _described(values: np.ndarray) -> str:
    return f"{values.dtype} {list(values.shape[1:])}"


def abstract_array(array: Any) -> jax.ShapeDtypeStruct:
    """Return the shape of an array, or number, and the dtype it has on a device."""
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    return jax.ShapeDtypeStruct(np.shape(array), dtype)
