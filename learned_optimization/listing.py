"""Local folders as they are found, while other processes write and delete in them.

What goes between listing and looking is gone, and no error. Links to folders are
followed as far as they lead to something new; what is behind one can be told, so that
it is never deleted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

# Results lie three folders deep: task, setting, plan. Each of them may be a link.
_MAX_LINKS = 3
# What this process lacks, whichever file or folder it asks for.
_OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)


def is_gone(error: OSError) -> bool:
    """Return whether an error says that something is there no longer."""
    # A file deleted on the server of a network file system is "stale".
    return isinstance(error, FileNotFoundError) or error.errno == errno.ESTALE


def entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it is no folder, or is gone.

    Raises:
      OSError: if it cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return list(found)
    except NotADirectoryError:
        return []
    except OSError as error:
        if is_gone(error):
            return []
        raise


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _refuse(folder: str, error: OSError) -> None:
    raise error


def walk(
    folder: str,
    hidden: bool = False,
    links: bool = True,
    odd: str = "",
    on_unlisted: Callable[[str, OSError], None] = _refuse,
) -> Iterator[tuple[str, os.stat_result | None]]:
    """Return every file below a folder, of any type, with its status.

    The status is None where the disk, or a folder's permissions, do not give it.

    A link that leads to a folder above it is not followed. One that leads nowhere is
    a file itself.

    Args:
      folder: the folder.
      hidden: with files and folders whose names begin with a dot.
      links: whether to follow links to folders.
      odd: how names of folders end that are not looked into, but returned like files,
        since only files should have such names; empty for none.
      on_unlisted: called with each folder below that cannot be listed, and why; what
        is in it is left out.

    Raises:
      OSError: if the folder itself cannot be listed, or as raised by `on_unlisted`.
    """
    links_left = _MAX_LINKS if links else 0
    return _walk(folder, hidden, links_left, odd, on_unlisted, frozenset())


def _walk(
    folder: str,
    hidden: bool,
    links: int,
    odd: str,
    on_unlisted: Callable[[str, OSError], None],
    above: frozenset[tuple[int, int]],
) -> Iterator[tuple[str, os.stat_result | None]]:
    try:
        status = _status(folder)
        if status is None or (status.st_dev, status.st_ino) in above:
            return
        found = entries(folder)
    except OSError as error:
        if not above or error.errno in _OF_THIS_PROCESS:
            raise
        on_unlisted(folder, error)
        return
    above |= {(status.st_dev, status.st_ino)}
    for entry in found:
        if entry.name.startswith(".") and not hidden:
            continue
        if not is_folder(entry) or (odd and entry.name.endswith(odd)):
            try:
                status = _status(entry.path)
            except OSError as error:
                if error.errno in _OF_THIS_PROCESS:
                    raise
                yield entry.path, None
            else:
                if status is not None:
                    yield entry.path, status
        elif not entry.is_symlink():
            yield from _walk(entry.path, hidden, links, odd, on_unlisted, above)
        elif links:
            yield from _walk(entry.path, hidden, links - 1, odd, on_unlisted, above)


def _status(path: str) -> os.stat_result | None:
    """Return the status of what a path leads to, or of a link that leads nowhere."""
    try:
        return os.stat(path)
    except OSError as error:
        if not is_gone(error) and error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    try:
        status = os.lstat(path)
    except OSError as error:
        if is_gone(error) or error.errno == errno.ENOTDIR:
            return None
        raise
    return status if stat.S_ISLNK(status.st_mode) else None


def is_behind_link(path: str, root: str) -> bool:
    """Return whether a link leads from a folder to where a path below it lies.

    The path itself may be a link, and so may the folder.

    Args:
      path: a file below the folder.
      root: the folder.
    """
    root = os.path.abspath(root)
    folder = os.path.dirname(os.path.abspath(path))
    while len(folder) > len(root):
        if os.path.islink(folder):
            return True
        folder = os.path.dirname(folder)
    return folder != root
