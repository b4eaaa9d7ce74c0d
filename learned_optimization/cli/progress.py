"""A sweep's progress on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from learned_optimization import eval_training
from learned_optimization.baselines.sweeps.counting import (
    CountingObserver,
    NowAndThen,
    named_grid,
)
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.cli.tables import Console, is_live

if TYPE_CHECKING:
    from learned_optimization.cluster.sweep import ClusterProgress


class _Bar:
    """A bar on standard error with a rate and a count of diverged trials.

    Args:
      total: its length; unknown if None.
    """

    def __init__(self, total: float | None) -> None:
        self._console = Console(stderr=True)
        self._is_live = is_live(self._console)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn(
                "{task.fields[rate]}  {task.fields[diverged]} diverged", markup=False
            ),
            console=self._console,
            disable=not self._is_live,
        )
        self._now_and_then = NowAndThen(lambda line: self._console.print(line))
        self._row = self._bar.add_task("starting", total=total, rate="", diverged=0)
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()


class ProgressBar(_Bar, CountingObserver):
    """An `Observer` that draws a bar, or prints lines where no bar can be drawn.

    Args:
      verbose: also print how each grid is computed.
    """

    def __init__(self, verbose: bool = False) -> None:
        CountingObserver.__init__(self)
        _Bar.__init__(self, total=1)
        self._verbose = verbose
        self._grid: TrialGrid | None = None

    def show(self) -> None:
        """Move the bar."""
        self._bar.update(
            self._row,
            description=self.what,
            total=self.total,
            completed=self.done,
            rate=f"{self.rate:,.0f} trial-steps/s" if self.rate else "",
            diverged=self.num_diverged,
        )
        if self.done and not self._is_live:
            self._now_and_then(self.line)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, soft_wrap=True)

    def say_finished(self, text: str) -> None:
        """Print that a grid is done, where no bar shows it."""
        if not self._is_live:
            self.say(text)

    def progressed(self, grid: TrialGrid, progress: eval_training.Progress) -> None:
        """Move the bar; say how the grid is computed, if that is asked for."""
        if self._verbose and grid is not self._grid:
            self._grid = grid
            self.say(
                f"{named_grid(grid)}: {progress.num_trials} trials "
                f"on {progress.num_devices} devices, {progress.strategy}, compiled in "
                f"{progress.compile_seconds:.1f} s"
            )
        super().progressed(grid, progress)


class ClusterBar(_Bar):
    """A `ClusterObserver`: one bar for all groups, or a line each time some finish."""

    def __init__(self) -> None:
        super().__init__(total=None)
        self._groups_done = self._groups_lost = 0

    def progressed(self, progress: ClusterProgress) -> None:
        """Move the bar."""
        seconds = time.monotonic() - self._start
        groups = f"{progress.groups_done} of {progress.num_groups} groups"
        machines = f"machine{'s' * (progress.num_nodes != 1)}"
        running = (
            f"{progress.groups_running} at work on {progress.num_nodes} {machines}"
        )
        self._bar.update(
            self._row,
            description=f"{groups}, {running}",
            total=progress.total_updates,
            completed=progress.updates_skipped + progress.updates_done,
            rate=f"{progress.updates_done / seconds:,.0f} trial-steps/s",
            diverged=progress.num_diverged,
        )
        if progress.groups_lost > self._groups_lost:
            self._groups_lost = progress.groups_lost
            self._console.print(
                "a machine or its process was lost; its group begins again "
                f"({self._groups_lost} so far)"
            )
        if not self._is_live and progress.groups_done > self._groups_done:
            self._groups_done = progress.groups_done
            self._console.print(
                f"{groups} done, {running}, {seconds:.0f} s, "
                f"{progress.num_diverged} trials diverged"
            )
