"""What became of trials that have begun and have no result.

Those that run are claimed (see `claims`). A grid of trials that ended without results
has one small JSON file in `.endings`, below `LOPT_BASELINE_DIR`, until it has them. It
is never a result: the trials it names are trained when they are next asked for.
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
from dataclasses import dataclass, replace
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results import claim_files
from learned_optimization.baselines.results.claim_files import (
    Claim,
    Places,
    below_root,
)
from learned_optimization.baselines.results.tidying import tidying
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    MissingFileError,
    ResultError,
    RunStoppedError,
)
from learned_optimization.json_reading import parse_json, to_time
from learned_optimization.text import named

# Earlier versions of this package write to it too.
_FOLDER = ".endings"
# A note names up to some thousand trials, and has the traceback of one exception.
_MAX_BYTES = 16 << 20

UNFINISHED = ("failed", "timed out", "interrupted", "running")
"""The states of a trial that has begun and has no result."""


@dataclass(frozen=True)
class RunNote:
    """What is known of a grid of trials.

    Attributes:
      name: name of the grid, or of the claim.
      status: one of `UNFINISHED`.
      reason: the exception as text if it failed, or why it stopped, or who runs it.
      at: when the note was written or the claim renewed, seconds since 1970.
      trials: folder, relative to the root, and seed of each trial.
      claim: the claim, while the trials run.
    """

    name: str
    status: str
    reason: str
    at: float
    trials: Places
    claim: Claim | None = None


@contextmanager
def noted(
    name: str,
    trials: Iterable[tuple[str, int]],
    is_late: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Note how a grid ends that is trained and written within the block.

    The note of an earlier end goes when the block succeeds.

    Args:
      name: name of the grid.
      trials: folder and seed of each of its trials.
      is_late: whether the time it was given is up.
    """
    trials = list(trials)
    try:
        yield
    except (RunStoppedError, KeyboardInterrupt) as stop:
        # If the note cannot be written, the exception itself is still raised.
        with suppress(ResultError):
            _note(name, trials, "timed out" if is_late() else "interrupted", str(stop))
        raise
    except Exception as error:
        where = "".join(traceback.format_exception(error))
        text = f"{named(error)}\n{where}"
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
        "trials": sorted(below_root(trials)),
    }
    text = json.dumps(content, indent=1).encode()
    filesystem.write_bytes(_path(name), text)


def forget(name: str) -> None:
    """Remove the note on a grid, if it can be removed."""
    with tidying():
        filesystem.remove_file(_path(name))


def forget_finished(trials: Iterable[tuple[str, int]]) -> None:
    """Remove the notes on grids whose trials all have results.

    Trials may get results in another grid than the one that a note is on: no later
    run would replace it.

    Args:
      trials: folder and seed of each trial that has a result.
    """
    notes = _notes()
    if not notes:
        return
    finished = below_root(trials)
    for note in notes:
        if note.trials <= finished:
            forget(note.name)


def read_all() -> list[RunNote]:
    """Return what is known of all trials without results, the newest last.

    A claim without an owner is of a process that was killed: it was interrupted.
    What cannot be read is left out; see `damaged` and `unreachable`.
    """
    claims, _ = claim_files.read_each()
    claimed = [_of_claim(claim) for claim in claims if claim.is_held]
    claimed.sort(key=lambda note: note.status == "running")
    return [*_notes(), *claimed]


def _of_claim(claim: Claim) -> RunNote:
    note = RunNote(
        name=claim.name,
        status="running",
        reason=str(claim.owner),
        at=claim.renewed,
        trials=claim.trials,
        claim=claim,
    )
    if claim.looks_live():
        return note
    return replace(note, status="interrupted", claim=None)


def damaged() -> list[FileContentError]:
    """Return what is wrong with each note that cannot be read.

    What it says of its trials is lost: they are missing.
    """
    return [note for note in _read() if isinstance(note, FileContentError)]


def unreachable() -> list[ResultError]:
    """Return why notes cannot be reached at the moment, and claims not be read.

    What they say of their trials is not known: they are missing until it is.
    """
    _, claims = claim_files.read_each()
    notes = [note for note in _read() if isinstance(note, ResultError)]
    return [n for n in notes if not isinstance(n, FileContentError)] + claims


def _notes() -> list[RunNote]:
    notes = [note for note in _read() if isinstance(note, RunNote)]
    return sorted(notes, key=lambda note: note.at)


def _read() -> Iterator[RunNote | ResultError]:
    folder = filesystem.join(get_root_baseline_dir(), _FOLDER)
    for path in filesystem.list_files(folder, ".json"):
        try:
            content = parse_json(filesystem.read_all(path, _MAX_BYTES))
            yield _parse(_name(path), content)
        except MissingFileError:
            # It is gone by now.
            continue
        except ResultError as error:
            yield error
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            problem = f"it is no note ({error or type(error).__name__})"
            yield DamagedFileError(path, problem, "Delete it.")


def _parse(name: str, content: dict[str, Any]) -> RunNote:
    status = content["status"]
    if status not in UNFINISHED:
        raise ValueError(status)
    if status == "running":
        # Earlier versions noted it; whoever runs has a claim now.
        status = "interrupted"
    return RunNote(
        name=name,
        status=status,
        reason=str(content["reason"]),
        at=to_time(content["at"]),
        trials=frozenset(
            (str(folder), int(seed)) for folder, seed in content["trials"]
        ),
    )


def _name(path: str) -> str:
    return posixpath.basename(path).removesuffix(".json")


def _path(name: str) -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER, f"{name}.json")
