"""Names of result folders: of this version, earlier ones and the published system.

Results of a setting are looked for under the name it has in this version, and also
where others write them: earlier versions of this package wrote whole numbers as
`Adam_lr1.0`, and the published system stores RMSProp with momentum under RMSProp's
name.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from typing import Any

from learned_optimization import filesystem
from learned_optimization.errors import LoptError

_WHOLE_NUMBER = re.compile(r"(?<=\d)\.0(?=[_)]|$)")

# The one folder that two published sets share. Their results differ in the momentum
# in the gin configuration that they record.
_SHARED, _MOVED = "RMSProp_", "RMSPropMom_"
_MOMENTUM = re.compile(r"^(?:\S*[./])?RMSProp\.momentum\s*=\s*0\.9\s*$", re.MULTILINE)


def check_folder_name(what: str, name: Any) -> str:
    """Return a name that a folder of results can have.

    Args:
      what: what it is the name of, as messages say it.
      name: the name.

    Raises:
      LoptError: if it is no text, leads to another folder, or is too long.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name:
        raise LoptError(
            f"{what} names a folder: it must be text without a slash and not "
            f"empty, got {name!r}."
        )
    try:
        num_bytes = 0 if "\0" in name else len(os.fsencode(name))
    except UnicodeEncodeError:
        num_bytes = 0
    if not num_bytes:
        raise LoptError(
            f"{what} names a folder: it must be text that names of files may have, "
            f"got {name!r}."
        )
    if num_bytes > filesystem.MAX_NAME_BYTES:
        raise LoptError(
            f"{what} names a folder: it must be at most {filesystem.MAX_NAME_BYTES} "
            f"bytes long, got {num_bytes} ({name[:40]}...)."
        )
    return name


def is_plain_name(name: str) -> bool:
    """Return whether a name is letters, digits and `_ . + -`, none of these first."""
    return re.fullmatch(r"\w[\w.+-]*", name) is not None


def value_text(value: Any) -> str:
    """Return a value as names show it: `1.0` is written `1`."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def present_name(opt_name: str) -> str:
    """Return the present name of what earlier versions named `opt_name`."""
    return _WHOLE_NUMBER.sub("", opt_name)


def present_folder(save_dir: str) -> str:
    """Return a folder as of `get_save_dir`, under the present name of its setting."""
    return _present_folder(save_dir, "")


def folder_of(path: str, moved_to: str = "") -> str:
    """Return the folder a result file belongs to, wherever it lies.

    Args:
      path: the file.
      moved_to: what `name_here` says of it.
    """
    return _present_folder(path.rpartition("/")[0], moved_to)


# Asked of each file again and again; those of one folder follow each other.
@functools.lru_cache(maxsize=1024)
def _present_folder(folder: str, moved_to: str) -> str:
    task_folder, opt_name, plan = _parts(folder)
    return f"{task_folder}/{moved_to or present_name(opt_name)}/{plan}"


def name_here(path: str, gin_config: str) -> str:
    """Return the name of a published result's setting, if it is not its folder's name.

    Args:
      path: the result file.
      gin_config: the gin configuration it records.

    Returns:
      The name; empty if it is that of the folder.
    """
    _, opt_name, _ = _parts(posixpath.dirname(path))
    if not may_be_another(path) or not _MOMENTUM.search(gin_config):
        return ""
    return present_name(_MOVED + opt_name.removeprefix(_SHARED))


def may_be_another(path: str) -> bool:
    """Return whether a result's folder is one that published settings share."""
    return _parts(posixpath.dirname(path))[1].startswith(_SHARED)


def folders_to_search(save_dir: str) -> list[str]:
    """Return the folders in which results of a setting may lie, its own first.

    Args:
      save_dir: the setting's folder, as of `get_save_dir`.

    Raises:
      ResultError: if the task's folder cannot be reached.
    """
    task_folder, opt_name, plan = _parts(save_dir)
    wanted = {present_name(opt_name)}
    if opt_name.startswith(_MOVED):
        wanted.add(present_name(_SHARED + opt_name.removeprefix(_MOVED)))
    names = filesystem.list_folders(task_folder)
    others = [n for n in names if n != opt_name and present_name(n) in wanted]
    return [save_dir, *(f"{task_folder}/{name}/{plan}" for name in others)]


def _parts(save_dir: str) -> tuple[str, str, str]:
    """Return the task's folder, the setting's name, and the numbers of steps."""
    rest, plan = posixpath.split(save_dir.rstrip("/"))
    task_folder, opt_name = posixpath.split(rest)
    return task_folder, opt_name, plan
