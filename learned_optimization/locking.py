"""Lets one process at a time into a block, of those that share a disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

# What disks answer that know no locks, as some of networks do.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def alone(path: str, wait: bool = True) -> Iterator[None]:
    """Let nobody else in who asks for the same file, as long as the block runs.

    The lock goes with its process: one that was killed bars nobody. Windows, and disks
    that know no locks, let everybody in.

    Args:
      path: a local file, which is there while somebody is in the block; its folder is
        made if missing.
      wait: for whoever is in it.

    Raises:
      BlockingIOError: if somebody is in it, and `wait` is false.
      OSError: if the file cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    while True:
        with open(path, "ab") as file:
            try:
                fcntl.flock(file, how)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            # Whoever was in the block has deleted the file that this one waited for.
            if _is_at(path, file):
                try:
                    yield
                finally:
                    with suppress(FileNotFoundError):
                        os.remove(path)
                return


def _is_at(path: str, file: IO[bytes]) -> bool:
    """Return whether an open file is the one that has a name now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
