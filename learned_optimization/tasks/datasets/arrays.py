"""Data that fits in arrays: all splits of a data set, and where each begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

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


def abstract_array(array: Any) -> jax.ShapeDtypeStruct:
    """Return the shape of an array, or number, and the dtype it has on a device."""
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    return jax.ShapeDtypeStruct(np.shape(array), dtype)
