"""How a sweep reports on itself: to an observer as it goes, and in a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.eval_training import Progress


class Observer(Protocol):
    """Told how a sweep goes; see `cli.progress` for the one on the terminal."""

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        """Take note of trials asked for and done, and of updates to do."""

    def progressed(self, grid: TrialGrid, progress: Progress) -> None:
        """Take note of a chunk of a grid that was trained."""

    def finished(self, grid: TrialGrid, num_diverged: int) -> None:
        """Take note of a grid whose results are written."""

    def failed(self, grid: TrialGrid, error: Exception) -> None:
        """Take note of a grid that failed; the others go on."""

    def waiting(self, owner: str) -> None:
        """Take note of who trains what is left, and of what that is."""

    def found(self, trials: Sequence[Trial]) -> None:
        """Take note of trials whose results others wrote meanwhile."""


class SilentObserver:
    """An observer that ignores everything."""

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        """Say nothing."""

    def progressed(self, grid: TrialGrid, progress: Progress) -> None:
        """Say nothing."""

    def finished(self, grid: TrialGrid, num_diverged: int) -> None:
        """Say nothing."""

    def failed(self, grid: TrialGrid, error: Exception) -> None:
        """Say nothing."""

    def waiting(self, owner: str) -> None:
        """Say nothing."""

    def found(self, trials: Sequence[Trial]) -> None:
        """Say nothing."""


@dataclass
class SweepSummary:
    """What a sweep did.

    Attributes:
      num_trials: trials asked for.
      num_skipped: trials that had results before, or got them from another sweep.
      num_diverged: trials run now whose last training loss was not finite.
      trial_steps: updates done, over all trials.
      run_seconds: seconds spent training, compilation apart.
      compile_seconds: seconds spent compiling.
      unreadable: result files that could not be read; their trials ran again.
      num_failed: trials that raised an exception and have no result.
      failures: the exceptions as text, each text once.
    """

    num_trials: int = 0
    num_skipped: int = 0
    num_diverged: int = 0
    trial_steps: int = 0
    run_seconds: float = 0.0
    compile_seconds: float = 0.0
    unreadable: list[str] = field(default_factory=list)
    num_failed: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: SweepSummary) -> None:
        """Count in what another part of the sweep did."""
        self.num_trials += other.num_trials
        self.num_skipped += other.num_skipped
        self.num_diverged += other.num_diverged
        self.trial_steps += other.trial_steps
        self.run_seconds += other.run_seconds
        self.compile_seconds += other.compile_seconds
        self.unreadable += other.unreadable
        self.num_failed += other.num_failed
        self.failures += [f for f in other.failures if f not in self.failures]
