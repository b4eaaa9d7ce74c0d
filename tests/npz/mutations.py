"""Damage that a fuzzer led by coverage seldom finds: to what holds a zip together.

Each kind takes a sound file and returns a damaged one. A header that says more than
there is, a directory that says other than the members, members that share bytes.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable

_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"
_ODD_COUNTS = (0, 1, 2, 255, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_DTYPES = ("'<i8'", "'<f4'", "'|O'", "'<U9999999'", "'|b1'", "'<f8'", "'>U3'", "'<V8'")
_SHAPES = (
    "()",
    "(0,)",
    "(3,)",
    "(18446744073709551615,)",
    "(999999999999999,)",
    "(0, 999999999999999, 999999999999999)",
    "(65536, 65536)",
    "(-1,)",
    "(" + "1, " * 20 + ")",
)
_KEYS = (
    "eval/xs",
    "train/xs",
    "train/loss",
    "seed",
    "status",
    "schema_version",
    "diverged_from",
    "num_steps",
    "opt_config",
    "synthetic_data",
    "eval/train/loss",
)


def flipped(sound: bytes, rng: random.Random) -> bytes:
    """Flip some bits."""
    content = bytearray(sound)
    for _ in range(rng.randrange(1, 9)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def cut(sound: bytes, rng: random.Random) -> bytes:
    """Leave out a part, repeat one, or put something in."""
    i, j = sorted(rng.randrange(len(sound) + 1) for _ in range(2))
    middle = rng.choice((b"", sound[i:j] * 2, rng.randbytes(rng.randrange(64))))
    return sound[:i] + middle + sound[j:]


def directory(sound: bytes, rng: random.Random) -> bytes:
    """Change a field of an entry of the directory, or of its end."""
    content = bytearray(sound)
    places = [i for i in range(len(content)) if content[i : i + 4] in (_ENTRY, _END)]
    for _ in range(rng.randrange(1, 4)):
        at = rng.choice(places)
        width = rng.choice((2, 4))
        field = at + rng.randrange(4, 46 if content[at + 2] == 1 else 22, 2)
        value = rng.choice(_ODD_COUNTS) & (1 << 8 * width) - 1
        content[field : field + width] = value.to_bytes(width, "little")
    return bytes(content)


def headers(sound: bytes, rng: random.Random) -> bytes:
    """Make a file of arrays whose headers are made up."""
    del sound
    members = []
    for key in rng.sample(_KEYS, rng.randrange(1, 6)):
        descr, shape = rng.choice(_DTYPES), rng.choice(_SHAPES)
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
        length = rng.choice((len(text), len(text), len(text), *_ODD_COUNTS)) & 0xFFFF
        head = b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + text.encode()
        content = rng.choice((b"", bytes(8), bytes(24), rng.randbytes(24)))
        members.append((f"{key}.npy", head + content))
    return _zip(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def shared(sound: bytes, rng: random.Random) -> bytes:
    """Let members lead to the bytes of others, and be very many."""
    members = [(f"{i}.npy", sound[:40]) for i in range(rng.choice((2, 30, 100)))]
    content = bytearray(_zip(members, zipfile.ZIP_STORED))
    at = -1
    while (at := content.find(_ENTRY, at + 1)) >= 0:
        content[at + 42 : at + 46] = struct.pack("<I", rng.choice((0, 1, at, 7)))
    return bytes(content)


def bombs(sound: bytes, rng: random.Random) -> bytes:
    """Make a few kilobytes that inflate to a few megabytes, as they say or not."""
    del sound
    count = rng.choice((1 << 16, 1 << 20, 1 << 22))
    descr = rng.choice(("'|u1'", "'<f4'", f"'<U{count // 4}'"))
    shape = "()" if "U" in descr else f"({count // (4 if 'f' in descr else 1)},)"
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    key = rng.choice(_KEYS)
    return _zip([(f"{key}.npy", head + bytes(count))], zipfile.ZIP_DEFLATED)


def _zip(members: list[tuple[str, bytes]], method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    kind.__name__: kind for kind in (flipped, cut, directory, headers, shared, bombs)
}
