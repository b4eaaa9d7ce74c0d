"""Reads npz files: only the keys wanted, every byte checked, nothing executed."""

from __future__ import annotations

import errno
import io
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    TooLargeError,
    UnsafeFileError,
)
from learned_optimization.npz import directory, seal
from learned_optimization.npz.limits import MAX_DEFLATE_RATIO, max_read_bytes
from learned_optimization.npz.npy_header import (
    HeaderError,
    NpyHeader,
    ObjectsError,
    read_header,
)

# What zipfile and zlib raise for damage, depending on where it is.
_DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_READ_AT_ONCE = 1 << 20
# Of UTF-16, which are no characters themselves.
_FIRST_HALF, _LAST_HALF = 0xD800, 0xDFFF
_ENCRYPTED = 0x1


class NpzReader:
    """An open npz.

    Args:
      file: the file, open for reading.
      path: its name in messages.

    Attributes:
      path: as given.
      keys: the keys it holds, in their order.
      is_sealed: whether it was written by `NpzWriter`, so that all of it is checked.

    Raises:
      DamagedFileError: if it is no npz, or its directory is damaged.
    """

    def __init__(self, file: IO[bytes], path: str):
        self.path = path
        self._file = file
        with self._damage():
            self._size = file.seek(0, 2)
            directory.check_size(file)
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
            directory.check_members(members, self._zip.start_dir)
            self.is_sealed = seal.is_sealed(self._zip.comment)
            if self.is_sealed and not seal.seal_fits(file, self._zip.start_dir):
                raise DamagedFileError(path, "its directory does not fit its seal")
            if not self.is_sealed and any(
                seal.recorded_digest(m.comment) for m in members
            ):
                raise DamagedFileError(path, "its seal is broken")
        self._members = {m.filename.removesuffix(".npy"): m for m in members}
        self.keys = tuple(self._members)
        if len(self._members) < len(members):
            raise DamagedFileError(path, "it has two members of one name")
        if odd := [m.filename for m in members if not m.filename.endswith(".npy")]:
            raise DamagedFileError(path, f"it holds {odd[0]!r}, which is no array")

    def read(
        self,
        keys: Sequence[str] | None = None,
        check: Callable[[str, NpyHeader], str | None] = lambda key, header: None,
    ) -> dict[str, np.ndarray]:
        """Read arrays.

        Args:
          keys: the keys wanted; all of them if None.
          check: called with each key and what the array's header says, before any of
            its values is read; returns what is wrong with that, or None.

        Raises:
          TooLargeError: if they say they are larger than may be read.
          UnsafeFileError: if one holds Python objects.
          DamagedFileError: if one is missing or damaged.
        """
        wanted = self.keys if keys is None else tuple(dict.fromkeys(keys))
        for key in wanted:
            self._check_member(key)
        self._check_total(sum(self._members[key].file_size for key in wanted))
        return {key: self._read(key, check) for key in wanted}

    def header(self, key: str) -> NpyHeader:
        """Return the type and shape of one array, whose values are not read or checked.

        Raises:
          FileContentError: as `read`.
        """
        self._check_member(key)
        with self._damage(key), self._zip.open(self._members[key]) as member:
            return self._header(key, member)

    def size_of(self, key: str) -> int:
        """Return bytes of one array and its header, as the directory says."""
        return self._members[key].file_size

    def _check_member(self, key: str) -> None:
        info = self._members.get(key)
        if info is None:
            raise DamagedFileError(self.path, "there is no such key", key=key)
        stored = info.compress_type == zipfile.ZIP_STORED
        if not stored and info.compress_type != zipfile.ZIP_DEFLATED:
            problem = f"compressed by method {info.compress_type}, not by deflate"
        elif info.flag_bits & _ENCRYPTED:
            problem = "it is encrypted"
        elif info.compress_size > self._size:
            problem = f"it says it takes {info.compress_size:,} bytes of the file"
        elif info.file_size > info.compress_size * (1 if stored else MAX_DEFLATE_RATIO):
            problem = (
                f"it says it holds {info.file_size:,} bytes, more than can come of "
                f"{info.compress_size:,}"
            )
        elif self.is_sealed and seal.recorded_digest(info.comment) is None:
            problem = "it has no digest"
        else:
            return
        raise DamagedFileError(self.path, problem, key=key)

    def _check_total(self, size: int) -> None:
        limit = max_read_bytes(self._size)
        if size > limit:
            raise TooLargeError(
                self.path,
                f"it says it holds {size:,} bytes, and {limit:,} may be read",
            )

    def _read(
        self, key: str, check: Callable[[str, NpyHeader], str | None]
    ) -> np.ndarray:
        info = self._members[key]
        with self._damage(key), self._zip.open(info) as member:
            header = self._header(key, member)
            if problem := check(key, header):
                raise DamagedFileError(self.path, problem, key=key)
            order = -1 if header.fortran_order else 1
            array = np.empty(header.shape[::order], header.dtype)
            content = array.reshape(-1).view(np.uint8)
            self._fill(content.data, member)
            if self.is_sealed:
                digest = seal.new_digest()
                digest.update(header.raw)
                digest.update(content.data)
                if seal.recorded_digest(info.comment) != seal.text_of(digest):
                    raise ValueError("it does not fit its digest")
            _check_values(array)
        return array.T if header.fortran_order else array

    @staticmethod
    def _fill(left: memoryview, member: IO[bytes]) -> None:
        while left:
            data = member.read(min(len(left), _READ_AT_ONCE))
            if not data:
                raise EOFError("it ends too early")
            left[: len(data)] = data
            left = left[len(data) :]
        # zipfile compares the CRC when it is asked for more than there is.
        if member.read(1):
            raise ValueError("it is longer than it says")

    def _header(self, key: str, member: IO[bytes]) -> NpyHeader:
        try:
            header = read_header(member)
        except ObjectsError as error:
            raise UnsafeFileError(self.path, str(error), key=key) from error
        except HeaderError as error:
            raise DamagedFileError(self.path, str(error), key=key) from error
        size = self._members[key].file_size
        if header.total_bytes != size:
            raise DamagedFileError(
                self.path,
                f"its header says {header.total_bytes:,} bytes, the directory {size:,}",
                key=key,
            )
        return header

    @contextmanager
    def _damage(self, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except FileContentError:
            raise
        except MemoryError as error:
            problem = "it is larger than the memory of this machine"
            raise TooLargeError(self.path, problem, key=key) from error
        except OSError as error:
            # Before the start of a file leads a damaged directory; what else fails
            # is the disk or the network, and no fault of the file.
            if error.errno != errno.EINVAL:
                raise
            raise DamagedFileError(self.path, str(error), key=key) from error
        except _DAMAGE as error:
            reason = str(error) or type(error).__name__
            raise DamagedFileError(self.path, reason, key=key) from error


def _check_values(array: np.ndarray) -> None:
    """Refuse what is no value of its type, and fails only when it is used."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ValueError("it holds truth values that are neither true nor false")
    if array.dtype.kind == "U":
        points = array.reshape(-1).view(f"{array.dtype.byteorder}u4")
        if (points > sys.maxunicode).any():
            raise ValueError("it holds text that is no Unicode")
        # No output and no database could encode them.
        if ((points >= _FIRST_HALF) & (points <= _LAST_HALF)).any():
            raise ValueError("it holds text with halves of characters")


@contextmanager
def open_npz(path: str, name: str | None = None) -> Iterator[NpzReader]:
    """Open an npz to read some of its keys.

    A remote file is fetched in one go: a zip is read from its end, by many seeks.

    Args:
      path: local path or URL.
      name: its name in messages, if not the path.

    Raises:
      ResultError: if the file is missing or cannot be reached.
      FileContentError: if it must not be used; see `NpzReader`.
    """
    with filesystem.open_to_read(path) as file:
        if not filesystem.is_local(path):
            limit = max_read_bytes()
            content = file.read(limit + 1)
            if len(content) > limit:
                raise TooLargeError(path, f"it has more than {limit:,} bytes")
            file = io.BytesIO(content)
        yield NpzReader(file, name or path)


def read_npz(
    path: str, keys: Sequence[str] | None = None, missing_ok: bool = False
) -> dict[str, np.ndarray]:
    """Read an npz without ever running a pickle.

    Args:
      path: local path or URL.
      keys: the keys wanted; all of them if None.
      missing_ok: leave out keys the file lacks.

    Raises:
      ResultError: if the file is missing or cannot be reached.
      TooLargeError: if what is wanted is larger than may be read.
      UnsafeFileError: if it holds Python objects.
      DamagedFileError: if it is damaged or lacks a key.
    """
    with open_npz(os.fspath(path)) as npz:
        if keys is not None and missing_ok:
            keys = [key for key in keys if key in npz.keys]
        return npz.read(keys)
