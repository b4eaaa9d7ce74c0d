"""Trains the trials of a sweep that have no result, beside others that do the same."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.claims import (
    Claim,
    Claims,
    ClaimWarning,
    NoClaim,
    OwnClaim,
    remove_dead,
)
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.results.run_notes import forget_finished, noted
from learned_optimization.baselines.sweeps import finished
from learned_optimization.baselines.sweeps.checkpoints import (
    checkpoint_of,
    grid_name,
    grids_of,
    remove_finished,
)
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.missing import missing_trials
from learned_optimization.baselines.sweeps.observing import Observer, SweepSummary
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import ResultError, RunStoppedError
from learned_optimization.eval_training import Progress, Strategy
from learned_optimization.tasks.base import Task
from learned_optimization.text import named
from learned_optimization.training.backend import local_devices

# Between two looks at whether those who are waited for are done,
_SECONDS_BETWEEN_LOOKS = 1.0
# ... and at whether to stop.
_SECONDS_BETWEEN_STOPS = 0.1


class SweepRun:
    """One run of a sweep, or of a part of one.

    Args:
      trials: all its trials.
      observer: told how it goes.
      should_stop: asked now and then.
      strategy: how devices compute their shares; if None, the fastest known.
      deadline: when to save and stop, as `time.monotonic` counts.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        observer: Observer,
        should_stop: Callable[[], bool],
        strategy: Strategy | None,
        deadline: float,
    ):
        self._trials, self._observer, self._strategy = trials, observer, strategy
        self._should_stop, self._deadline = should_stop, deadline
        self._claims = Claims(self._is_to_stop)
        # Those written are taken off again.
        self._summary = SweepSummary(num_trials=len(trials), num_skipped=len(trials))
        self._has_warned = False
        self._failed: set[Trial] = set()

    def run(self) -> SweepSummary:
        """Train every trial that has no result, and return what was done.

        Grids that others train are left to them: their results are found later, or
        the grids are taken over once their owners are gone.

        Raises:
          LoptError: if data is not available, or the results cannot be reached.
          RunStoppedError: if it was told to stop.
        """
        missing, self._summary.unreadable = missing_trials(self._trials)
        if missing:
            filesystem.check_writable(get_root_baseline_dir())
        left = self._still_missing(missing)
        check_data(trial.task for trial in left)
        for trial in left:
            trial.opt.prepare()
        if left:
            # A backend that cannot start is no failure of a trial.
            local_devices()
        grids = grids_of(left, self._trials)
        self._observer.started(
            len(self._trials),
            len(self._trials) - len(left),
            sum(grid.num_updates for grid in grids),
        )
        while grids:
            tried = self._train_unclaimed(grids, left)
            waiting = [trial for trial in left if trial not in tried]
            self._wait_for_others(waiting)
            left = self._still_missing(waiting)
            if found := [trial for trial in waiting if trial not in left]:
                self._observer.found(found)
            grids = grids_of(left, self._trials)
        self._forget()
        return self._summary

    def _still_missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return those trials without results, once all that is trained is written."""
        finished.write_found(self._trials, self._claims)
        if not trials:
            return []
        missing, _ = missing_trials(self._trials)
        return [trial for trial in trials if trial in set(missing)]

    def _train_unclaimed(
        self, grids: Sequence[TrialGrid], left: Sequence[Trial]
    ) -> set[Trial]:
        """Train the grids that nobody else trains; return the trials tried."""
        updates_of_task: dict[str, int] = defaultdict(int)
        for grid in grids:
            updates_of_task[grid.task_name] += grid.num_updates
        tried: set[Trial] = set()
        for grid in grids:
            similar_runs = updates_of_task[grid.task_name] / grid.num_updates
            updates_of_task[grid.task_name] -= grid.num_updates
            claim = self._claims.take(grid.places)
            if claim is None:
                continue
            with claim:
                expected = set(grid.trials) & set(left)
                # Another sweep may have written some since they were looked for.
                if self._missing_of(grid) == expected:
                    self._train(grid, claim, similar_runs, len(expected))
                    tried |= expected
        return tried

    def _missing_of(self, grid: TrialGrid) -> set[Trial]:
        folders = {trial.save_dir for trial in grid.trials}
        missing, _ = missing_trials(t for t in self._trials if t.save_dir in folders)
        return set(missing) & set(grid.trials)

    def _train(
        self,
        grid: TrialGrid,
        claim: OwnClaim | NoClaim,
        similar_runs: float,
        num_missing: int,
    ) -> None:
        """Train a grid and write its results; note how it ends without."""
        checkpoint = checkpoint_of(grid, self._is_to_stop)

        def on_progress(progress: Progress) -> None:
            self._observer.progressed(grid, progress)
            self._say_problem(claim)

        try:
            with noted(grid_name(grid), grid.places, self._is_late):
                results = grid.run(
                    on_progress, checkpoint, self._strategy, similar_runs
                )
                with self._again(claim, grid):
                    self._keep(grid, results)
        except (ResultError, RunStoppedError):
            # Where results cannot be written, no other grid's can.
            raise
        except Exception as error:
            # That one grid's program fails does not mean that another's will.
            text = f"{type(grid.first.opt).__name__}: {named(error)}"
            summary = self._summary
            summary.failures += [text] if text not in summary.failures else []
            summary.num_failed += num_missing
            summary.num_skipped -= num_missing
            self._failed.update(grid.trials)
            self._observer.failed(grid, error)
        else:
            checkpoint.remove()

    def _keep(self, grid: TrialGrid, results: Sequence[tuple[Trial, Result]]) -> None:
        records = [record for _, record in results]
        written = finished.keep(grid_name(grid), records, self._trials)
        num_diverged = sum(str(r["status"]) == "diverged" for r in records)
        summary = self._summary
        summary.num_diverged += num_diverged
        summary.num_skipped -= len(written)
        summary.trial_steps += grid.num_updates
        summary.run_seconds += float(records[0]["timing/run_seconds"])
        summary.compile_seconds += float(records[0]["timing/compile_seconds"])
        self._observer.finished(grid, num_diverged)

    @contextmanager
    def _again(self, claim: OwnClaim | NoClaim, grid: TrialGrid) -> Iterator[None]:
        """Claim a grid again if others took it over, as while this machine slept."""
        if not claim.is_lost():
            yield
            return
        while (mine := self._claims.take(grid.places)) is None:
            self._wait_for_others(grid.trials)
        with mine:
            yield

    def _wait_for_others(self, trials: Iterable[Trial]) -> None:
        """Wait until one of those who train some of these trials is done, or gone."""
        places = [(trial.save_dir, trial.seed) for trial in trials]
        others = self._claims.others(places)
        names = {claim.name for claim in others}
        if others:
            self._observer.waiting(_description(others))
        while names and names <= {c.name for c in self._claims.others(places)}:
            until = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            while time.monotonic() < until:
                if self._is_to_stop():
                    raise RunStoppedError(
                        f"stopped while waiting for {others[0].owner}"
                    )
                time.sleep(_SECONDS_BETWEEN_STOPS)

    def _forget(self) -> None:
        """Remove what was kept of trials that all have results."""
        with_results = [t for t in self._trials if t not in self._failed]
        places = [(trial.save_dir, trial.seed) for trial in with_results]
        remove_finished(with_results)
        forget_finished(places)
        remove_dead(places)

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _is_to_stop(self) -> bool:
        return self._should_stop() or self._is_late()

    def _say_problem(self, claim: OwnClaim | NoClaim) -> None:
        if claim.problem and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{claim.problem} So others may take over what is trained here.",
                ClaimWarning,
                stacklevel=2,
            )


def check_data(tasks: Iterable[Task]) -> None:
    """Load the data of every task, so that what is missing is known at once."""
    for datasets in {id(t.datasets): t.datasets for t in tasks}.values():
        if datasets is not None:
            datasets.load()


def _description(claims: Sequence[Claim]) -> str:
    first = claims[0]
    folder, _ = min(first.trials)
    since = datetime.fromtimestamp(first.since).strftime("%H:%M:%S")
    more = f", and {len(claims) - 1} more" if len(claims) > 1 else ""
    return (
        f"{first.owner}, who trains {len(first.trials)} trials of "
        f"{folder.partition('/')[0]} since {since}{more}"
    )
