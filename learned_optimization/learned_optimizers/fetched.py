"""Files that are fetched once, kept, and compared with their digests when used."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from learned_optimization import cache, filesystem
from learned_optimization.errors import MissingFileError, ResultError, TooLargeError
from learned_optimization.filesystem import FileInfo
from learned_optimization.json_reading import parse_json

__all__ = ["read_fetched"]

_T = TypeVar("_T")

_MAX_RECORD_BYTES = 1 << 16
_MAX_KEPT = 32
_kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


def read_fetched(
    path: str,
    limit: int,
    make: Callable[[bytes, str], _T],
    sha256: str | None = None,
) -> _T:
    """Return what a file holds; of one on another machine, a copy is kept.

    The copy is in `LOPT_CACHE_DIR`. Beside it is recorded where it comes from, when it
    was fetched, and the digest of its bytes, with which they are compared whenever they
    are read: a copy that was changed is fetched again. What was made of a file is kept
    in this process until the file changes.

    Args:
      path: local path or URL.
      limit: bytes that the file may have.
      make: called with the bytes and the path, returns what they hold.
      sha256: digest that the bytes must have, hexadecimal; None if any will do.

    Raises:
      TooLargeError: if it has more bytes; they are not read.
      ResultError: if it is missing, cannot be reached, or has another digest.
    """
    path = filesystem.without_scheme(path)
    original = filesystem.info(path)
    key = (path, original.stamp, make, sha256)
    if original.stamp and key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    if original.size > limit:
        raise TooLargeError(
            path,
            f"it has {original.size:,} bytes",
            f"No file of its kind has more than {limit:,}.",
        )
    if filesystem.is_local(path):
        content = _read(path, limit)
    else:
        content = _read_copy(path, original, limit)
    if sha256 is not None and _digest(content) != sha256.lower():
        raise ResultError(
            f"{path} is not the file wanted: its sha256 is {_digest(content)}, not "
            f"{sha256.lower()}."
        )
    _kept[key] = made = make(content, path)
    while len(_kept) > _MAX_KEPT:
        _kept.popitem(last=False)
    return made


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: str, limit: int) -> bytes:
    # Memory for as much as may be read is taken before it is.
    size = filesystem.info(path).size
    is_known = size > 0 or filesystem.is_local(path)
    return filesystem.read_all(path, min(size, limit) if is_known else limit)


def _read_copy(path: str, original: FileInfo, limit: int) -> bytes:
    content = _read(cache.local_copy(path), limit)
    recorded = _recorded(path, original)
    if recorded is not None and recorded != _digest(content):
        content = _read(cache.local_copy(path, again=True), limit)
        if recorded != _digest(content):
            raise ResultError(
                f"{path} is another file than it was, and its server does not say so: "
                f"its sha256 is {_digest(content)}, and was {recorded}. If that is "
                f"right, delete {_record(path)}."
            )
    elif recorded is None:
        _write_record(path, original, content)
    return content


def _record(path: str) -> str:
    name = hashlib.sha256(path.encode()).hexdigest()[:24]
    return str(cache.cache_dir() / "fetched" / f"{name}.json")


def _recorded(path: str, original: FileInfo) -> str | None:
    """Return the digest that the file had when it was fetched as it is now."""
    try:
        record = parse_json(filesystem.read_all(_record(path), _MAX_RECORD_BYTES))
        return record["sha256"] if record["stamp"] == original.stamp else None
    except MissingFileError:
        return None
    except (ResultError, ValueError, TypeError, KeyError):
        # Half of it, or something else: the file is fetched and recorded again.
        filesystem.remove_file(_record(path))
        return None


def _write_record(path: str, original: FileInfo, content: bytes) -> None:
    record = {
        "address": path,
        "sha256": _digest(content),
        "bytes": len(content),
        "stamp": original.stamp,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(record, indent=1).encode()
    try:
        filesystem.write_bytes(_record(path), text)
    except ResultError as error:
        cache.cannot_keep("digests of fetched files", error, "none is compared")
