"""Where the groups of a sweep report how far they are, and learn when to stop."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.eval_training import Progress


@dataclass(frozen=True)
class GroupReport:
    """How far a group is.

    Attributes:
      attempt: tells a group from the same one begun again.
      node: Ray's name of the node.
      updates_skipped: of trials that had results.
      updates_done: of the others.
      num_diverged: trials whose loss is no longer finite.
    """

    attempt: str
    node: str
    updates_skipped: int = 0
    updates_done: int = 0
    num_diverged: int = 0


class Board:
    """The newest report of every group under way; a Ray actor."""

    def __init__(self) -> None:
        self._reports: dict[int, GroupReport] = {}
        self._num_lost = 0
        self._stop = False

    def report(self, group: int, report: GroupReport) -> bool:
        """Store a group's report; return whether the group is to stop."""
        before = self._reports.get(group)
        self._num_lost += before is not None and before.attempt != report.attempt
        self._reports[group] = report
        return self._stop

    def read(self, groups: Sequence[int]) -> tuple[dict[int, GroupReport], int]:
        """Return what these groups reported, and how many were begun again so far.

        The reports of all others are dropped.
        """
        self._reports = {g: self._reports[g] for g in groups if g in self._reports}
        return self._reports, self._num_lost

    def stop(self) -> None:
        """Tell every group to save where it is, and stop."""
        self._stop = True


class Reporter:
    """An `Observer` of a group that puts reports on the board.

    It never waits for the board, and goes on without it if it is lost.

    Args:
      board: the actor.
      group: the group's number.
      trials: all of the group's trials.
    """

    def __init__(self, board: Any, group: int, trials: Sequence[Trial]) -> None:
        self._board, self._group = board, group
        self._all_updates = num_updates(trials)
        self._attempt = uuid.uuid4().hex
        self._node = ray.get_runtime_context().get_node_id()
        self._skipped = self._done = self._diverged = 0
        self._answer: Any = None
        self._stop = False

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        """Report the updates of trials that had results."""
        self._skipped = self._all_updates - total_updates
        self._send(0, 0)

    def progressed(self, grid: TrialGrid, progress: Progress) -> None:
        """Report how far the grid in progress is."""
        done = progress.updates_done * progress.num_trials
        self._send(done, progress.num_diverged)

    def finished(self, grid: TrialGrid, num_diverged: int) -> None:
        """Count in a grid."""
        self._done += grid.num_updates
        self._diverged += num_diverged
        self._send(0, 0)

    def failed(self, grid: TrialGrid, error: Exception) -> None:
        """Count the grid as behind; the group's result says what failed."""
        self.finished(grid, 0)

    def waiting(self, owner: str) -> None:
        """Report that the group is alive, and learn whether it is to stop."""
        self._send(0, 0)

    def found(self, trials: Sequence[Trial]) -> None:
        """Count trials that others trained as those that had results."""
        self._skipped += num_updates(trials)
        self._send(0, 0)

    def should_stop(self) -> bool:
        """Return whether the board has said so."""
        if self._answer is not None and ray.wait([self._answer], timeout=0)[0]:
            with contextlib.suppress(RayError):
                self._stop = bool(ray.get(self._answer))
            self._answer = None
        return self._stop

    def _send(self, done: int, num_diverged: int) -> None:
        self.should_stop()
        if self._answer is not None:
            # Another report would replace an answer that may say to stop.
            return
        report = GroupReport(
            self._attempt,
            self._node,
            self._skipped,
            self._done + done,
            self._diverged + num_diverged,
        )
        self._answer = self._board.report.remote(self._group, report)
