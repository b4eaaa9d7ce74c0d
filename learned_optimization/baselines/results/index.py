"""An index of result files and archives: what they say, without opening them again.

A database in `LOPT_CACHE_DIR` stores what each result file and archive said when it
was last opened, with its size, times and place. A file that has changed since is opened
again. Only the files themselves count; the index may be deleted or damaged at any time,
see `remembered`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

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
from learned_optimization.baselines.results.remembered import remembered
from learned_optimization.errors import (
    FileContentError,
    ForbiddenFileError,
    MissingFileError,
    TooLargeError,
    UnreadableFileError,
)
from learned_optimization.filesystem import FileInfo

_ROWS_AT_ONCE = 1_000
_KEYS = (
    "seed",
    "status",
    "diverged_from",
    "opt_config",
    "synthetic_data",
    "jax_config",
    "divergence_note",
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
      divergence_note: what is known of why it diverged; mostly empty.
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
    divergence_note: str = ""

    @property
    def folder(self) -> str:
        """Folder of the setting it belongs to, under the present name."""
        return folder_of(self.path, self.moved_to)

    @property
    def is_lasting(self) -> bool:
        """Whether it says this as long as the file is the same, whatever is set."""
        passing = (TooLargeError, ForbiddenFileError, UnreadableFileError)
        return not any(error.remedy in self.problem for error in passing)


# What is of a newer schema today may be read by the next version.
_VERSION = 1_000 * SCHEMA_VERSION + 6
_STORED = tuple(f.name for f in fields(TrialEntry) if f.name != "path")


def trial_entries(
    folder: str,
    on_read: Callable[[int, int], None] | None = None,
    on_unlisted: Callable[[str, str], None] | None = None,
) -> list[TrialEntry]:
    """Return every result file below a folder, in the order of their paths.

    Args:
      folder: local folder or URL.
      on_read: called now and then with how many files were opened, and how many must
        be.
      on_unlisted: as `filesystem.walk_files`.

    Raises:
      ResultError: if the folder, or a file in a store, cannot be reached.
    """
    folder = filesystem.without_scheme(folder)
    found = filesystem.walk_files(
        folder, ".curves", odd_folders=True, on_unlisted=on_unlisted
    )
    files = sorted(found, key=lambda f: f.path)
    start, below = len(folder.rstrip("/")), _key(folder).rstrip("/")
    key_of = {info.path: below + info.path[start:] for info in files}
    with remembered("trial", _VERSION) as texts:
        known = texts.below(below)
        entries: dict[str, TrialEntry] = {}
        changed, stored = [], []
        for info in files:
            entry = _known(info, known.pop(key_of[info.path], None))
            if entry is not None:
                entries[info.path] = entry
            else:
                changed.append(info)
        for first in range(0, len(changed), _ROWS_AT_ONCE):
            batch = changed[first : first + _ROWS_AT_ONCE]
            read = dict(_open_those_there(batch))
            lasting = [
                i
                for i in batch
                if i.stamp and i.path in read and read[i.path].is_lasting
            ]
            rows = [(key_of[i.path], i.stamp, _text_of(read[i.path])) for i in lasting]
            texts.store(rows)
            stored += rows
            entries |= read
            if on_read is not None:
                on_read(first + len(batch), len(changed))
        texts.forget(known)
        texts.check(below, stored)
    return [entries[info.path] for info in files if info.path in entries]


def _open_those_there(files: Iterable[FileInfo]) -> Iterator[tuple[str, TrialEntry]]:
    for info in files:
        # It may have gone since it was listed.
        with contextlib.suppress(MissingFileError):
            yield info.path, open_entry(info)


def open_entry(info: FileInfo, whole: bool = False) -> TrialEntry:
    """Open a result file to see what it says.

    Args:
      info: the file.
      whole: read and check every byte of it.

    Raises:
      MissingFileError: if it is there no longer.
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
        divergence_note=str(result.get("divergence_note", "")),
    )


def _moved_to(path: str, result: Result) -> str:
    # Files that record their setting are this package's, and lie in its folder.
    if "opt_config" in result:
        return ""
    return name_here(path, str(result.get("gin_operative_config", "")))


def remember(info: FileInfo, entry: TrialEntry) -> None:
    """Store the entry of a file, in place of the one stored before."""
    with remembered("trial", _VERSION) as texts:
        texts.store([(_key(info.path), info.stamp, _text_of(entry))])


def summary_of(path: str, make: Callable[[], str]) -> str:
    """Return a short text about a file, made again only when the file has changed.

    Args:
      path: local path or URL of the file.
      make: makes the text.

    Raises:
      ResultError: if the file is missing, or as raised by `make`.
    """
    stamp, key = filesystem.info(path).stamp, _key(path)
    with remembered("summary", _VERSION) as texts:
        known = texts.of(key)
        if known is not None and known[0] == stamp:
            return known[1]
        summary = make()
        # If it was written again meanwhile, the stamp is that of the file before.
        with contextlib.suppress(MissingFileError):
            if filesystem.info(path).stamp == stamp:
                texts.store([(key, stamp, summary)])
        return summary


def _key(path: str) -> str:
    is_local = filesystem.is_local(path)
    return os.path.abspath(filesystem.without_scheme(path)) if is_local else path


def _text_of(entry: TrialEntry) -> str:
    return json.dumps([getattr(entry, name) for name in _STORED])


def _known(info: FileInfo, row: tuple[str, str] | None) -> TrialEntry | None:
    """Return the entry that is stored of a file, if it is of the file as it is now."""
    if row is None or row[0] != info.stamp:
        return None
    # The file may be known under another path.
    values = zip(_STORED, json.loads(row[1]), strict=True)
    return TrialEntry(info.path, **dict(values))
