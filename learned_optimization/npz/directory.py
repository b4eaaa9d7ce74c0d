"""The directory of a zip: how large it is, before it is parsed, and what it claims.

zipfile makes an object of every entry, and believes what each says of its place.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from typing import IO, Any

from learned_optimization.npz.limits import MAX_DIRECTORY_BYTES, MAX_MEMBERS

# zipfile's own, so that both look at the same directory: where it says there are two,
# others may look at the other one.
_end_record: Any = zipfile._EndRecData  # pyright: ignore[reportAttributeAccessIssue]
_SIGNATURE, _SIZE, _LOCATION = 0, 5, 9
_SIGNATURE_64 = b"PK\x06\x06"
# The records of the 64-bit form, which stand before the one that all zips have.
_BYTES_OF_64 = 76

_ENTRY = struct.Struct("<4s24x3H12x")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_BYTES_BEFORE_A_NAME = 30


def check_size(file: IO[bytes]) -> None:
    """Refuse a directory that is too large, or has too many entries.

    Raises:
      ValueError: saying how large it is.
    """
    end = _end_record(file)
    if not end:
        # zipfile itself says what is wrong then.
        return
    size = end[_SIZE]
    start = end[_LOCATION] - size - _BYTES_OF_64 * (end[_SIGNATURE] == _SIGNATURE_64)
    if size > MAX_DIRECTORY_BYTES:
        raise ValueError(f"its directory has {size:,} bytes")
    file.seek(max(start, 0))
    content = file.read(size)
    count = position = 0
    while position + _ENTRY.size <= len(content):
        signature, name, extra, comment = _ENTRY.unpack_from(content, position)
        if signature != _ENTRY_SIGNATURE:
            break
        count += 1
        position += _ENTRY.size + name + extra + comment
    if count > MAX_MEMBERS:
        raise ValueError(f"it has {count:,} members")


def check_members(members: Sequence[zipfile.ZipInfo], start: int) -> None:
    """Refuse members that share bytes: a small file could hold one a thousand times.

    Args:
      members: what the directory says.
      start: where the directory begins, which is after all of them.

    Raises:
      ValueError: if one begins before another ends.
    """
    ends = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < ends:
            raise ValueError(f"{member.filename!r} begins within another member")
        ends = member.header_offset + _BYTES_BEFORE_A_NAME + member.compress_size
    if ends > start:
        raise ValueError("its members reach into its directory")
