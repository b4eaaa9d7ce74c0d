"""The digests inside an npz file.

Every member's comment holds the digest of its content. The archive's comment, the
last bytes of the file, holds the digest of the zip directory, which in turn lists
the members' names, sizes, CRCs and digests. So whatever bit is changed, either
nothing that is read depends on it, or a digest no longer fits.
"""

from __future__ import annotations

import hashlib
from typing import IO, Any

# Half of a SHA-256 is more than enough against damage.
_HEX = 32
_ARCHIVE = b"lopt-npz 1 sha256 "
_MEMBER = b"sha256 "


def new_digest() -> Any:
    """Return a running digest, to be updated with bytes."""
    return hashlib.sha256()


def text_of(digest: Any) -> bytes:
    """Return a digest as files hold it."""
    return digest.hexdigest()[:_HEX].encode()


def member_comment(digest: Any) -> bytes:
    """Return the comment of a member of that content."""
    return _MEMBER + text_of(digest)


def recorded_digest(comment: bytes) -> bytes | None:
    """Return the digest in a member's comment; None if there is none."""
    digest = comment.removeprefix(_MEMBER)
    return digest if comment.startswith(_MEMBER) and len(digest) == _HEX else None


PLACEHOLDER = _ARCHIVE + b"0" * _HEX
"""The archive's comment before the file is sealed."""


def seal(file: IO[bytes], start_of_directory: int) -> None:
    """Put the digest of the directory in place of the placeholder."""
    digest = _digest_of_directory(file, start_of_directory)
    file.seek(-_HEX, 2)
    file.write(digest)


def is_sealed(comment: bytes) -> bool:
    """Return whether an archive's comment says that it has a seal."""
    return comment.startswith(_ARCHIVE) and len(comment) == len(PLACEHOLDER)


def seal_fits(file: IO[bytes], start_of_directory: int) -> bool:
    """Return whether the directory is the one that was sealed."""
    file.seek(-_HEX, 2)
    recorded = file.read(_HEX)
    return _digest_of_directory(file, start_of_directory) == recorded


def _digest_of_directory(file: IO[bytes], start: int) -> bytes:
    size = file.seek(-_HEX, 2) - start
    file.seek(start)
    digest = new_digest()
    digest.update(file.read(size))
    return text_of(digest)
