"""Every byte read or written goes through here.

Paths are local (`~` is expanded, and `file://` may precede them) or URLs that fsspec
understands: `gs://`, `s3://`, `memory://`, and `hf://` and `http(s)://` to read from. A
file appears under its final name only when it is whole, and what goes wrong is a
`ResultError` that names the path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from learned_optimization import durable, listing, locking
from learned_optimization.errors import (
    ForbiddenFileError,
    MissingFileError,
    NotAFileError,
    ResultError,
    TooLargeError,
    UnreadableFileError,
)
from learned_optimization.text import named

MAX_NAME_BYTES = 255
"""The longest name of a file or folder that file systems allow."""

_LOCAL = LocalFileSystem()
_LOCAL_SCHEMES = ("file://", "local://")
_READ_ONLY = ("http", "https", "data", "hf")
_BYTES_OF_ONE_PUT = 64 << 20
_ATTEMPTS = 10
# Of one file: its place on the disk, or the server that has it. Not every system has
# every one of them.
_DISK_ERRORS = {
    getattr(errno, name, errno.EIO)
    for name in ("EBADMSG", "EIO", "ENODATA", "ENOKEY", "EREMOTEIO", "EUCLEAN")
}
# The packages whose errors are of a store: fsspec's file systems, and what they use.
_CLIENTS = ("adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs")
_CLIENTS += ("google", "httpx", "httpx2", "huggingface_hub", "requests", "s3fs")
_CLIENTS += ("urllib3",)
# What a web server answers where there is no such file; a store does not say that to
# whom it does not list its files.
_ABSENT = (401, 403, 404, 410)
_BYTES_OF_ONE_PIECE = 16 << 20

_unlisted: set[str] = set()


class UnlistedWarning(UserWarning):
    """A folder cannot be listed: what is in it is left out."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file as it was when it was looked at.

    Attributes:
      path: local path or URL.
      size: bytes.
      stamp: text that changes whenever the file is written again; empty where the disk
        does not say.
      modified: seconds since 1970 of the last change; 0 where a store or the disk does
        not say.
    """

    path: str
    size: int
    stamp: str
    modified: float


def without_scheme(path: str) -> str:
    """Return a path without the `file://` before it, and `~` expanded.

    Other URLs are returned as they are.
    """
    if path.startswith(_LOCAL_SCHEMES):
        path = path.partition("://")[2]
    return os.path.expanduser(path)


def _resolve(path: str | os.PathLike) -> tuple[Any, str]:
    text = without_scheme(os.fspath(path))
    if "://" not in text:
        return _LOCAL, os.path.abspath(text)
    try:
        # Another process may write at any time: no listing is remembered.
        return fsspec.core.url_to_fs(text, use_listings_cache=False)
    # Each file system of fsspec fails in a way of its own where its package, its
    # server or an argument that no URL can give is missing.
    except Exception as error:
        is_said = isinstance(error, (ValueError, ImportError))
        raise ResultError(
            f"cannot use the path {os.fspath(path)}: "
            f"{error if is_said else named(error)}. It may be a local path, or one of "
            "file://, gs:// (install optimizer-baselines[gcs]), s3:// (install "
            "optimizer-baselines[s3]), memory:// and, to read, hf:// (install "
            "optimizer-baselines[data]) and http(s)://."
        ) from error


@contextmanager
def _naming(action: str, path: str | os.PathLike) -> Iterator[None]:
    """Turn what goes wrong with a path into an error that names it."""
    try:
        yield
    except ResultError:
        raise
    except OSError as error:
        answer = _answer_of_server(error)
        if answer is not None and getattr(answer, "status", 0) not in _ABSENT:
            reason = str(answer) or type(answer).__name__
            raise ResultError(f"cannot {action} {os.fspath(path)}: {reason}") from error
        if listing.is_gone(error):
            said = f" ({answer})" if answer is not None else ""
            raise MissingFileError(f"no such file: {os.fspath(path)}{said}") from error
        reason = error.strerror or str(error) or type(error).__name__
        raise ResultError(f"cannot {action} {os.fspath(path)}: {reason}.") from error
    # Each store's client has errors of its own, which only their packages tell from
    # those of whoever reads the file.
    except Exception as error:
        if is_local(path) or not _is_of_a_client(error):
            raise
        reason = str(error) or type(error).__name__
        raise ResultError(f"cannot {action} {os.fspath(path)}: {reason}") from error


def _answer_of_server(error: OSError) -> BaseException | None:
    """Return what a web server answers instead of a file, or why there is no answer.

    fsspec says of all of it that there is no file.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None:
        return None
    is_answer = type(cause).__module__.startswith("aiohttp") or (
        isinstance(cause, TimeoutError)
    )
    return cause if is_answer else None


