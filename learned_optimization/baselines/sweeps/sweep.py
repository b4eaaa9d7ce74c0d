"""Runs all trials of some sets on a task, skipping those that have results."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.files import write_baseline_result
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.results.run_notes import forget_finished, noted
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.checkpoints import (
    checkpoint_of,
    grid_name,
    remove_finished,
)
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.set_trials import (
    check_data,
    missing_trials,
    sweep_trials,
)
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import ResultError, RunStoppedError
from learned_optimization.eval_training import Progress, Strategy

__all__ = [
    "Observer",
    "SilentObserver",
    "SweepSummary",
    "run_sweep",
]


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


@dataclass
class SweepSummary:
    """What a sweep did.

    Attributes:
      num_trials: trials asked for.
      num_skipped: trials that had results before.
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


def run_sweep(
    task_names: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    shard: Shard | None = None,
    deadline: float = math.inf,
) -> SweepSummary:
    """Train every trial of the sets on the tasks that has no result yet.

    Results are written grid by grid, and the grid in progress is saved every minute:
    killed, a sweep goes on from there when it is called again.

    Args:
      task_names: names of fixed tasks.
      hparam_sets: the sets.
      observer: told how it goes.
      should_stop: asked now and then; a sweep that is to stop saves where it is.
      strategy: how devices compute their shares; if None, the fastest known.
      shard: the part of the trials to train; all of them if None.
      deadline: when to save and stop, as `time.monotonic` counts.

    Returns:
      Counts and times. Trials that raise an exception are counted and noted, and
      the others go on.

    Raises:
      LoptError: if a name or setting is wrong, data is not available, or the
        result directory cannot be written; before anything is trained.
      RunStoppedError: if it was told to stop.
    """
    trials = sweep_trials(task_names, hparam_sets)
    if shard is not None:
        trials = shard.of(trials)
    return run_trials(trials, observer, should_stop, strategy, deadline)


def run_trials(
    trials: Sequence[Trial],
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    deadline: float = math.inf,
) -> SweepSummary:
    """Train those trials of a sweep, or of a part of one, that have no result yet.

    Arguments, result and errors are those of `run_sweep`.
    """
    observer = observer or SilentObserver()
    summary = SweepSummary()
    missing, summary.unreadable = missing_trials(trials)
    summary.num_trials = len(trials)
    summary.num_skipped = len(trials) - len(missing)
    grids = make_grids(missing)
    if grids:
        filesystem.check_writable(get_root_baseline_dir())
        check_data(trial.task for trial in missing)
        for trial in missing:
            trial.opt.prepare()
    updates_of_task: dict[str, int] = defaultdict(int)
    for grid in grids:
        updates_of_task[grid.task_name] += grid.num_updates
    observer.started(
        summary.num_trials, summary.num_skipped, sum(updates_of_task.values())
    )
    failed: list[Trial] = []
    for grid in grids:
        similar_runs = updates_of_task[grid.task_name] / grid.num_updates
        updates_of_task[grid.task_name] -= grid.num_updates
        train = partial(grid.run, strategy=strategy, similar_runs=similar_runs)
        if not _train_and_keep(grid, train, observer, summary, should_stop, deadline):
            failed += grid.trials
    finished = [trial for trial in trials if trial not in failed]
    remove_finished(finished)
    forget_finished((trial.save_dir, trial.seed) for trial in finished)
    return summary


def _train_and_keep(
    grid: TrialGrid,
    train: Callable[..., list[tuple[Trial, Result]]],
    observer: Observer,
    summary: SweepSummary,
    should_stop: Callable[[], bool],
    deadline: float,
) -> bool:
    """Train a grid and write its results; keep a note of its state until then.

    Returns:
      Whether it has results now. If its program fails, that is counted and noted.
    """

    def is_late() -> bool:
        return time.monotonic() >= deadline

    checkpoint = checkpoint_of(grid, lambda: should_stop() or is_late())
    try:
        with noted(grid_name(grid), grid.places, is_late):
            results = train(partial(observer.progressed, grid), checkpoint)
            _keep(grid, results, observer, summary)
    except (ResultError, RunStoppedError):
        # Where results cannot be written, no other grid's can.
        raise
    except Exception as error:
        # That one grid's program fails does not mean that another's will.
        text = f"{type(grid.first.opt).__name__}: {type(error).__name__}: {error}"
        summary.failures += [text] if text not in summary.failures else []
        summary.num_failed += len(grid.trials)
        observer.failed(grid, error)
        return False
    checkpoint.remove()
    return True


def _keep(
    grid: TrialGrid,
    results: Sequence[tuple[Trial, Result]],
    observer: Observer,
    summary: SweepSummary,
) -> None:
    for _, result in results:
        write_baseline_result(result)
    num_diverged = sum(str(result["status"]) == "diverged" for _, result in results)
    first = results[0][1]
    summary.num_diverged += num_diverged
    summary.trial_steps += grid.num_updates
    summary.run_seconds += float(first["timing/run_seconds"])
    summary.compile_seconds += float(first["timing/compile_seconds"])
    observer.finished(grid, num_diverged)
