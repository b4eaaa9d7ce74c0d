"""What the environment variables `LOPT_*` say, or an error naming what they may say."""

from __future__ import annotations

import errno
import functools
import os
import stat

from learned_optimization import filesystem
from learned_optimization.errors import LoptError, ResultError
from learned_optimization.text import brief


def folder(variable: str, default: str, is_remote_allowed: bool = False) -> str:
    """Return the folder that a variable names, `~` expanded; the disk is not asked.

    Args:
      variable: the variable.
      default: the folder where it is not set, or empty.
      is_remote_allowed: whether it may be the URL of a folder in a store.

    Raises:
      ResultError: naming the variable and the reason, if it names no folder.
    """
    value = os.environ.get(variable) or default
    _refuse(variable, value, problem_of_name(value, is_remote_allowed))
    return filesystem.without_scheme(value)


def check_folder(variable: str, path: str) -> None:
    """Make sure that a folder a variable names can be read, or is not there yet.

    Args:
      variable: the variable.
      path: what `folder` returns for it.

    Raises:
      ResultError: naming the variable and the reason, if it cannot.
    """
    if "://" not in path:
        _refuse(variable, path, _problem_of_path(path))


def _refuse(variable: str, value: str, problem: str) -> None:
    if problem:
        raise ResultError(
            f"{variable} must be a folder that can be read, got {brief(value)}: "
            f"{problem}."
        )


def flag(variable: str) -> bool:
    """Return whether a variable says 1; not set, empty or 0 says no.

    Raises:
      LoptError: if it says anything else.
    """
    value = os.environ.get(variable) or "0"
    if value not in ("0", "1"):
        raise LoptError(f"{variable} must be 1 or 0, got {brief(value)}.")
    return value == "1"


def problem_of_name(value: str, is_remote_allowed: bool = False) -> str:
    """Return why text names no folder, whatever there is on the disk; or nothing."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return "it is no text in UTF-8"
    value = filesystem.without_scheme(value)
    if not value.strip():
        return "it is blank"
    if "://" in value:
        return (
            _problem_of_url(value)
            if is_remote_allowed
            else "it is a URL, and no folder of this machine"
        )
    if value.startswith("~"):
        return "there is no such user's home"
    return ""


def _problem_of_path(path: str) -> str:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "it is a link that leads nowhere" if os.path.islink(path) else ""
    except NotADirectoryError:
        return "there is a file above it, which one cannot write below"
    except OSError as error:
        return os.strerror(error.errno or errno.EIO)
    if not stat.S_ISDIR(status.st_mode):
        return "it is a file, and one cannot write below it"
    if not os.access(path, os.R_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    return ""


@functools.lru_cache(maxsize=32)
def _problem_of_url(value: str) -> str:
    try:
        filesystem.is_local(value)
    except ResultError as error:
        return str(error).rstrip(".")
    return ""
