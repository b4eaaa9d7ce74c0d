"""Claims: who trains which trials, so that no two processes train the same.

A claim is a small JSON file in `.claims`, below `LOPT_BASELINE_DIR`, from before some
trials are trained until their results are written. Its owner renews it, and a claim
that is not renewed has no owner any more. That is all a store needs to be able to do:
to list what was written.

Two processes never hold claims that share a trial. Each first writes a claim that only
asks, and then looks at the others: it gives way to one that is held, and to one that
asks and has a name before its own; it waits for one with a name behind its own, which
gives way or was held before it could see this one.
"""

from __future__ import annotations

import json
import os
import posixpath
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.owner import Owner
from learned_optimization.errors import ResultError
from learned_optimization.json_reading import parse_json

_FOLDER = ".claims"
# A claim names up to some thousand trials.
_MAX_BYTES = 16 << 20
_SECONDS_BETWEEN_RENEWALS = 15.0
_SECONDS_BETWEEN_LOOKS = 0.05

EXPIRES_AFTER = 90.0
"""Seconds after which a claim that was not renewed has no owner any more."""

# Clocks of two machines may differ by so much.
_CLOCK_TOLERANCE = 60.0

Places = frozenset[tuple[str, int]]
"""Trials: the folder of the results of each, below the root, and its seed."""


class ClaimWarning(UserWarning):
    """A claim cannot be made or renewed: others may train the same trials."""


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


def read_all() -> list[Claim]:
    """Return all claims below `LOPT_BASELINE_DIR`, the oldest first."""
    claims = []
    folder = filesystem.join(get_root_baseline_dir(), _FOLDER)
    for path in filesystem.list_files(folder, ".json"):
        try:
            content = filesystem.read_all(path, _MAX_BYTES)
            claims.append(_parse(path, content.decode()))
        except (ResultError, ValueError, KeyError, TypeError, OverflowError):
            # It is gone by now, or no claim.
            continue
    return sorted(claims, key=lambda claim: claim.since)


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
                filesystem.remove_file(_path(claim.name))


def below_root(trials: Iterable[tuple[str, int]]) -> Places:
    """Return trials with their folders as they are named below the root."""
    root = get_root_baseline_dir().rstrip("/")
    return frozenset(
        (os.fspath(folder).removeprefix(f"{root}/"), seed) for folder, seed in trials
    )


class OwnClaim:
    """A claim of this process, renewed until the `with` block ends.

    Args:
      trials: the trials.

    Attributes:
      name: name of its file.
      problem: why it could not be renewed the last time; empty if it was.
    """

    def __init__(self, trials: Places):
        self.name = uuid.uuid4().hex
        self.problem = ""
        self._trials, self._owner, self._since = trials, Owner.here(), time.time()
        self._is_held, self._is_released = False, False
        self._lock, self._ends = threading.Lock(), threading.Event()
        self._write()
        threading.Thread(target=self._renew, name="claim", daemon=True).start()

    def hold(self) -> None:
        """Say that the trials are being trained.

        Raises:
          ResultError: if it cannot be written.
        """
        self._is_held = True
        self._write()

    def is_lost(self) -> bool:
        """Return whether another process took it for one without an owner.

        That happens to a process that is stopped for long, or a machine that sleeps.
        """
        try:
            return not filesystem.exists(_path(self.name))
        except ResultError:
            return False

    def release(self) -> None:
        """Remove it, so that others need not wait until it expires."""
        self._ends.set()
        with self._lock, suppress(ResultError):
            self._is_released = True
            filesystem.remove_file(_path(self.name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _renew(self) -> None:
        while not self._ends.wait(_SECONDS_BETWEEN_RENEWALS):
            if self.is_lost():
                return
            try:
                self._write()
                self.problem = ""
            except ResultError as error:
                # Training does not end for it.
                self.problem = str(error)

    def _write(self) -> None:
        content = {
            "state": "held" if self._is_held else "asking",
            "since": self._since,
            "renewed": time.time(),
            # Another text each time, whatever the clock says.
            "renewal": uuid.uuid4().hex,
            **self._owner.as_json(),
            "trials": sorted(self._trials),
        }
        text = json.dumps(content, indent=1).encode()
        with self._lock:
            if not self._is_released:
                filesystem.write_whole(_path(self.name), lambda file: file.write(text))


class NoClaim:
    """Stands for a claim where none can be made."""

    problem = ""

    def is_lost(self) -> bool:
        """Return False: there is nothing to lose."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class Claims:
    """Makes claims, and watches those of others.

    Whether a claim is renewed is judged by whether its text changes in front of this
    process, so that no clock of another machine matters.

    Args:
      should_stop: asked while it waits.
    """

    def __init__(self, should_stop: Callable[[], bool] = lambda: False):
        self._should_stop = should_stop
        self._seen: dict[str, tuple[str, float]] = {}
        self._has_warned = False

    def take(self, trials: Iterable[tuple[str, int]]) -> OwnClaim | NoClaim | None:
        """Claim trials.

        Args:
          trials: folder and seed of each.

        Returns:
          The claim, or None if another one has a trial of them. Where claims cannot
          be made, that is said once, and nothing is claimed.
        """
        places = below_root(trials)
        try:
            return None if self._others(places) else self._ask(places)
        except ResultError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"{error} So trials cannot be claimed: another sweep that is "
                    "started meanwhile may train the same ones.",
                    ClaimWarning,
                    stacklevel=2,
                )
            return NoClaim()

    def others(self, trials: Iterable[tuple[str, int]]) -> list[Claim]:
        """Return claims of others to some of these trials, the oldest first."""
        try:
            return self._others(below_root(trials))
        except ResultError:
            return []

    def _ask(self, places: Places) -> OwnClaim | None:
        claim = OwnClaim(places)
        try:
            while others := self._others(places, claim.name):
                gives_way = any(o.is_held or o.name < claim.name for o in others)
                if gives_way or self._should_stop():
                    claim.release()
                    return None
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            claim.hold()
        except BaseException:
            claim.release()
            raise
        return claim

    def _others(self, places: Places, own: str = "") -> list[Claim]:
        claims = [c for c in read_all() if c.name != own and c.trials & places]
        live = [claim for claim in claims if self._is_live(claim)]
        for claim in claims:
            if claim not in live:
                # Nobody can wait for it any more.
                with suppress(ResultError):
                    filesystem.remove_file(_path(claim.name))
        return live

    def _is_live(self, claim: Claim) -> bool:
        now = time.monotonic()
        content, since = self._seen.get(claim.name, ("", now))
        if content != claim.content:
            since = now
        self._seen[claim.name] = claim.content, since
        return not claim.owner.has_ended() and now - since < EXPIRES_AFTER


def _parse(path: str, text: str) -> Claim:
    content: dict[str, Any] = parse_json(text.encode())
    return Claim(
        name=posixpath.basename(path).removesuffix(".json"),
        owner=Owner.parse(content),
        trials=frozenset((str(f), int(seed)) for f, seed in content["trials"]),
        is_held=content["state"] == "held",
        since=float(content["since"]),
        renewed=float(content["renewed"]),
        content=text,
    )


def _path(name: str) -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER, f"{name}.json")
