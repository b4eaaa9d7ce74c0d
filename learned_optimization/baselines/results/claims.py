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
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from learned_optimization import filesystem
from learned_optimization.baselines.results.claim_files import (
    EXPIRES_AFTER,
    Claim,
    Places,
    below_root,
    path_of,
    read_all,
)
from learned_optimization.baselines.results.owner import Owner
from learned_optimization.errors import MissingFileError, ResultError
from learned_optimization.text import named

_SECONDS_BETWEEN_RENEWALS = 15.0
_SECONDS_BETWEEN_LOOKS = 0.05


class ClaimWarning(UserWarning):
    """A claim cannot be made or renewed: others may train the same trials."""


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

    def hold(self) -> bool:
        """Say that the trials are being trained.

        Returns:
          Whether that was said: not where others took the claim for a dead one.

        Raises:
          ResultError: if it cannot be written, or the store does not answer.
        """
        if self._is_gone():
            return False
        self._is_held = True
        self._write()
        return True

    def is_lost(self) -> bool:
        """Return whether another process took it for one without an owner.

        That happens to a process that is stopped for long, or a machine that sleeps.
        """
        try:
            return self._is_gone()
        except ResultError:
            # A disk or a store that fails says nothing of it.
            return False

    def release(self) -> None:
        """Remove it, so that others need not wait until it expires."""
        self._ends.set()
        with self._lock, suppress(ResultError):
            self._is_released = True
            filesystem.remove_file(path_of(self.name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _renew(self) -> None:
        while not self._ends.wait(_SECONDS_BETWEEN_RENEWALS):
            try:
                if self._is_gone():
                    return
                self._write()
                self.problem = ""
            # Each store has errors of its own. Neither training nor renewing ends for
            # them.
            except Exception as error:
                is_ours = isinstance(error, ResultError)
                self.problem = str(error) if is_ours else f"{named(error)}."

    def _is_gone(self) -> bool:
        try:
            filesystem.info(path_of(self.name))
        except MissingFileError:
            return True
        return False

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
                filesystem.write_bytes(path_of(self.name), text)


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
    process, so that the clock of another machine hardly matters: a claim that is old
    when it is first seen, by more than clocks differ, is not watched.

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
            # A machine may have slept since that look, and its claim been taken for a
            # dead one: whoever holds the trials by now keeps them.
            if not claim.hold() or any(
                other.is_held for other in self._others(places, claim.name)
            ):
                claim.release()
                return None
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
                    filesystem.remove_file(path_of(claim.name))
        return live

    def _is_live(self, claim: Claim) -> bool:
        now = time.monotonic()
        content, since = self._seen.get(claim.name, ("", now))
        if not content and not claim.looks_live():
            # It is not worth watching: nobody has renewed it for long.
            since = now - EXPIRES_AFTER
        elif content != claim.content:
            since = now
        self._seen[claim.name] = claim.content, since
        return not claim.owner.has_ended() and now - since < EXPIRES_AFTER
