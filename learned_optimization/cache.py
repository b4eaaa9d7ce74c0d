"""What is kept to save time, and may be deleted at any moment."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from learned_optimization import filesystem
from learned_optimization.filesystem import FileInfo

_MAX_COPIES_BYTES = 20 << 30


def cache_dir() -> Path:
    """Return `LOPT_CACHE_DIR`, or `~/.cache/lopt`: what may be deleted any time."""
    return Path(os.environ.get("LOPT_CACHE_DIR") or "~/.cache/lopt").expanduser()


def local_copy(path: str, again: bool = False) -> str:
    """Return a local file with the content of a remote one, as it is now.

    The store is asked each time whether the file is still the one that was copied.

    Args:
      path: local path or URL.
      again: copy it even if it is there already.

    Returns:
      The path itself if it is local, else that of the copy in `LOPT_CACHE_DIR`.

    Raises:
      ResultError: if the file is missing or cannot be reached, or the copy cannot
        be written.
    """
    if filesystem.is_local(path):
        return path
    original = filesystem.info(path)
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
    return copy.is_file() and copy.stat().st_size == original.size


def _make_room(copies: Path, keep: Path) -> None:
    """Delete older copies of the same file, and then of others."""
    files = [path for path in copies.glob("*/*") if path != keep and path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    total = keep.stat().st_size
    for path in files:
        total += path.stat().st_size
        if path.parent == keep.parent or total > _MAX_COPIES_BYTES:
            path.unlink(missing_ok=True)
