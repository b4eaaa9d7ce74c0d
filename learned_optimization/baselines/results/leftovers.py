"""Files that killed processes leave behind, wherever this package writes.

Nothing younger than an hour is one: its writer may be at work. Of what is older stay
the files of who trains now, which a claim says, and finished curves that have no
result file yet.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence

from learned_optimization import filesystem, listing
from learned_optimization.baselines.layout import (
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results import claim_files
from learned_optimization.baselines.results.files import QUARANTINE
from learned_optimization.baselines.results.finished_files import (
    folders,
    has_result,
    trials_of,
)
from learned_optimization.cache import cache_dir
from learned_optimization.errors import DamagedFileError, ResultError
from learned_optimization.filesystem import FileInfo

_SECONDS_OF_A_WRITER = 3600.0
# As `durable` names what it has not finished, and `filesystem` what it tries.
_UNFINISHED = re.compile(r"\..*\.tmp|\.lopt-write-check-.*")
_UNFINISHED_FOLDER = re.compile(r"\..*\.[0-9a-f]{32}\.tmp")
_SIGN = ".lopt-sweep-"
# Of SQLite, beside the index.
_JOURNALS = ("-journal", "-wal", "-shm")
_CHECKPOINTS, _NOTES, _CLAIMS = ".checkpoints", ".endings", ".claims"


def is_unfinished(file: FileInfo) -> bool:
    """Return whether a file is one that a writer began, and did not end in an hour."""
    name = posixpath.basename(file.path)
    return bool(_UNFINISHED.fullmatch(name)) and _is_old_file(file)


def leftovers(also_below: Iterable[str] = (), beside: Iterable[str] = ()) -> list[str]:
    """Return paths of all leftovers, sorted; a path may be that of a folder.

    Args:
      also_below: folders searched beside the roots of results and archives and
        `LOPT_CACHE_DIR`, to their ends.
      beside: folders of which only what is directly in them is looked at.

    Raises:
      ResultError: if a folder cannot be reached, or a claim not be read: then nobody
        knows who trains now.
    """
    root, cache = get_root_baseline_dir(), str(cache_dir())
    roots = [root, get_baseline_archive_rootdir(), cache, *also_below]
    live = {claim.name for claim in claim_files.read_all() if claim.looks_live()}
    found = {path for folder in beside for path in _unfinished_in(folder)}
    found |= {path for folder in folders() for path in _finished_in(folder)}
    for folder in dict.fromkeys(roots):
        for file in filesystem.walk_files(folder, "", hidden=True, links=False):
            if is_unfinished(file) or (
                _is_old_file(file)
                and (
                    (folder == root and _is_of_the_past(file, root, live))
                    or (folder == cache and file.path.endswith(_JOURNALS))
                )
            ):
                found.add(file.path)
    return sorted(found)


def checkpoints_of(paths: Iterable[str]) -> list[str]:
    """Return those paths that a stopped run would go on from."""
    return [path for path in paths if _room(path) == _CHECKPOINTS]


def remove(path: str) -> None:
    """Delete a leftover, be it a file or a folder.

    Raises:
      ResultError: if it cannot be deleted.
    """
    if filesystem.is_local(path) and os.path.isdir(path) and not os.path.islink(path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            # Its writer, or another process, removes it as well.
            pass
        except OSError as error:
            raise ResultError(f"cannot delete {path}: {error.strerror}.") from error
    else:
        filesystem.remove_file(path)


def _is_old_file(file: FileInfo) -> bool:
    # Of a file without a stamp, the disk does not say how old it is.
    return bool(file.stamp) and _is_old(file.modified)


def _is_old(modified: float) -> bool:
    return time.time() - modified >= _SECONDS_OF_A_WRITER


def _room(path: str) -> str:
    return posixpath.basename(posixpath.dirname(path))


def _is_of_the_past(file: FileInfo, root: str, live: set[str]) -> bool:
    """Return whether an old file directly below a root is of a run that ended."""
    folder, name = posixpath.split(file.path)
    if folder == root.rstrip("/"):
        # A cluster's workers look for it for as long as the sweep goes on.
        return name.startswith(_SIGN) and not live
    if posixpath.dirname(folder) != root.rstrip("/"):
        return False
    room = posixpath.basename(folder)
    if room == _CLAIMS:
        return name.removesuffix(".json") not in live
    # Whose checkpoint it is, no claim says.
    return room == _NOTES or (room == _CHECKPOINTS and not live)


def _is_needless(path: str) -> bool:
    """Return whether all curves of a file have result files, or none can have."""
    try:
        return all(has_result(*trial) for trial in trials_of(path))
    except DamagedFileError:
        return True
    except ResultError:
        return False


def _finished_in(folder: str) -> Iterator[str]:
    """Yield files of finished curves that nobody needs, and those in quarantine."""
    for file in filesystem.walk_files(folder, "", hidden=True, links=False):
        if _is_old_file(file) and (
            _room(file.path) == QUARANTINE or _is_needless(file.path)
        ):
            yield file.path


def _unfinished_in(folder: str) -> Sequence[str]:
    try:
        return [
            entry.path
            for entry in listing.entries(folder)
            if _UNFINISHED_FOLDER.fullmatch(entry.name) and _is_old_below(entry.path)
        ]
    except OSError as error:
        raise ResultError(f"cannot list {folder}: {error.strerror}.") from error


def _is_old_below(path: str) -> bool:
    """Return whether all of a folder is known to be old."""
    try:
        times = [os.lstat(path).st_mtime]
        for _, status in listing.walk(path, True, links=False):
            if status is None:
                return False
            times.append(status.st_mtime)
    except OSError:
        # It is gone by now, or cannot be looked into.
        return False
    return _is_old(max(times))
