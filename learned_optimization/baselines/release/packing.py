"""Packed archives: an npz without compression, compressed whole by xz.

A release has some thousand keys of which most are alike; what they share is stored
once, which an npz with its members compressed one by one cannot do. `xz -d` and
`numpy.load` read one without this package.
"""

from __future__ import annotations

import io
import lzma
import zipfile
from collections.abc import Mapping

import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import DamagedFileError, TooLargeError
from learned_optimization.npz import NpzReader
from learned_optimization.npz.limits import max_read_bytes

SUFFIX = ".npz.xz"
"""How names of packed archives end."""

_PRESET = 9 | lzma.PRESET_EXTREME

# What xz needs for the largest dictionary of its presets is a quarter of this.
_MAX_MEMORY = 256 << 20


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of a packed archive; equal arrays make equal bytes.

    Args:
      arrays: key to array, without Python objects.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(
                member, np.ascontiguousarray(array), allow_pickle=False
            )
            # Made of a name alone, it has the earliest date of a zip.
            file.writestr(zipfile.ZipInfo(f"{key}.npy"), member.getvalue())
    return lzma.compress(content.getvalue(), preset=_PRESET)


def unpack(content: bytes, path: str) -> dict[str, np.ndarray]:
    """Return the arrays of a packed archive.

    Args:
      content: its bytes.
      path: the file they are from, for messages.

    Raises:
      TooLargeError: if they are more than may be read.
      DamagedFileError: if they are no packed archive.
    """
    limit = max_read_bytes(len(content))
    try:
        reader = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
        whole = reader.decompress(content, max_length=limit + 1)
        is_whole = reader.eof and not reader.unused_data
    except lzma.LZMAError as error:
        raise DamagedFileError(path, f"{error}") from error
    if len(whole) > limit:
        raise TooLargeError(path, f"it holds more than {limit:,} bytes")
    if not is_whole:
        raise DamagedFileError(path, "it ends too early, or too late")
    return NpzReader(io.BytesIO(whole), path).read()


def read_packed(path: str, limit: int) -> dict[str, np.ndarray]:
    """Return the arrays of a packed archive's file.

    Args:
      path: local path or URL.
      limit: bytes that the file may have.

    Raises:
      ResultError: if it cannot be reached, or as `unpack`.
    """
    return unpack(filesystem.read_all(path, limit), path)
