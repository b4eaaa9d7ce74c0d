"""How far a sweep has come, counted for whoever shows it: a bar, or lines.

A bar draws over itself. Where everything is kept that is printed, as in a log file or
below the cell of a notebook, a line at growing intervals takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.eval_training import Progress
from learned_optimization.text import named

_FIRST_SECONDS, _MOST_SECONDS = 30.0, 600.0


class CountingObserver:
    """An `Observer` that counts; a subclass shows what it counts.

    Attributes:
      what: what is being trained.
      total: updates of all trials that are asked for.
      done: updates done of them.
      rate: updates per second.
      num_diverged: trials that have diverged.
      seconds: since it was made.
    """

    def __init__(self) -> None:
        self.what, self.total, self.done = "starting", 1, 0
        self.rate, self.num_diverged = 0.0, 0
        self._finished_updates = self._finished_diverged = 0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._start

    def show(self) -> None:
        """Show what is counted: called at every change."""

    def say(self, text: str) -> None:
        """Print a line that stays."""

    def say_finished(self, text: str) -> None:
        """Print that a grid is done: a bar shows it without."""

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        """Take note of what is to be done; a race begins again at every look."""
        self._finished_updates = self._finished_diverged = 0
        self.what, self.done = "compiling", 0
        self.total = max(total_updates, 1)
        self.show()
        if num_done:
            self.say(f"{num_done} of {num_trials} trials have results")

    def progressed(self, grid: TrialGrid, progress: Progress) -> None:
        """Take note of a chunk of a grid that was trained."""
        done = progress.updates_done * progress.num_trials
        self.what = named_grid(grid)
        self.done = self._finished_updates + done
        self.rate = done / max(progress.run_seconds, 1e-9)
        self.num_diverged = self._finished_diverged + progress.num_diverged
        self.show()

    def finished(self, grid: TrialGrid, num_diverged: int) -> None:
        """Add a finished grid to what is done."""
        self._finished_updates += grid.num_updates
        self._finished_diverged += num_diverged
        self.done, self.num_diverged = self._finished_updates, self._finished_diverged
        # Of trials by themselves, as PyTorch's are, there are hundreds in a sweep.
        if len(grid.trials) > 1:
            self.say_finished(
                f"{named_grid(grid)}: {len(grid.trials)} trials done, "
                f"{num_diverged} diverged, {self.seconds:.0f} s"
            )
        self.show()

    def failed(self, grid: TrialGrid, error: Exception) -> None:
        """Say what failed, and count the updates of the grid as done."""
        self._finished_updates += grid.num_updates
        self.say(
            f"{named_grid(grid)}: {len(grid.trials)} trials failed: {named(error)}"
        )

    def waiting(self, owner: str) -> None:
        """Say who trains what is left."""
        self.what = "waiting"
        self.show()
        self.say(f"waiting for {owner}")

    def found(self, trials: Sequence[Trial]) -> None:
        """Count the updates of trials that others trained as done."""
        self._finished_updates += num_updates(trials)
        self.say(f"{len(trials)} trials have results of others now")

    def line(self) -> str:
        """Return all that is counted as a line."""
        return (
            f"{self.what}: {self.done / self.total:.0%} of {self.total:,} trial-steps, "
            f"{self.rate:,.0f} trial-steps/s, {self.num_diverged} diverged, "
            f"{self.seconds:.0f} s"
        )


def named_grid(grid: TrialGrid) -> str:
    """Return what a grid trains, in a few words."""
    return f"{grid.first.opt.defined_by.__name__} on {grid.task_name}"


class NowAndThen:
    """Lets a line through after half a minute, and then ever more seldom.

    Args:
      say: prints a line.
      clock: seconds from any moment on.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ):
        self._say, self._clock = say, clock
        self._seconds = _FIRST_SECONDS
        self._next = clock() + self._seconds

    def __call__(self, line: Callable[[], str]) -> None:
        """Print a line if it is time for one.

        Args:
          line: makes it.
        """
        if self._clock() >= self._next:
            self._seconds = min(2.0 * self._seconds, _MOST_SECONDS)
            self._next = self._clock() + self._seconds
            self._say(line())
