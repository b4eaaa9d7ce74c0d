"""An index of result files and archives: what they say, without opening them again.

A database in `LOPT_CACHE_DIR` stores what each result file and archive said when it
was last opened, with its size, time and place. A file that has changed since is opened
again. Only the files themselves count; the index may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import (
    folder_of,
    may_be_another,
    name_here,
)
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    diverged_from,
    read_result,
)
from learned_optimization.cache import cache_dir
from learned_optimization.errors import (
    FileContentError,
    ForbiddenFileError,
    TooLargeError,
)
from learned_optimization.filesystem import FileInfo
from learned_optimization.text import one_line

_SECONDS_TO_WAIT = 30.0
_ROWS_AT_ONCE = 1_000
_KEYS = (
    "seed",
    "status",
    "diverged_from",
    "opt_config",
    "synthetic_data",
    "jax_config",
)


@dataclass(frozen=True, slots=True)
class TrialEntry:
    """One result file.

    Attributes:
      path: local path or URL.
      size: bytes.
      modified: seconds since 1970.
      seed: of the trial; None if the file does not say.
      status: `done`, `diverged`, or `bad` if the file cannot be read.
      diverged_from: first step from which no loss is finite; -1 if done.
      opt_config: the optimizer's setting; empty if the file does not say.
      synthetic: whether it was trained on made-up data.
      problem: why it cannot be read; empty if it can.
      moved_to: name of its setting, where it lies in the folder of another; see
        `folder_names.name_here`.
      jax_config: as of `numerics.record`; empty for jax's defaults.
    """

    path: str
    size: int
    modified: float
    seed: int | None
    status: str
    diverged_from: int = -1
    opt_config: str = ""
    synthetic: bool = False
    problem: str = ""
    moved_to: str = ""
    jax_config: str = ""

    @property
    def folder(self) -> str:
        """Folder of the setting it belongs to, under the present name."""
        return folder_of(self.path, self.moved_to)

    @property
    def is_lasting(self) -> bool:
        """Whether it says this as long as the file is the same, whatever is set."""
        passing = (TooLargeError.remedy, ForbiddenFileError.remedy)
        return not any(remedy in self.problem for remedy in passing)


_COLUMNS = (
    "path",
    "stamp",
    "size",
    "modified",
    "seed",
    "status",
    "diverged_from",
    "opt_config",
    "synthetic",
    "problem",
    "moved_to",
    "jax_config",
)
# What is of a newer schema today may be read by the next version.
_VERSION = 1_000 * SCHEMA_VERSION + 4
_SCHEMA = f"""
drop table if exists trials;
create table if not exists trials ({", ".join(_COLUMNS)}, primary key (path));
create table if not exists summaries (path, stamp, summary, primary key (path));
pragma user_version = {_VERSION};
"""


def trial_entries(
    folder: str, on_read: Callable[[int, int], None] | None = None
) -> list[TrialEntry]:
    """Return every result file below a folder, in the order of their paths.

    Args:
      folder: local folder or URL.
      on_read: called now and then with how many files were opened, and how many must
        be.

    Raises:
      ResultError: if the folder or a file cannot be reached.
    """
    folder = os.path.expanduser(folder)
    files = sorted(filesystem.walk_files(folder, ".curves"), key=lambda f: f.path)
    start, below = len(folder.rstrip("/")), _key(folder).rstrip("/")
    key_of = {info.path: below + one_line(info.path[start:]) for info in files}
    with _database() as db:
        # All paths below: '0' is the character behind '/'.
        rows = db.execute(
            f"select {', '.join(_COLUMNS)} from trials where path > ? and path < ?",
            (f"{below}/", f"{below}0"),
        )
        known = {row[0]: row for row in rows}
        entries: dict[str, TrialEntry] = {}
        changed = []
        for info in files:
            row = known.pop(key_of[info.path], None)
            if row is not None and row[1] == info.stamp:
                entries[info.path] = _entry(info.path, row)
            else:
                changed.append(info)
        for first in range(0, len(changed), _ROWS_AT_ONCE):
            batch = changed[first : first + _ROWS_AT_ONCE]
            read = {info.path: open_entry(info) for info in batch}
            lasting = [i for i in batch if read[i.path].is_lasting]
            _remember(db, ((key_of[i.path], i.stamp, read[i.path]) for i in lasting))
            entries |= read
            if on_read is not None:
                on_read(first + len(batch), len(changed))
        db.executemany("delete from trials where path = ?", ((k,) for k in known))
        db.commit()
    return [entries[info.path] for info in files]


def open_entry(info: FileInfo, whole: bool = False) -> TrialEntry:
    """Open a result file to see what it says.

    Args:
      info: the file.
      whole: read and check every byte of it.

    Raises:
      ResultError: if it cannot be reached.
    """
    try:
        result = read_result(info.path, None if whole else _KEYS, missing_ok=not whole)
        if "status" not in result or "diverged_from" not in result:
            result |= read_result(info.path, ["train/loss"], missing_ok=True)
        if "opt_config" not in result and may_be_another(info.path):
            key = "gin_operative_config"
            result |= read_result(info.path, [key], missing_ok=True)
    except FileContentError as error:
        return bad_entry(info, error)
    return _entry_of(info, result)


def bad_entry(info: FileInfo, error: FileContentError) -> TrialEntry:
    """Return the entry of a file that cannot be read."""
    return TrialEntry(
        info.path, info.size, info.modified, None, "bad", problem=str(error)
    )


def _entry_of(info: FileInfo, result: Result) -> TrialEntry:
    step = -1
    if "diverged_from" in result:
        step = int(result["diverged_from"])
    elif "train/loss" in result:
        step = diverged_from(result["train/loss"])
    return TrialEntry(
        path=info.path,
        size=info.size,
        modified=info.modified,
        seed=int(result["seed"]) if "seed" in result else None,
        status="done" if step < 0 else "diverged",
        diverged_from=step,
        opt_config=str(result.get("opt_config", "")),
        synthetic=bool(result.get("synthetic_data", False)),
        moved_to=_moved_to(info.path, result),
        jax_config=str(result.get("jax_config", "")),
    )


def _moved_to(path: str, result: Result) -> str:
    # Files that record their setting are this package's, and lie in its folder.
    if "opt_config" in result:
        return ""
    return name_here(path, str(result.get("gin_operative_config", "")))


def remember(info: FileInfo, entry: TrialEntry) -> None:
    """Store the entry of a file, in place of the one stored before."""
    with _database() as db:
        _remember(db, [(_key(info.path), info.stamp, entry)])


def summary_of(path: str, make: Callable[[], str]) -> str:
    """Return a short text about a file, made again only when the file has changed.

    Args:
      path: local path or URL of the file.
      make: makes the text.

    Raises:
      ResultError: if the file is missing, or as raised by `make`.
    """
    stamp = filesystem.info(path).stamp
    with _database() as db:
        row = db.execute(
            "select stamp, summary from summaries where path = ?", (_key(path),)
        ).fetchone()
        if row is not None and row[0] == stamp:
            return row[1]
        summary = make()
        # If it was written again meanwhile, the stamp is that of the file before.
        if filesystem.info(path).stamp == stamp:
            db.execute(
                "insert or replace into summaries values (?, ?, ?)",
                (_key(path), stamp, summary),
            )
            db.commit()
        return summary


def _key(path: str) -> str:
    # SQLite holds no names that are not UTF-8. Two files of one key are told apart by
    # their stamps.
    return one_line(os.path.abspath(path) if filesystem.is_local(path) else path)


def _entry(path: str, row: tuple[Any, ...]) -> TrialEntry:
    values = dict(zip(_COLUMNS, row, strict=True))
    del values["stamp"]
    # SQLite has no truth values, and may have the file under another path.
    return TrialEntry(**values | {"path": path, "synthetic": bool(values["synthetic"])})


def _remember(
    db: sqlite3.Connection, rows: Iterable[tuple[str, str, TrialEntry]]
) -> None:
    marks = ", ".join("?" * len(_COLUMNS))
    db.executemany(
        f"insert or replace into trials values ({marks})",
        ((key, stamp, *astuple(entry)[1:]) for key, stamp, entry in rows),
    )
    db.commit()


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the index; where that is impossible, an empty one in memory."""
    # SQLite must not be shared over a network.
    path = cache_dir() / "index" / f"{socket.gethostname()}.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = _connect(str(path))
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):
            # The index is damaged. All that it holds can be read again.
            with contextlib.suppress(OSError):
                path.unlink()
        db = _without_index(error)
    except OSError as error:
        db = _without_index(error)
    try:
        yield db
    finally:
        db.close()


def _without_index(error: Exception) -> sqlite3.Connection:
    warnings.warn(
        f"the index in LOPT_CACHE_DIR cannot be used this time ({error}): "
        "all files are opened",
        stacklevel=3,
    )
    return _connect(":memory:")


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_SECONDS_TO_WAIT)
    try:
        # What is lost in a power failure is read again from the files.
        db.execute("pragma synchronous = off")
        if db.execute("pragma user_version").fetchone()[0] != _VERSION:
            db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db