def _is_of_a_client(error: Exception) -> bool:
    # fsspec's own, of what a store cannot do.
    is_unable = isinstance(error, NotImplementedError)
    return is_unable or type(error).__module__.partition(".")[0] in _CLIENTS


@contextmanager
def _of_one_file(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the disk says of one local file into an error of that file."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise UnreadableFileError(os.fspath(path), f"{error.strerror}") from error


def is_local(path: str | os.PathLike) -> bool:
    """Return whether a path is of this machine's file system."""
    return isinstance(_resolve(path)[0], LocalFileSystem)


def join(root: str, *parts: str) -> str:
    """Join path parts below a local folder or a URL."""
    return posixpath.join(without_scheme(root), *parts)


@contextmanager
def open_to_read(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a file to read its bytes.

    Raises:
      NotAFileError: if it is none, but a folder, a pipe or the like.
      ForbiddenFileError: if it is local, and this user may not read it.
      UnreadableFileError: if it is local, and its disk does not give its bytes.
      MissingFileError: if it is not there, or goes while it is read.
      ResultError: if it cannot be reached.
    """
    fs, inner = _resolve(path)
    is_local = isinstance(fs, LocalFileSystem)
    with (
        _naming("read", path),
        _of_one_file(path) if is_local else nullcontext(),
        _open_regular(os.fspath(path), inner)
        if is_local
        else _open_remote(fs, inner) as file,
    ):
        yield file


def _open_remote(fs: Any, inner: str) -> IO[bytes]:
    try:
        return fs.open(inner, "rb")
    except KeyError as error:
        # fsspec's store in memory, when a file goes while it is looked up.
        raise FileNotFoundError(inner) from error


def read_all(path: str | os.PathLike, limit: int) -> bytes:
    """Return the bytes of a small file.

    Args:
      path: local path or URL.
      limit: bytes that it may have.

    Raises:
      TooLargeError: if it has more; no more are read.
      ResultError: as `open_to_read`.
    """
    content = _read_at_once(path, limit + 1)
    if len(content) > limit:
        raise TooLargeError(
            os.fspath(path),
            f"it has more than {limit:,} bytes",
            "No file of its kind is as large.",
        )
    return content


def _read_at_once(
    path: str | os.PathLike, size: int, attempts: int = _ATTEMPTS
) -> bytes:
    try:
        with open_to_read(path) as file:
            return _read_up_to(file, size)
    except ResultError as error:
        if attempts == 1 or not _was_replaced(error.__cause__):
            raise
    # Another process has written it between the two requests of one reading: what it
    # says now is as good.
    return _read_at_once(path, size, attempts - 1)


def _read_up_to(file: IO[bytes], size: int) -> bytes:
    """Return at most so many bytes; Python would make room for all of them at once."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, _BYTES_OF_ONE_PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _was_replaced(error: BaseException | None) -> bool:
    # s3fs's, of a file that is no longer the one that it has looked at.
    return isinstance(error, OSError) and error.errno == errno.EBUSY


# Of what is no regular file; that of the type bits of a mode.
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _open_regular(path: str, inner: str) -> IO[bytes]:
    """Open a local file, and nothing else: a pipe would wait, a device may do things.

    Raises:
      NotAFileError: if it is no regular file.
      ForbiddenFileError: if this user may not read it.
      OSError: if it is missing or cannot be opened.
    """

    def check(status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
            raise NotAFileError(path, f"it is {kind}")

    try:
        check(os.stat(inner))
        # It may be another by now, which opening must not wait for either.
        descriptor = os.open(inner, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise ForbiddenFileError(path, f"{error.strerror}") from error
    except OSError as error:
        leads_nowhere = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        if leads_nowhere and os.path.islink(inner):
            raise NotAFileError(path, "it is a link that leads to no file") from error
        raise
    try:
        check(os.fstat(descriptor))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def exists(path: str | os.PathLike) -> bool:
    """Return whether a file or folder of that name exists."""
    fs, inner = _resolve(path)
    with _naming("look for", path):
        return fs.exists(inner)


def info(path: str | os.PathLike) -> FileInfo:
    """Return the size, stamp and time of a file.

    Raises:
      UnreadableFileError: if it is local, and its disk does not say.
      ResultError: if it is missing or cannot be reached.
    """
    fs, inner = _resolve(path)
    with _naming("look at", path):
        if isinstance(fs, LocalFileSystem):
            leads_on = os.path.exists(inner) or not os.path.islink(inner)
            with _of_one_file(path):
                # A link that leads nowhere is listed, and is something itself.
                status = os.stat(inner) if leads_on else os.lstat(inner)
            return _local_info(os.fspath(path), status)
        return _remote_info(os.fspath(path), fs.info(inner))


def info_of_entry(path: str) -> FileInfo:
    """Return what `info` does, of a link itself where the path is one.

    Raises:
      MissingFileError: if it is there no longer.
      ResultError: if it cannot be reached.
    """
    fs, inner = _resolve(path)
    if not isinstance(fs, LocalFileSystem):
        return info(path)
    with _naming("look at", path), _of_one_file(path):
        return _local_info(path, os.lstat(inner))


def _local_info(path: str, stat: os.stat_result | None) -> FileInfo:
    if stat is None:
        return FileInfo(path, 0, "", 0.0)
    # A file that takes another's place is another inode. Whoever writes into a file
    # can give it back its size and time, but not the time of that change of it.
    stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    return FileInfo(path, stat.st_size, stamp, stat.st_mtime)


def _remote_info(path: str, entry: dict[str, Any]) -> FileInfo:
    # Some stores say a time as a date where they list, and as a number elsewhere.
    said = [
        f"{key}={value.timestamp() if isinstance(value, datetime) else value}"
        for key, value in sorted(entry.items())
        if isinstance(value, (str, int, float, datetime))
    ]
    stamp = hashlib.sha256("\n".join(said).encode()).hexdigest()
    return FileInfo(path, int(entry.get("size") or 0), stamp, _modified(entry))


def _modified(entry: dict[str, Any]) -> float:
    # Each store has its own name for it, and a date or a number.
    for key in ("LastModified", "mtime", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return 0.0


def list_files(folder: str | os.PathLike, suffix: str = "") -> list[str]:
    """Return paths of the files directly in a folder, sorted; empty if it is missing.

    Args:
      folder: the folder.
      suffix: how the names of the files wanted end.

    Raises:
      ResultError: if it cannot be reached.
    """
    names = (name for name, is_folder in _entries(folder) if not is_folder)
    return sorted(
        join(os.fspath(folder), name) for name in names if name.endswith(suffix)
    )


def list_folders(folder: str | os.PathLike) -> list[str]:
    """Return names of the folders directly in a folder, sorted; empty if it is missing.

    Raises:
      ResultError: if it cannot be reached.
    """
    names = (name for name, is_folder in _entries(folder) if is_folder)
    return sorted(name for name in names if name and not name.startswith("."))


def _entries(folder: str | os.PathLike) -> list[tuple[str, bool]]:
    """Return names of what is in a folder, and whether each is a folder."""
    fs, inner = _resolve(folder)
    with _naming("list", folder):
        if isinstance(fs, LocalFileSystem):
            return [(e.name, listing.is_folder(e)) for e in listing.entries(inner)]
        return [
            (posixpath.basename(entry["name"].rstrip("/")), entry["type"] != "file")
            for entry in _remote_entries(fs, inner)
            if entry["name"].rstrip("/") != inner.rstrip("/")
        ]


def _remote_entries(fs: Any, inner: str) -> list[dict[str, Any]]:
    attempts = 0
    while True:
        try:
            return fs.ls(inner, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except KeyError:
            # fsspec's store in memory, when a file goes while it is listed.
            attempts += 1
            if attempts == _ATTEMPTS:
                raise


def walk_files(
    folder: str | os.PathLike,
    suffix: str,
    hidden: bool = False,
    links: bool = True,
    odd_folders: bool = False,
    on_unlisted: Callable[[str, str], None] | None = None,
) -> list[FileInfo]:
    """Return every file below a folder, in no order; none if it is missing.

    A local folder may hold links to others, which are followed; one that leads back
    to a folder above it is not. What is in a folder below that cannot be listed, as
    `lost+found` of a disk, is left out.

    Args:
      folder: the folder.
      suffix: how the names of the files wanted end.
      hidden: with files and folders whose names begin with a dot.
      links: whether to follow links to folders.
      odd_folders: with local folders whose names end in the suffix, which are then not
        looked into.
      on_unlisted: called with each local folder below that cannot be listed, and why;
        `warn_of_unlisted` if None.

    Raises:
      ResultError: if it cannot be reached.
    """
    fs, inner = _resolve(folder)
    root = without_scheme(os.fspath(folder))
    say = on_unlisted or warn_of_unlisted
    with _naming("list", folder):
        if isinstance(fs, LocalFileSystem):
            found = listing.walk(
                root,
                hidden,
                links,
                suffix if odd_folders else "",
                lambda path, error: say(path, error.strerror or named(error)),
            )
            return [_local_info(p, s) for p, s in found if p.endswith(suffix)]
        entries = fs.find(inner, detail=True)
    infos = []
    for name, entry in entries.items():
        below = name[len(inner) :].lstrip("/")
        is_hidden = any(part.startswith(".") for part in below.split("/"))
        if name.endswith(suffix) and (hidden or not is_hidden):
            infos.append(_remote_info(join(root, below), entry))
    return infos


def warn_of_unlisted(folder: str, reason: str) -> None:
    """Warn, once for each folder, that what is in it is left out."""
    if folder not in _unlisted:
        _unlisted.add(folder)
        warnings.warn(
            f"cannot list {folder}: {reason}. What is in it is left out.",
            UnlistedWarning,
            stacklevel=2,
        )


def is_behind_link(path: str, root: str) -> bool:
    """Return whether a link leads from a folder to where a file below it lies.

    Args:
      path: the file, which may be a link itself.
      root: the folder, which may be one too.
    """
    return is_local(path) and listing.is_behind_link(
        _resolve(path)[1], _resolve(root)[1]
    )


def remove_file(path: str | os.PathLike) -> None:
    """Delete one file; it is no error if it is gone already.

    Raises:
      ResultError: if it cannot be deleted.
    """
    fs, inner = _resolve(path)
    with _naming("delete", path), suppress(FileNotFoundError):
        if isinstance(fs, LocalFileSystem):
            os.remove(inner)
        elif fs.exists(inner):
            fs.rm_file(inner)


def move_file(path: str, target: str) -> None:
    """Move a file to another place of the same folder or store.

    Args:
      path: where it is.
      target: where it goes; its folder is made if missing.

    Raises:
      ResultError: if it cannot be moved; it is where it was then.
    """
    fs, inner = _resolve(path)
    _, to = _resolve(target)
    with _naming("move", path):
        if isinstance(fs, LocalFileSystem):
            durable.move(inner, to)
        else:
            fs.copy(inner, to)
            fs.rm_file(inner)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file as `write_whole` does, with errors as there.

    Args:
      path: the final name; its folder is made if missing.
      content: what it holds.
    """
    write_whole(path, lambda file: file.write(content))


def write_whole(path: str | os.PathLike, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that is never seen half-written, and is there to stay.

    Locally the bytes go to a hidden file in the same folder, are flushed to the
    disk, and take their name in one step. Object stores show an object only
    once it is complete.

    Args:
      path: the final name; its folder is made if missing.
      write: called with a file open for writing and reading.

    Raises:
      ResultError: if it cannot be written, for example because the disk is full; what
        was there before is unchanged.
    """
    fs, inner = _resolve(path)
    if isinstance(fs, LocalFileSystem):
        with _naming("write", path):
            durable.write(inner, write)
        return
    _check_is_written(path)
    # A remote file opened for writing would be committed even after an error.
    with _naming("write", path), tempfile.NamedTemporaryFile() as local:
        write(cast("IO[bytes]", local))
        local.flush()
        if local.seek(0, os.SEEK_END) <= _BYTES_OF_ONE_PUT:
            local.seek(0)
            fs.pipe_file(inner, local.read())
        else:
            # In parts, which become an object once all of them are there.
            fs.put_file(local.name, inner)


def write_folder(path: str | os.PathLike, fill: Callable[[str], object]) -> None:
    """Write a local folder that is never seen half-filled.

    Args:
      path: the folder, which must not exist or be empty.
      fill: called with the path of a hidden folder beside it, which takes its name
        at the end.

    Raises:
      ResultError: if there is something already, or it cannot be written; nothing
        is left behind then.
    """
    fs, inner = _resolve(path)
    if not isinstance(fs, LocalFileSystem):
        raise ResultError(
            f"cannot write the folder {os.fspath(path)}: it is not on this machine. "
            "Choose a local one, and copy it."
        )
    with _naming("write", path):
        if os.path.lexists(inner) and not (
            os.path.isdir(inner) and not os.listdir(inner)
        ):
            raise ResultError(
                f"cannot write the folder {os.fspath(path)}: there is something "
                "already. Choose another name, or delete it."
            )
        durable.write_folder(inner, fill)


@contextmanager
def alone(folder: str | os.PathLike) -> Iterator[None]:
    """Let no other process change a folder, of those that ask for it likewise.

    A store knows no locks: there, everybody is let in.

    Args:
      folder: the folder, which is made if missing.

    Raises:
      ResultError: if it cannot be written to.
    """
    fs, inner = _resolve(folder)
    with ExitStack() as stack:
        if isinstance(fs, LocalFileSystem):
            with _naming("write below", folder):
                stack.enter_context(locking.alone(posixpath.join(inner, ".lock")))
        yield


def _check_is_written(path: str | os.PathLike) -> None:
    scheme = os.fspath(path).partition("://")[0]
    if scheme in _READ_ONLY:
        raise ResultError(
            f"cannot write {os.fspath(path)}: {scheme}:// is read only. Choose "
            "a folder or a bucket (gs://..., s3://...)."
        )


def check_writable(folder: str | os.PathLike) -> None:
    """Make sure files can be written below a folder, before work is spent.

    Nothing is left behind: where the folder is missing, the nearest folder
    above it is tried.

    Args:
      folder: the folder, which need not exist yet.

    Raises:
      ResultError: naming the folder and the reason, if nothing can be written.
    """
    fs, inner = _resolve(folder)
    _check_is_written(folder)
    if isinstance(fs, LocalFileSystem):
        while not os.path.lexists(inner):
            inner = posixpath.dirname(inner)
    probe = posixpath.join(inner, f".lopt-write-check-{uuid.uuid4().hex}")
    try:
        with _naming("write", folder):
            fs.pipe_file(probe, b"")
            fs.rm_file(probe)
    except ResultError as error:
        cause = error.__cause__
        reason = getattr(cause, "strerror", None) or cause or error
        raise ResultError(
            f"cannot write below {os.fspath(folder)}: {reason}. "
            "Choose a folder you may write to (results go to LOPT_BASELINE_DIR, "
            "archives to LOPT_BASELINE_ARCHIVES_DIR, releases that are fetched to "
            "LOPT_RELEASES_DIR)."
        ) from cause
