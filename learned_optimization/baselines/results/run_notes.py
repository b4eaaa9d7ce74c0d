"""Notes on trials that have begun and have no result: running, stopped or failed.

A grid of trials has one small JSON file in `.endings`, below `LOPT_BASELINE_DIR`,
from its start until its results are written. A note is never a result: the trials it
names are trained when they are next asked for.
"""

from __future__ import annotations

import json
import os
import posixpath
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.errors import ResultError, RunStoppedError

# Earlier versions of this package write to it too.
_FOLDER = ".endings"

UNFINISHED = ("failed", "timed out", "interrupted", "running")
"""The states of a trial that has begun and has no result."""


@dataclass(frozen=True)
class RunNote:
    """What is noted of a grid of trials.

    Attributes:
      name: name of the grid.
      status: one of `UNFINISHED`.
      reason: the exception as text if it failed, or why it stopped.
      at: when the note was written, seconds since 1970.
      trials: folder, relative to the root, and seed of each trial.
      host: the machine.
      process: id of the process there.
    """

    name: str
    status: str
    reason: str
    at: float
    trials: frozenset[tuple[str, int]]
    host: str
    process: int


@contextmanager
def noted(
    name: str,
    trials: Iterable[tuple[str, int]],
    is_late: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Keep a note, within the block, that a grid is being trained and written.

    Args:
      name: name of the grid.
      trials: folder and seed of each of its trials.
      is_late: whether the time it was given is up.

    Raises:
      ResultError: if no note can be written.
    """
    trials = list(trials)
    _note(name, trials, "running", "")
    try:
        yield
    except (RunStoppedError, KeyboardInterrupt) as stop:
        # If the note cannot be written, the exception itself is still raised.
        with suppress(ResultError):
            _note(name, trials, "timed out" if is_late() else "interrupted", str(stop))
        raise
    except Exception as error:
        where = "".join(traceback.format_exception(error))
        text = f"{type(error).__name__}: {error}\n{where}"
        with suppress(ResultError):
            _note(name, trials, "failed", text)
        raise
    forget(name)


def _note(
    name: str, trials: Iterable[tuple[str, int]], status: str, reason: str
) -> None:
    content = {
        "status": status,
        "reason": reason,
        "at": time.time(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "trials": _below_root(trials),
    }
    text = json.dumps(content, indent=1).encode()
    filesystem.write_whole(_path(name), lambda file: file.write(text))


def forget(name: str) -> None:
    """Remove the note on a grid."""
    filesystem.remove_file(_path(name))


def forget_finished(trials: Iterable[tuple[str, int]]) -> None:
    """Remove the notes on grids whose trials all have results.

    A sweep that is killed while it writes the results of a grid leaves a note behind.
    No later run would replace it, since the trials still missing are another grid.

    Args:
      trials: folder and seed of each trial that has a result.
    """
    notes = read_all()
    if not notes:
        return
    finished = set(_below_root(trials))
    for note in notes:
        if note.trials <= finished:
            forget(note.name)


def _below_root(trials: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    root = get_root_baseline_dir().rstrip("/")
    return [(folder.removeprefix(f"{root}/"), seed) for folder, seed in trials]


def read_all() -> list[RunNote]:
    """Return all notes below `LOPT_BASELINE_DIR`, the oldest first."""
    notes = []
    folder = filesystem.join(get_root_baseline_dir(), _FOLDER)
    for path in filesystem.list_files(folder, ".json"):
        try:
            with filesystem.open_to_read(path) as file:
                notes.append(_parse(_name(path), json.load(file)))
        except (ResultError, ValueError, KeyError, TypeError):
            # It is gone by now, or damaged: then its trials are missing.
            continue
    return sorted(notes, key=lambda note: note.at)


def _parse(name: str, content: dict[str, Any]) -> RunNote:
    status, host, process = content["status"], content["host"], content["process"]
    if status not in UNFINISHED:
        raise ValueError(status)
    if status == "running" and _is_gone(host, process):
        status = "interrupted"
    return RunNote(
        name=name,
        status=status,
        reason=str(content["reason"]),
        at=float(content["at"]),
        trials=frozenset(
            (str(folder), int(seed)) for folder, seed in content["trials"]
        ),
        host=host,
        process=process,
    )


def _is_gone(host: str, process: int) -> bool:
    """Return whether a process has ended; False if it is of another machine."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _name(path: str) -> str:
    return posixpath.basename(path).removesuffix(".json")


def _path(name: str) -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER, f"{name}.json")
