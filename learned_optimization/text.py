r"""Text that is safe to show: of files, names and messages, whatever they hold.

A terminal obeys control characters: what a file says could recolour it, move its
cursor, set its title or show text in another order than it is read. Here such
characters are written out, as `\x1b` or `\u202e`, and so are halves of characters,
as names of files have that are not UTF-8, which no output could encode.
"""

from __future__ import annotations

import traceback
import unicodedata
from typing import Any

_MOST_CHARACTERS = 200


def printable(text: str) -> str:
    """Return a text whose only control characters are line ends and tabs.

    What is printable already, and what this returned, stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) or c in "\n\t" else _written_out(c) for c in text)


def one_line(text: str) -> str:
    r"""Return `printable` with line ends and tabs written out too, as `\n`."""
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else _written_out(c) for c in text)


def brief(value: Any) -> str:
    """Return how Python writes a value, as far as a message has room for it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # A whole number of thousands of digits, or lists in lists in lists.
        return f"a very large {type(value).__name__}"
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}... ({len(text):,} characters)"


def said(error: BaseException) -> str:
    """Return what an error says; its type and place where it says nothing."""
    text = str(error).strip()
    if text:
        return text
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} at {frames[-1].filename}:{frames[-1].lineno}" if frames else name


def named(error: BaseException) -> str:
    """Return the type of an error and what it says, `KeyError: 'lr'`."""
    text, name = said(error), type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}"


def _is_shown(character: str) -> bool:
    # Spaces of other widths are not printable to Python, and harmless.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
