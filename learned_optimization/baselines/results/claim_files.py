"""Claims as files: what they say, and which are there.

A claim is a small JSON file in `.claims`, below `LOPT_BASELINE_DIR`, that names trials
and the process that trains them; see `claims` for how they are made.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.owner import Owner
from learned_optimization.errors import (
    MissingFileError,
    NotAFileError,
    ResultError,
    TooLargeError,
)
from learned_optimization.json_reading import parse_json, to_time

_FOLDER = ".claims"
# A claim names up to some thousand trials.
_MAX_BYTES = 16 << 20

EXPIRES_AFTER = 90.0
"""Seconds after which a claim that was not renewed has no owner any more."""

# Clocks of two machines may differ by so much.
_CLOCK_TOLERANCE = 60.0

Places = frozenset[tuple[str, int]]
"""Trials: the folder of the results of each, below the root, and its seed."""


@dataclass(frozen=True)
class Claim:
    """A claim as it is read.

    Attributes:
      name: name of its file.
      owner: the process.
      trials: the trials.
      is_held: whether the owner trains them; it only asks for them if not.
      since: when it was made, seconds since 1970 by the owner's clock.
      renewed: when it was renewed last.
      content: the text of the file, another after each renewal.
    """

    name: str
    owner: Owner
    trials: Places
    is_held: bool
    since: float
    renewed: float
    content: str

    def looks_live(self) -> bool:
        """Return whether it has an owner, as far as one look can tell.

        The owner's clock is compared with this machine's, within a minute.
        """
        age = time.time() - self.renewed
        return not self.owner.has_ended() and age < EXPIRES_AFTER + _CLOCK_TOLERANCE


def read_each() -> tuple[list[Claim], list[ResultError]]:
    """Return all claims below `LOPT_BASELINE_DIR`, the oldest first.

    What is there and is no claim is left out.

    Returns:
      The claims, and why others cannot be read: nobody knows what those say.
    """
    claims, problems = list[Claim](), list[ResultError]()
    folder = filesystem.join(get_root_baseline_dir(), _FOLDER)
    try:
        paths = filesystem.list_files(folder, ".json")
    except ResultError as error:
        return [], [error]
    for path in paths:
        try:
            content = filesystem.read_all(path, _MAX_BYTES)
            claims.append(_parse(path, content.decode()))
        except (MissingFileError, NotAFileError, TooLargeError):
            # It is gone by now, or no claim.
            continue
        except ResultError as error:
            problems.append(error)
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
    return sorted(claims, key=lambda claim: claim.since), problems


def read_all() -> list[Claim]:
    """Return all claims below `LOPT_BASELINE_DIR`, the oldest first.

    Raises:
      ResultError: if one cannot be read.
    """
    claims, problems = read_each()
    if problems:
        raise problems[0]
    return claims


def remove_dead(trials: Iterable[tuple[str, int]]) -> None:
    """Remove claims without an owner whose trials all have results.

    Args:
      trials: folder and seed of each trial that has a result.
    """
    claims = read_all()
    if claims:
        finished = below_root(trials)
        for claim in claims:
            if claim.trials <= finished and not claim.looks_live():
                filesystem.remove_file(path_of(claim.name))


def below_root(trials: Iterable[tuple[str, int]]) -> Places:
    """Return trials with their folders as they are named below the root."""
    root = get_root_baseline_dir().rstrip("/")
    return frozenset(
        (os.fspath(folder).removeprefix(f"{root}/"), seed) for folder, seed in trials
    )


def path_of(name: str) -> str:
    """Return the path of the claim of that name."""
    return filesystem.join(get_root_baseline_dir(), _FOLDER, f"{name}.json")


def _parse(path: str, text: str) -> Claim:
    content: dict[str, Any] = parse_json(text.encode())
    return Claim(
        name=posixpath.basename(path).removesuffix(".json"),
        owner=Owner.parse(content),
        trials=frozenset((str(f), int(seed)) for f, seed in content["trials"]),
        is_held=content["state"] == "held",
        since=to_time(content["since"]),
        renewed=to_time(content["renewed"]),
        content=text,
    )
