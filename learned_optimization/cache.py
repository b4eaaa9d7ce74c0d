"""What is kept to save time, and may be deleted at any moment."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import warnings
from contextlib import suppress
from pathlib import Path

from learned_optimization import environment, filesystem
from learned_optimization.errors import ResultError
from learned_optimization.filesystem import FileInfo
from learned_optimization.text import brief

_MAX_COPIES_BYTES = 20 << 30


_said: set[tuple[str, str]] = set()


class CacheWarning(UserWarning):
    """Something cannot be kept to save time; it is done again each time."""


def cache_dir() -> Path:
    """Return `LOPT_CACHE_DIR`, or `~/.cache/lopt`: what may be deleted any time.

    But for its folder `finished`: finished curves that could not be written where they
    belong.

    Where the variable names no folder of this machine, that is said once, and it is
    as if it were not set. A folder that cannot be written to is returned: whoever
    keeps something there does without, see `cannot_keep`.
    """
    default = "~/.cache/lopt"
    value = os.environ.get("LOPT_CACHE_DIR") or default
    problem = environment.problem_of_name(value)
    if problem:
        _say(
            value,
            problem,
            f"{brief(value)} is no LOPT_CACHE_DIR ({problem}): "
            f"{default} is used instead.",
        )
        value = default
    return Path(filesystem.without_scheme(value))


def cannot_keep(what: str, error: Exception, instead: str) -> None:
    """Warn, once for each kind and folder, that something cannot be kept.

    Args:
      what: what cannot be kept, in the plural.
      error: why.
      instead: what is done instead, as a clause.
    """
    where = str(cache_dir())
    _say(where, what, f"{what} cannot be kept in LOPT_CACHE_DIR ({error}): {instead}.")


def _say(where: str, what: str, message: str) -> None:
    if (where, what) not in _said:
        _said.add((where, what))
        warnings.warn(message, CacheWarning, stacklevel=3)


def local_copy(path: str, again: bool = False) -> str:
    """Return a local file with the content of a remote one, as it is now.

    The store is asked each time whether the file is still the one that was copied.

    Args:
      path: local path or URL.
      again: copy it even if it is there already.

    Returns:
      The path itself if it is local, or no copy can be kept; else that of the copy in
      `LOPT_CACHE_DIR`.

    Raises:
      ResultError: if the file is missing or cannot be reached.
    """
    if filesystem.is_local(path):
        return path
    original = filesystem.info(path)
    try:
        return _copy_of(path, original, again)
    except (ResultError, OSError) as error:
        cannot_keep("copies of remote files", error, "they are read where they are")
        return path


def _copy_of(path: str, original: FileInfo, again: bool) -> str:
    copies = cache_dir() / "copies"
    of_this = copies / hashlib.sha256(path.encode()).hexdigest()[:24]
    copy = of_this / hashlib.sha256(original.stamp.encode()).hexdigest()[:24]
    if _is_copy_of(copy, original) and not again:
        os.utime(copy)  # least recently used ones go first
        return str(copy)
    with filesystem.open_to_read(path) as source:
        filesystem.write_whole(copy, lambda file: shutil.copyfileobj(source, file))
    _make_room(copies, keep=copy)
    return str(copy)


def _is_copy_of(copy: Path, original: FileInfo) -> bool:
    return _size_and_time(copy)[0] == original.size


def _size_and_time(path: Path) -> tuple[int, float]:
    """Return size and time of a file; a size below 0 if there is none (any more)."""
    with suppress(FileNotFoundError, NotADirectoryError):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            return status.st_size, status.st_mtime
    return -1, 0.0


def _make_room(copies: Path, keep: Path) -> None:
    """Delete older copies of the same file, and then of others."""
    # Other processes make room too.
    found = [(path, *_size_and_time(path)) for path in copies.glob("*/*")]
    found.sort(key=lambda file: file[2], reverse=True)
    total = _size_and_time(keep)[0]
    for path, size, _ in found:
        if path == keep or size < 0:
            continue
        total += size
        if path.parent == keep.parent or total > _MAX_COPIES_BYTES:
            path.unlink(missing_ok=True)
