"""Reads what an npy member says of itself, without evaluating anything.

The format is numpy's (https://numpy.org/doc/stable/reference/generated/
numpy.lib.format.html). numpy evaluates the header as a Python literal; this
reader takes nothing but the one form that all its versions write.

numpy's own bounded reader (`numpy.lib.format.read_array_header_1_0`) does not serve:
of 200,000 damaged headers 28,700 ended in errors of tokenizing, syntax and types, or in
warnings; headers of Python 2 are warnings too; and version 3 of the format has no
public reader.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import IO

import numpy as np

from learned_optimization.npz.limits import MAX_DIMENSIONS, MAX_HEADER_BYTES

_MAGIC = b"\x93NUMPY"
_FORM = re.compile(
    r"\{'descr': (?P<descr>'[^']{0,16}'|\[.*\]), "
    r"'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9L, ]*)\),? *\} *\n?"
)
_OBJECTS = re.compile(r"'\|?O\d*'")


class HeaderError(ValueError):
    """A header that is not of the form numpy writes, or of a type not allowed."""


class ObjectsError(HeaderError):
    """The array holds Python objects: it could be read by running a pickle only."""


@dataclass(frozen=True)
class NpyHeader:
    """What a header says.

    Attributes:
      dtype: numbers, truth values or text.
      shape: of the array.
      fortran_order: the first axis varies fastest.
      raw: the header itself.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool
    raw: bytes

    @property
    def total_bytes(self) -> int:
        """Bytes of header and array."""
        return len(self.raw) + self.dtype.itemsize * math.prod(self.shape)


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read the header, and leave the file at the array's first byte.

    Raises:
      HeaderError: if it is not of the form numpy writes.
      ObjectsError: if the array holds Python objects.
    """
    start = file.read(8)
    if len(start) < 8 or start[:6] != _MAGIC:
        raise HeaderError("it does not begin as an array does")
    width = {1: 2, 2: 4, 3: 4}.get(start[6])
    if width is None or start[7]:
        raise HeaderError(f"unknown version {start[6]}.{start[7]} of the npy format")
    width_and_length = file.read(width)
    length = int.from_bytes(width_and_length, "little")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(f"its header has {length:,} bytes")
    # Names of fields would be the only text that is not ASCII.
    description = file.read(length)
    text = description.decode("latin-1")
    if _OBJECTS.search(text):
        raise ObjectsError("it holds Python objects, which only a pickle could restore")
    form = _FORM.fullmatch(text)
    if form is None:
        raise HeaderError(f"its header is not one of numpy's: {text[:80]!r}")
    return NpyHeader(
        dtype=_dtype(form["descr"]),
        shape=_shape(form["shape"]),
        fortran_order=form["fortran"] == "True",
        raw=start + width_and_length + description,
    )


def _shape(text: str) -> tuple[int, ...]:
    parts = [part.strip().removesuffix("L") for part in text.split(",")]
    if parts[-1] == "":
        parts.pop()
    if len(parts) > MAX_DIMENSIONS or not all(
        part.isdecimal() and len(part) < 16 for part in parts
    ):
        raise HeaderError(f"its shape is ({text[:80]})")
    return tuple(map(int, parts))


def _dtype(text: str) -> np.dtype:
    form = re.fullmatch(r"'[<>|=]?[?biufUS]\d{0,8}'", text)
    try:
        dtype = np.dtype(text[1:-1]) if form else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.itemsize == 0:
        raise HeaderError(
            f"its type is {text[:80]}; numbers, truth values and text are allowed"
        )
    return dtype
