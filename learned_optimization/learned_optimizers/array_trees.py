"""Trees of named arrays, read from bytes that anyone may have written.

The bytes are flax's msgpack: maps with names as keys, and arrays as extension types.
No code is run, and nothing is made larger than the bytes are. flax's own reader sets
no limits: lists and maps within each other may claim, at every level, as many entries
as the file has bytes, and memory is taken for them before they are seen to be absent;
types of arrays, names given twice and depth are not checked either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import msgpack
import numpy as np

from learned_optimization.text import brief, said

__all__ = ["array_of", "joined", "leaves_of", "unpack"]

MAX_ARRAYS = 10_000
"""Arrays in a file; VeLO has 31."""

MAX_ENTRIES = 20_000
"""Entries of all maps of a file."""

MAX_LENGTH = 2_000
"""Entries of one map: memory for them is taken before they are seen."""

MAX_DEPTH = 16
"""Maps within maps; VeLO has four levels."""

MAX_DIMENSIONS = 16
"""Axes of an array."""

MAX_NAME_BYTES = 1024
"""Bytes of a name, and of any other text."""

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3

_DTYPES: Mapping[str, np.dtype] = {
    "bfloat16": np.dtype(jnp.bfloat16),
    "bool": np.dtype(bool),
    **{
        f"{kind}{bits}": np.dtype(f"<{kind[0]}{bits // 8}")
        for kind, sizes in {
            "float": (16, 32, 64),
            "int": (8, 16, 32, 64),
            "uint": (8, 16, 32, 64),
        }.items()
        for bits in sizes
    },
}

_CHUNKED = "__msgpack_chunked_array__"


def array_of(shape: Any, dtype_name: str, content: bytes) -> np.ndarray:
    """Return the array that some bytes are, without copying them.

    Args:
      shape: the shape it is said to have: whole numbers, or anything, which is checked.
      dtype_name: the type it is said to have, by numpy's name.
      content: its entries, in C order.

    Raises:
      ValueError: if the three do not belong together.
    """
    dtype = _DTYPES.get(dtype_name)
    if dtype is None:
        raise ValueError(f"an array is of the type {brief(dtype_name)}")
    is_shape = isinstance(shape, (tuple, list)) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape
    )
    if not is_shape or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"an array has the shape {brief(shape)}")
    # Of Python's integers, which do not overflow.
    size = math.prod(shape) * dtype.itemsize
    if size != len(content):
        raise ValueError(
            f"an array of shape {brief(tuple(shape))} and type {dtype_name} has "
            f"{size:,} bytes, and {len(content):,} are there"
        )
    try:
        return np.frombuffer(content, dtype).reshape(tuple(shape))
    except ValueError as error:
        # No bytes, and another axis too long for any array.
        raise ValueError(f"an array has the shape {brief(tuple(shape))}") from error


def unpack(content: bytes) -> Any:
    """Return the tree that msgpack of flax holds: nested dicts of arrays and values.

    A namedtuple, in either of the spellings that flax wrote, is a dict of its fields;
    arrays are read-only.

    Raises:
      ValueError: saying what is wrong with it, whatever that is.
    """
    reader = _Reader()
    try:
        tree = msgpack.unpackb(
            content,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=reader.map_of,
            ext_hook=reader.extension,
            max_str_len=MAX_NAME_BYTES,
            max_bin_len=0,
            # Lists are maps too.
            max_array_len=0,
            max_map_len=MAX_LENGTH,
            max_ext_len=len(content),
        )
    except _WrongError as error:
        raise ValueError(str(error)) from error
    except msgpack.ExtraData as error:
        raise ValueError("it is no msgpack, or more follows after its end") from error
    except (msgpack.StackError, RecursionError) as error:
        raise ValueError("maps are nested too deeply") from error
    # msgpack's, of what is cut off, of other types and of lengths beyond the limits.
    except (ValueError, OverflowError, msgpack.UnpackException) as error:
        raise ValueError(f"it is no msgpack of named arrays ({said(error)})") from error
    return _plain(tree)


class _WrongError(Exception):
    """What is wrong, said in our words; no `ValueError`, as msgpack's own are."""


class _Map(dict):
    """A map as it was read, which knows how many maps are within each other in it."""

    depth = 1


@dataclass
class _Reader:
    num_arrays: int = field(default=0, init=False)
    num_entries: int = field(default=0, init=False)

    def map_of(self, pairs: list[tuple[Any, Any]]) -> _Map:
        made = _Map(pairs)
        self.num_entries += len(pairs)
        if self.num_entries > MAX_ENTRIES:
            raise _WrongError(f"its maps have more than {MAX_ENTRIES:,} entries")
        if not all(isinstance(name, str) for name in made):
            raise _WrongError("a name is no text")
        if len(made) < len(pairs):
            raise _WrongError("a map has a name twice")
        depths = (v.depth for v in made.values() if isinstance(v, _Map))
        made.depth = 1 + max(depths, default=0)
        if made.depth > MAX_DEPTH:
            raise _WrongError("maps are nested too deeply")
        return made

    def extension(self, code: int, data: bytes) -> np.ndarray:
        if code == _COMPLEX:
            raise _WrongError("it has a complex number")
        if code not in (_ARRAY, _SCALAR):
            raise _WrongError(f"it has something of the unknown type {code}")
        self.num_arrays += 1
        if self.num_arrays > MAX_ARRAYS:
            raise _WrongError(f"it has more than {MAX_ARRAYS:,} arrays")
        try:
            shape, dtype_name, content = msgpack.unpackb(
                data,
                # Older ones have bytes where newer ones have text.
                raw=True,
                use_list=False,
                max_str_len=len(data),
                max_bin_len=len(data),
                max_array_len=MAX_DIMENSIONS,
                max_map_len=0,
                max_ext_len=0,
            )
            array = array_of(shape, _text(dtype_name), _bytes(content))
        except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
            raise _WrongError(said(error)) from error
        if code == _SCALAR and array.shape != ():
            raise _WrongError(f"a scalar has the shape {array.shape}")
        return array


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError(f"an array is of the type {brief(value)}")
    return value.decode("ascii", "backslashreplace")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"an array has no bytes, but {brief(value)}")
    return value


def _plain(tree: Any) -> Any:
    if not isinstance(tree, _Map):
        return tree
    if _CHUNKED in tree:
        raise ValueError("it has an array of more than 1 GiB, in pieces")
    made = {name: _plain(value) for name, value in tree.items()}
    if set(made) != {"name", "fields", "values"} or not isinstance(made["name"], str):
        return made
    fields, values = made["fields"], made["values"]
    if not isinstance(fields, dict) or not isinstance(values, dict):
        return made
    names = [fields.get(str(i)) for i in range(len(fields))]
    if (
        set(fields) != set(values)
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise ValueError(f"the fields of the namedtuple {made['name']} are not its own")
    return {name: values[str(i)] for i, name in enumerate(names)}


def leaves_of(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield every leaf of nested dicts with its path, in the order of the dicts."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from leaves_of(value, (*path, name))
    else:
        yield path, tree


def joined(path: tuple[str, ...]) -> str:
    """Return a path as messages name it; names may have slashes in them."""
    return "|".join(path)
