"""Writes npz files, array by array or row by row."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, Self

import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import ResultError
from learned_optimization.npz import seal
from learned_optimization.npz.limits import MAX_MEMBERS, max_read_bytes

_ZIP64_FROM = 1 << 31
# Bytes that an array takes beside its own, with a name as long as ours.
_MOST_BESIDE = 1024


class NpzWriter:
    """Writes arrays into an open file, and seals it at the end of a `with` block.

    Args:
      file: a file open for writing and reading, at its start.
    """

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._zip = zipfile.ZipFile(file, "w", allowZip64=True)
        self._zip.comment = seal.PLACEHOLDER

    def add(self, key: str, value: Any, compress_level: int = 6) -> None:
        """Add one array, or what numpy makes one of.

        Args:
          key: its key.
          value: the array.
          compress_level: of deflate, 1 (fast) to 9; 0 stores the bytes as they are.

        Raises:
          ResultError: if the array holds Python objects.
        """
        array = np.asarray(value)
        self.add_rows(key, array.shape, array.dtype, [array], compress_level)

    def add_rows(
        self,
        key: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        rows: Iterable[np.ndarray],
        compress_level: int = 6,
    ) -> None:
        """Add one array whose parts come one after another.

        Args:
          key: its key.
          shape: of the whole array.
          dtype: of the whole array.
          rows: consecutive parts, which together fill it in C order.
          compress_level: as of `add`.

        Raises:
          ResultError: if the array holds Python objects.
          ValueError: if the parts are more or less than the array.
        """
        check_needs_no_pickle(key, dtype)
        left = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        with self._member(key, left, compress_level) as write:
            write(_npy_header(shape, dtype))
            for row in rows:
                content = np.ascontiguousarray(row, dtype).reshape(-1).view(np.uint8)
                left -= content.nbytes
                write(content.data)
        if left:
            raise ValueError(f"{key!r} of {shape} is {left} bytes short")

    @contextmanager
    def _member(self, key: str, size: int, level: int) -> Iterator[Any]:
        name = f"{key}.npy"
        self._zip.compression = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
        self._zip.compresslevel = level
        digest = seal.new_digest()
        # Opened by name, a member has the earliest date of a zip: equal arrays make
        # equal bytes.
        with self._zip.open(name, "w", force_zip64=size >= _ZIP64_FROM) as member:

            def write(data: bytes | memoryview) -> None:
                digest.update(data)
                member.write(data)

            yield write
        self._zip.getinfo(name).comment = seal.member_comment(digest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            # Without it, the zip would write its end when it is collected.
            with suppress(OSError, ValueError):
                self._zip.close()
            return
        self._zip.close()
        seal.seal(self._file, self._zip.start_dir)


def check_needs_no_pickle(key: str, dtype: np.dtype) -> None:
    """Raise `ResultError` if arrays of the type are written with a pickle."""
    if dtype.hasobject:
        raise ResultError(
            f"cannot write {key!r}: an array of Python objects would need a pickle. "
            "Store numbers or text."
        )


def check_readable(path: str, arrays: Mapping[str, Any]) -> None:
    """Raise `ResultError` if a file of these arrays could never be read again.

    Args:
      path: where it is to be written.
      arrays: as of `write_npz`.
    """
    if len(arrays) > MAX_MEMBERS:
        raise ResultError(
            f"cannot write {path}: of a file with {len(arrays):,} arrays none could be "
            f"read, as more than {MAX_MEMBERS:,} are refused."
        )
    sizes = (np.asarray(array).nbytes for array in arrays.values())
    size, limit = sum(sizes) + _MOST_BESIDE * len(arrays), max_read_bytes()
    if size > limit:
        raise ResultError(
            f"cannot write {path}: it may have {size:,} bytes, and {limit:,} may be "
            "read of a file. Set LOPT_MAX_READ_BYTES to the bytes it may take."
        )


def _npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def write_npz(path: str, arrays: Mapping[str, Any], compress: bool = True) -> None:
    """Write arrays as an npz, whole or not at all.

    Equal arrays make equal bytes: no time stamp is kept inside.

    Args:
      path: local path or URL.
      arrays: key to array, or what numpy makes one of.
      compress: smaller, but slower to write and read.

    Raises:
      ResultError: if a value would need a pickle, or the file cannot be written;
        nothing is written then.
    """
    as_arrays = {key: np.asarray(value) for key, value in arrays.items()}
    for key, array in as_arrays.items():
        check_needs_no_pickle(key, array.dtype)

    def write(file: IO[bytes]) -> None:
        with NpzWriter(file) as writer:
            for key, array in as_arrays.items():
                writer.add(key, array, compress_level=6 if compress else 0)

    filesystem.write_whole(path, write)
