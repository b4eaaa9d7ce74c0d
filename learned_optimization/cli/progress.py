"""A sweep's progress on the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from learned_optimization import eval_training
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.cli.tables import Console
from learned_optimization.text import named

if TYPE_CHECKING:
    from learned_optimization.cluster.sweep import ClusterProgress


class _Bar:
    """A bar on standard error with a rate and a count of diverged trials.

    Args:
      total: its length; unknown if None.
    """

    def __init__(self, total: float | None) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn(
                "{task.fields[rate]}  {task.fields[diverged]} diverged", markup=False
            ),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._row = self._bar.add_task("starting", total=total, rate="", diverged=0)
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()


class ProgressBar(_Bar):
    """An `Observer` that draws a bar, or prints one line per grid without a terminal.

    Args:
      verbose: also print how each grid is computed.
    """

    def __init__(self, verbose: bool = False) -> None:
        super().__init__(total=1)
        self._verbose = verbose
        self._finished_updates = self._finished_diverged = 0
        self._grid: TrialGrid | None = None

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        """Set the length of the bar, which begins again."""
        self._finished_updates = self._finished_diverged = 0
        self._bar.update(
            self._row,
            total=max(total_updates, 1),
            completed=0,
            description="compiling",
        )
        if num_done:
            self._console.print(f"{num_done} of {num_trials} trials have results")

    def progressed(self, grid: TrialGrid, progress: eval_training.Progress) -> None:
        """Move the bar."""
        if self._verbose and grid is not self._grid:
            self._grid = grid
            self._console.print(
                f"{_named(grid)}: {progress.num_trials} trials "
                f"on {progress.num_devices} devices, {progress.strategy}, compiled in "
                f"{progress.compile_seconds:.1f} s",
                soft_wrap=True,
            )
        done = progress.updates_done * progress.num_trials
        rate = done / max(progress.run_seconds, 1e-9)
        self._bar.update(
            self._row,
            description=_named(grid),
            completed=self._finished_updates + done,
            rate=f"{rate:,.0f} trial-steps/s",
            diverged=self._finished_diverged + progress.num_diverged,
        )

    def finished(self, grid: TrialGrid, num_diverged: int) -> None:
        """Add a finished grid to what is done."""
        trials = grid.trials
        self._finished_updates += grid.num_updates
        self._finished_diverged += num_diverged
        if not self._console.is_terminal:
            self._console.print(
                f"{_named(grid)}: {len(trials)} trials done, "
                f"{num_diverged} diverged, {time.monotonic() - self._start:.0f} s",
                soft_wrap=True,
            )

    def failed(self, grid: TrialGrid, error: Exception) -> None:
        """Print what failed, and count the updates of the grid as done."""
        self._finished_updates += grid.num_updates
        self._console.print(
            f"{_named(grid)}: {len(grid.trials)} trials failed: {named(error)}"
        )

    def waiting(self, owner: str) -> None:
        """Print who trains what is left."""
        self._bar.update(self._row, description="waiting")
        self._console.print(f"waiting for {owner}")

    def found(self, trials: Sequence[Trial]) -> None:
        """Count the updates of trials that others trained as done."""
        self._finished_updates += num_updates(trials)
        self._console.print(f"{len(trials)} trials have results of others now")


def _named(grid: TrialGrid) -> str:
    return f"{grid.first.opt.defined_by.__name__} on {grid.task_name}"


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
        if not self._console.is_terminal and progress.groups_done > self._groups_done:
            self._groups_done = progress.groups_done
            self._console.print(
                f"{groups} done, {running}, {seconds:.0f} s, "
                f"{progress.num_diverged} trials diverged"
            )
