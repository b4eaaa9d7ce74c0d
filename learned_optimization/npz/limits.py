"""How large what is read of a file may be: each limit, and why it is that.

Every size is compared with them from headers, before anything is inflated or parsed.
The limits are far beyond what this package and the published system write.
"""

from __future__ import annotations

import os

from learned_optimization.errors import LoptError

MAX_MEMBERS = 10_000
"""Arrays in a file. A result file has about sixty, a checkpoint one per leaf of the
optimizer's state."""

MAX_DIRECTORY_BYTES = 4 << 20
"""Bytes of a zip's directory, which is in memory at once: 400 for each of the members,
of which ours takes about 120."""

MAX_HEADER_BYTES = 4096
"""Bytes of an array's header; numpy writes 128."""

MAX_DIMENSIONS = 16
"""Axes of an array; an archive has three."""

MAX_DEFLATE_RATIO = 1032
"""Bytes that deflate makes of one, at most; what a file says beyond is not so."""

MAX_READ_BYTES = 16 << 30
"""Bytes read of a file at once, unless `LOPT_MAX_READ_BYTES` says otherwise."""

MAX_SMALL_READ_BYTES = 1 << 30
"""Bytes read of a file however small it is: what a second or two inflates."""

MAX_INFLATION = 100
"""Bytes beyond those, for each byte of the file. Curves shrink to a tenth, and
archives have parts that repeat, but none that is all one value."""


def max_read_bytes(file_size: int | None = None) -> int:
    """Return the bytes that may be read of one file.

    Args:
      file_size: of the file; None if it is not known.

    Returns:
      `LOPT_MAX_READ_BYTES` if that is set; else 16 GiB, and less for a small file.

    Raises:
      LoptError: if `LOPT_MAX_READ_BYTES` is not a whole number above 0.
    """
    text = os.environ.get("LOPT_MAX_READ_BYTES")
    if text:
        # More digits than any size has would take long to turn into a number.
        if not text.isdecimal() or len(text) > 20 or int(text) < 1:
            raise LoptError(
                f"LOPT_MAX_READ_BYTES must be a number of bytes above 0, got {text!r}."
            )
        return int(text)
    if file_size is None:
        return MAX_READ_BYTES
    return min(MAX_READ_BYTES, max(MAX_SMALL_READ_BYTES, MAX_INFLATION * file_size))
