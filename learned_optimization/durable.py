"""Files on this machine's disks that are there whole, and to stay, or not at all."""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import IO


def write(path: str, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file under a hidden name, flush it, and give it its name.

    Args:
      path: the final name; its folder is made if missing.
      fill: called with a file open for writing and reading.

    Raises:
      OSError: if it cannot be written; what was there before is there still.
    """
    folder, name = posixpath.split(path)
    _make_folders(folder)
    hidden = posixpath.join(folder, f".{name[:150]}.{uuid.uuid4().hex}.tmp")
    try:
        with open(hidden, "w+b") as file:
            fill(file)
            file.flush()
            _flush(file.fileno(), _CANNOT_FLUSH)
        os.replace(hidden, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(hidden)
        raise
    _flush_folder(folder)


def write_folder(path: str, fill: Callable[[str], object]) -> None:
    """Fill a folder under a hidden name, and give it its name.

    Args:
      path: the final name, of no folder or of an empty one; the folder above is
        made if missing.
      fill: called with the hidden folder; flushes what it writes there.

    Raises:
      OSError: if it cannot be written; nothing is left behind then.
    """
    above, name = posixpath.split(path)
    _make_folders(above)
    hidden = posixpath.join(above, f".{name[:150]}.{uuid.uuid4().hex}.tmp")
    try:
        os.mkdir(hidden)
        fill(hidden)
        os.replace(hidden, path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    _flush_folder(above)


def move(path: str, target: str) -> None:
    """Give a file another name on the same disk, in a folder made if missing.

    Raises:
      OSError: if it cannot be moved; it is where it was then.
    """
    folder = posixpath.dirname(target)
    _make_folders(folder)
    os.replace(path, target)
    _flush_folder(folder)


def _make_folders(folder: str) -> None:
    """Make a folder and those above it, and flushes their names to the disk."""
    if not os.path.isdir(folder):
        above = posixpath.dirname(folder)
        _make_folders(above)
        os.makedirs(folder, exist_ok=True)
        _flush_folder(above)


# What network and FUSE file systems answer that do not flush on demand. Anything else,
# such as EIO or ENOSPC, says that bytes were lost.
_CANNOT_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
# A folder may be written to that must not be opened to be read, or flushed.
_CANNOT_FLUSH_FOLDERS = _CANNOT_FLUSH | {
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
}


def _flush(descriptor: int, tolerated: frozenset[int]) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in tolerated:
            raise


def _flush_folder(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise
        return
    try:
        _flush(descriptor, _CANNOT_FLUSH_FOLDERS)
    finally:
        os.close(descriptor)
