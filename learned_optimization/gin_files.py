"""Gin files, read with what they include, beside which they may lie.

Where an include stands and what it names is gin's own parser's to say, so that
every spelling of one counts, and what a string holds does not.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from gin import config as gin_config
from gin import config_parser, resource_reader

from learned_optimization.errors import LoptError
from learned_optimization.text import one_line, said

# What gin parses in some seconds; the operative configuration of a trial has 10 kB.
_MAX_FILE_BYTES = 1 << 20
# Plain files and those of packages are found here: gin would log every other name.
_FOUND_HERE = (os.path.isfile, resource_reader.system_path_file_exists)
_PACKAGE = re.compile(r"[A-Za-z_]\w*([./][A-Za-z_]\w*)*")


def parts_of(file: str, including: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the text of a gin file and of what it includes, in the order of reading.

    A file is looked for in the folder of the one that includes it, then where gin
    looks: in the working directory and in gin's search paths, and in packages. No
    part has an include in it.

    Args:
      file: the file.
      including: the files that include it, the outermost first.

    Raises:
      LoptError: if a file is missing, is no file, is too large or cannot be read,
        naming the one that includes it; or if files include each other, naming them
        all.
      SyntaxError: where gin cannot read a text.
    """
    chain = (*including, file)
    if os.path.realpath(file) in map(os.path.realpath, including):
        raise LoptError(f"gin files include each other: {' includes '.join(chain)}.")
    return _expanded(_read(file, including), os.path.dirname(file), chain)


def parts_of_bindings(text: str) -> Iterator[str]:
    """Yield bindings that are in no file, as `parts_of` yields those of one.

    Args:
      text: the bindings. What they include is relative to the working directory.

    Raises:
      LoptError: as `parts_of`.
      SyntaxError: as `parts_of`.
    """
    return _expanded(text, "", ("a binding",))


def _expanded(text: str, folder: str, chain: tuple[str, ...]) -> Iterator[str]:
    lines = list(io.StringIO(text))
    behind = 0
    for first, end, name in _includes(text):
        # Empty lines keep the numbers that gin gives in messages.
        yield "\n" * behind + "".join(lines[behind:first])
        yield from parts_of(_find(name, folder, chain[-1]), chain)
        behind = end
    yield "\n" * behind + "".join(lines[behind:])


def _includes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the first line of each include, counted from 0, the next, and its file."""
    if "include" not in text:
        return
    parser: Any = config_parser.ConfigParser(text, _NoReferences())
    for statement in parser:
        if isinstance(statement, config_parser.IncludeStatement):
            end = parser.current_token.start[0]
            yield statement.location.line_num - 1, end - 1, statement.filename


class _NoReferences(config_parser.ParserDelegate):
    """What gin's parser makes of references where only includes are looked for."""

    def configurable_reference(
        self, scoped_configurable_name: str, evaluate: bool
    ) -> None:
        """Look up no configurable: it may be imported by then."""

    def macro(self, macro_name: str) -> None:
        """Look up no macro."""


def _find(name: str, folder: str, by: str) -> str:
    beside = os.path.join(folder, name)
    prefixes = [""] if os.path.isabs(name) else gin_config._LOCATION_PREFIXES
    for path in (beside, *(os.path.join(prefix, name) for prefix in prefixes)):
        if os.path.isfile(path) or _reader(path):
            return path
        # Nor is it opened: reading a pipe waits for who writes to it.
        if os.path.lexists(path):
            raise LoptError(
                one_line(f"{by} includes {name}, and {path} is no regular file.")
            )
    if path := _in_package(name):
        return path
    message = (
        f"{by} includes {name}, and there is no such file: neither {beside} nor "
        f"one below {os.getcwd()}. A path is relative to the file that includes it."
    )
    raise LoptError(one_line(message))


def _reader(path: str) -> Callable[[str], Any] | None:
    """Return the reader, registered with gin by a user, that can read a path."""
    for reader, is_readable in gin_config._FILE_READERS:
        if is_readable not in _FOUND_HERE and is_readable(path):
            return reader
    return None


def _in_package(name: str) -> str | None:
    """Return the file that a name such as `my_package/configs/a.gin` is of."""
    package, _, file = name.rpartition("/")
    if not _PACKAGE.fullmatch(package):
        return None
    try:
        spec = find_spec(package.replace("/", "."))
    # What is no package, or cannot be imported, has no files.
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
    folders = (spec and spec.submodule_search_locations) or ()
    paths = (os.path.join(folder, file) for folder in folders)
    return next(filter(os.path.isfile, paths), None)


def _read(file: str, including: tuple[str, ...]) -> str:
    by = f" (included by {including[-1]})" if including else ""
    try:
        with _open(file) as opened:
            # One more than allowed, in bytes or in characters, is too many.
            text = opened.read(_MAX_FILE_BYTES + 1)
        text = text.decode("utf-8") if isinstance(text, bytes) else text
    except (OSError, UnicodeDecodeError) as error:
        raise LoptError(
            f"cannot read the gin file {file}{by}: {said(error)}"
        ) from error
    if len(text) > _MAX_FILE_BYTES:
        raise LoptError(
            f"{file}{by} has more than {_MAX_FILE_BYTES:,} bytes: no gin file is "
            "as large."
        )
    return text


def _open(file: str) -> Any:
    reader = None if os.path.isfile(file) else _reader(file)
    return reader(file) if reader else open(file, encoding="utf-8")
