"""Every byte read or written goes through here.

Paths are local (`~` is expanded) or URLs that fsspec understands. A file
appears under its final name only when it is whole.
"""

from __future__ import annotations

import io
import os
import posixpath
import uuid
from collections.abc import Callable
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from learned_optimization.errors import ResultError

MAX_NAME_BYTES = 255
"""The longest name of a file or folder that file systems allow."""


def _resolve(path: str | os.PathLike) -> tuple[Any, str]:
    try:
        return fsspec.core.url_to_fs(os.path.expanduser(os.fspath(path)))
    except (ValueError, ImportError) as error:
        raise ResultError(
            f"cannot use the path {os.fspath(path)}: {error}. For gs:// install "
            "optimizer-baselines[gcs], for s3:// optimizer-baselines[s3]."
        ) from error


def join(root: str, *parts: str) -> str:
    """Joins path parts below a local folder or a URL."""
    return posixpath.join(os.path.expanduser(root), *parts)


def open_to_read(path: str | os.PathLike) -> IO[bytes]:
    """Opens a file to read its bytes."""
    fs, inner = _resolve(path)
    return cast("IO[bytes]", fs.open(inner, "rb"))


def exists(path: str | os.PathLike) -> bool:
    """Whether a file or folder of that name exists."""
    fs, inner = _resolve(path)
    return fs.exists(inner)


def list_files(folder: str | os.PathLike, suffix: str = "") -> list[str]:
    """Paths of the files directly in a folder, sorted; empty if it is missing.

    Args:
      folder: the folder.
      suffix: how the names of the files wanted end.
    """
    fs, inner = _resolve(folder)
    # A remote listing may have been cached before a file was written.
    fs.invalidate_cache()
    if not fs.exists(inner):
        return []
    names = (
        posixpath.basename(entry["name"])
        for entry in fs.ls(inner, detail=True)
        if entry["type"] == "file"
    )
    return sorted(
        join(os.fspath(folder), name) for name in names if name.endswith(suffix)
    )


def remove_file(path: str | os.PathLike) -> None:
    """Deletes one file; it is no error if it is gone already."""
    fs, inner = _resolve(path)
    if fs.exists(inner):
        fs.rm_file(inner)


def write_whole(path: str | os.PathLike, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file that is never seen half-written.

    Locally the bytes go to a hidden file in the same folder, are flushed to the
    disk, and take their name in one step. Object stores show an object only
    once it is complete.

    Args:
      path: the final name; its folder is made if missing.
      write: called with an open file to write to.
    """
    fs, inner = _resolve(path)
    folder, name = posixpath.split(inner)
    fs.makedirs(folder, exist_ok=True)
    if not isinstance(fs, LocalFileSystem):
        # A file opened for writing would be committed even after an error.
        content = io.BytesIO()
        write(content)
        fs.pipe_file(inner, content.getvalue())
        return
    hidden = posixpath.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(hidden, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, inner)
    except BaseException:
        if os.path.exists(hidden):
            os.remove(hidden)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(folder: str | os.PathLike) -> None:
    """Makes sure files can be written below a folder, before work is spent.

    Nothing is left behind: where the folder is missing, the nearest folder
    above it is tried.

    Args:
      folder: the folder, which need not exist yet.

    Raises:
      ResultError: naming the folder and the reason, if nothing can be written.
    """
    fs, inner = _resolve(folder)
    if isinstance(fs, LocalFileSystem):
        while not os.path.lexists(inner):
            inner = posixpath.dirname(inner)
    probe = posixpath.join(inner, f".lopt-write-check-{uuid.uuid4().hex}")
    try:
        fs.pipe_file(probe, b"")
        fs.rm_file(probe)
    except OSError as error:
        raise ResultError(
            f"cannot write below {os.fspath(folder)}: {error.strerror or error}. "
            "Choose a folder you may write to (results go to LOPT_BASELINE_DIR, "
            "archives to LOPT_BASELINE_ARCHIVES_DIR)."
        ) from error
