"""Trains the trials of a sweep that have no result, beside others that do the same."""

from __future__ import annotations

import itertools
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.claim_files import Claim, remove_dead
from learned_optimization.baselines.results.claims import (
    Claims,
    ClaimWarning,
    NoClaim,
    OwnClaim,
)
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.results.run_notes import forget_finished, noted
from learned_optimization.baselines.results.tidying import tidying
from learned_optimization.baselines.sweeps import finished
from learned_optimization.baselines.sweeps.checkpoints import (
    checkpoint_of,
    grid_name,
    grids_of,
    remove_finished,
)
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.missing import by_folder, missing_trials
from learned_optimization.baselines.sweeps.observing import Observer, SweepSummary
from learned_optimization.baselines.sweeps.recorded_costs import save_cost_of_run
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import ResultError, RunStoppedError
from learned_optimization.eval_training import Progress, Strategy
from learned_optimization.tasks.base import Task
from learned_optimization.text import named, one_line
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
        self._of_folder = by_folder(trials)
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
            has_waited = self._wait_for_others(waiting)
            left = self._still_missing(waiting)
            still = set(left)
            if found := [trial for trial in waiting if trial not in still]:
                self._observer.found(found)
            elif not tried and not has_waited:
                # Others came and went, or the store says now this and now that.
                self._pause("to begin")
            grids = grids_of(left, self._trials)
        self._forget()
        return self._summary

    def _still_missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return those trials without results, once all that is trained is written."""
        finished.write_found(self._of_folder, self._claims)
        if not trials:
            return []
        missing = set(missing_trials(self._trials)[0])
        return [trial for trial in trials if trial in missing]

    def _train_unclaimed(
        self, grids: Sequence[TrialGrid], left: Sequence[Trial]
    ) -> set[Trial]:
        """Train the grids that nobody else trains; return the trials tried."""
        updates_of_task: dict[str, int] = defaultdict(int)
        for grid in grids:
            updates_of_task[grid.task_name] += grid.num_updates
        tried, wanted = set[Trial](), set(left)
        for grid in grids:
            similar_runs = updates_of_task[grid.task_name] / grid.num_updates
            updates_of_task[grid.task_name] -= grid.num_updates
            claim = self._claims.take(grid.places)
            if claim is None:
                continue
            with claim:
                expected = wanted.intersection(grid.trials)
                # Another sweep may have written some since they were looked for. A
                # checkpoint's grid may have others that lost theirs, or failed.
                if expected and expected <= self._missing_of(grid):
                    self._train(grid, claim, similar_runs, expected)
                    tried |= expected
        return tried

    def _missing_of(self, grid: TrialGrid) -> set[Trial]:
        beside = self._beside(grid).values()
        missing, _ = missing_trials(itertools.chain.from_iterable(beside))
        return set(missing) & set(grid.trials)

    def _beside(self, grid: TrialGrid) -> dict[str, list[Trial]]:
        """Return all trials in the folders of a grid, by folder."""
        folders = {folder for folder, _ in grid.places}
        return {folder: self._of_folder[folder] for folder in folders}

    def _train(
        self,
        grid: TrialGrid,
        claim: OwnClaim | NoClaim,
        similar_runs: float,
        expected: set[Trial],
    ) -> None:
        """Train a grid and write its results; note how it ends without."""
        checkpoint = checkpoint_of(grid, self._is_to_stop)
        last: Progress | None = None

        def on_progress(progress: Progress) -> None:
            nonlocal last
            last = progress
            self._observer.progressed(grid, progress)
            self._say_problem(claim)

        try:
            with noted(grid_name(grid), grid.places, self._is_late):
                results = grid.run(
                    on_progress, checkpoint, self._strategy, similar_runs
                )
                records = [record for _, record in results]
                # First of all: this may be stopped while it waits for a claim.
                path = finished.save(grid_name(grid), records)
                with self._again(claim, grid):
                    self._settle(grid, path, records)
        except (ResultError, RunStoppedError):
            # Where results cannot be written, no other grid's can.
            raise
        except Exception as error:
            # That one grid's program fails does not mean that another's will.
            text = f"{grid.first.opt.defined_by.__name__}: {named(error)}"
            summary = self._summary
            summary.failures += [text] if text not in summary.failures else []
            summary.num_failed += len(expected)
            summary.num_skipped -= len(expected)
            self._failed |= expected
            self._observer.failed(grid, error)
        else:
            checkpoint.remove()
            save_cost_of_run(grid, last, records[0])

    def _settle(self, grid: TrialGrid, path: str, records: Sequence[Result]) -> None:
        written = finished.settle(path, records, self._beside(grid))
        num_diverged = sum(str(r["status"]) == "diverged" for r in records)
        # In another grid, the same trial need not fail.
        recovered = self._failed.intersection(grid.trials)
        self._failed -= recovered
        summary = self._summary
        summary.num_diverged += num_diverged
        summary.num_failed -= len(recovered)
        summary.num_skipped += len(recovered) - len(written)
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
            if not self._wait_for_others(grid.trials):
                self._pause("to write what was trained")
        with mine:
            yield

    def _wait_for_others(self, trials: Iterable[Trial]) -> bool:
        """Wait until one of those who train some of these trials is done, or gone.

        Returns:
          Whether there was anyone to wait for.
        """
        places = [(trial.save_dir, trial.seed) for trial in trials]
        others = self._claims.others(places)
        names = {claim.name for claim in others}
        if others:
            self._observer.waiting(_description(others))
        while names and names <= {c.name for c in self._claims.others(places)}:
            self._pause(f"for {others[0].owner}")
        return bool(names)

    def _pause(self, what_for: str) -> None:
        """Wait until it is time for another look."""
        until = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        while time.monotonic() < until:
            if self._is_to_stop():
                raise RunStoppedError(f"stopped while waiting {what_for}")
            time.sleep(_SECONDS_BETWEEN_STOPS)

    def _forget(self) -> None:
        """Remove what was kept of trials that all have results."""
        with_results = [t for t in self._trials if t not in self._failed]
        places = [(trial.save_dir, trial.seed) for trial in with_results]
        with tidying():
            remove_finished(with_results)
        with tidying():
            forget_finished(places)
        with tidying():
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
    return one_line(
        f"{first.owner}, who trains {len(first.trials)} trials of "
        f"{folder.partition('/')[0]} since {since}{more}"
    )
