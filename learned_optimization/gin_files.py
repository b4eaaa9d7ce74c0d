"""Gin files, read with what they include, beside which they may lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from gin import config as gin_config

from learned_optimization.errors import LoptError
from learned_optimization.text import said

# What gin parses in some seconds; the operative configuration of a trial has 10 kB.
_MAX_FILE_BYTES = 1 << 20
_INCLUDE = re.compile(r"""^include[ \t]+(['"])([^'"\n]+)\1[ \t]*(?:#.*)?$""", re.M)


def parts_of(file: str, including: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the text of a gin file and of what it includes, in the order of reading.

    A file is looked for in the folder of the one that includes it, and then where gin
    looks: in the working directory and in gin's search paths. An included file that
    only gin can read, as one within a package, is yielded as the line that includes it.

    Args:
      file: the file.
      including: the files that include it, the outermost first.

    Raises:
      LoptError: if a file is missing, too large or cannot be read, naming the one that
        includes it; or if files include each other, naming them all.
    """
    chain = (*including, file)
    if os.path.realpath(file) in map(os.path.realpath, including):
        raise LoptError(f"gin files include each other: {' includes '.join(chain)}.")
    text = _read(file, including)
    end = 0
    for found in _INCLUDE.finditer(text):
        # Empty lines keep the numbers that gin gives in messages.
        yield "\n" * text.count("\n", 0, end) + text[end : found.start()]
        end = found.end()
        included = _find(found[2], file)
        if included is None:
            yield found[0]
        else:
            yield from parts_of(included, chain)
    yield "\n" * text.count("\n", 0, end) + text[end:]


def _find(name: str, file: str) -> str | None:
    beside = os.path.join(os.path.dirname(file), name)
    prefixes = [""] if os.path.isabs(name) else gin_config._LOCATION_PREFIXES
    for path in (beside, *(os.path.join(prefix, name) for prefix in prefixes)):
        if os.path.isfile(path):
            return path
        if any(is_readable(path) for _, is_readable in gin_config._FILE_READERS):
            return None
    raise LoptError(
        f"{file} includes {name}, and there is no such file: neither {beside} nor "
        f"one below {os.getcwd()}. A path is relative to the file that includes it."
    )


def _read(file: str, including: tuple[str, ...]) -> str:
    by = f" (included by {including[-1]})" if including else ""
    try:
        size = os.path.getsize(file)
        if size > _MAX_FILE_BYTES:
            raise LoptError(
                f"{file}{by} has more than {_MAX_FILE_BYTES:,} bytes: no gin file is "
                "as large."
            )
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise LoptError(
            f"cannot read the gin file {file}{by}: {said(error)}"
        ) from error
