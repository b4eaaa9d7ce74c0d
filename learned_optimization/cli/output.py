"""Lines on the terminal: the one place that prints text.

What is printed may be of files, whose names and content may hold anything; it is made
`printable`. Tables are in `tables`, which does the same. Folders for files are named
here too.
"""

from __future__ import annotations

import io
import os
import sys

from learned_optimization.text import printable


def say(text: str = "", err: bool = False, end: str = "\n") -> None:
    """Print a text.

    Args:
      text: one line or several.
      err: to standard error.
      end: what follows it.
    """
    stream = sys.stderr if err else sys.stdout
    print(printable(text), file=stream, end=end, flush=True)


def say_left_out(what: object) -> None:
    """Print what a command leaves out of all that it was given, and why."""
    say(f"left out: {what}", err=True)


def folder_of(output: str) -> str:
    """Return the folder that an option names: an address, or a path from the root."""
    return output if "://" in output else os.path.abspath(os.path.expanduser(output))


def allow_every_character() -> None:
    """Let an output that lacks a character, as ASCII lacks most, show its number."""
    for stream in (sys.stdout, sys.stderr):
        # Tests have put other streams there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
