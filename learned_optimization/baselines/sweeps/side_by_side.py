"""Trains trials that are stepped in Python, in one process for each of jax's devices.

Such a trial uses one core, and Python takes turns within a process. So processes train
a trial each, and are given another as soon as they are done: with its own claim,
checkpoint and result file, as if a sweep of that trial alone ran there.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from learned_optimization import filesystem, numerics
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.claims import Claims
from learned_optimization.baselines.sets.files import files_read
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.missing import missing_trials
from learned_optimization.baselines.sweeps.observing import Observer, SweepSummary
from learned_optimization.baselines.sweeps.remade import Recipe, module_files
from learned_optimization.baselines.sweeps.running import check_data
from learned_optimization.baselines.sweeps.trial_process import Answer, train_trials
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.errors import LoptError, RunStoppedError
from learned_optimization.eval_training import Progress, Strategy
from learned_optimization.training.backend import local_devices

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_STOP = 60.0
# Of trials that others may train, so many are looked at for one that nobody does.
_LOOKS = 20


def num_processes(trials: Sequence[Trial]) -> int:
    """Return in how many processes some trials are trained best; 1 is this one.

    Args:
      trials: trials that are stepped in Python.
    """
    devices = local_devices()
    files = {file for file in files_read() if os.path.exists(file)}
    # What a notebook or a script defines is known in its own process alone.
    is_known_elsewhere = all(
        trial.device is None and files >= module_files(trial) for trial in trials
    )
    if devices[0].platform != "cpu" or not is_known_elsewhere:
        return 1
    return min(len(devices), len(trials))


@dataclass
class _Worker:
    """A process, and the trial it trains.

    Attributes:
      process: the process.
      connection: to it.
      trial: what it trains; None between trials.
      answer: how far it is.
    """

    process: Any
    connection: Connection
    trial: Trial | None = None
    answer: Answer | None = None


class SideBySide:
    """One run of a sweep of trials that are stepped in Python.

    Args:
      trials: all its trials.
      observer: told how it goes.
      should_stop: asked now and then.
      strategy: how gradients are compiled; if None, as is fastest by default.
      deadline: when to save and stop, as `time.monotonic` counts.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        observer: Observer,
        should_stop: Callable[[], bool],
        strategy: Strategy | None = None,
        deadline: float = math.inf,
    ):
        self._trials, self._observer, self._strategy = trials, observer, strategy
        self._should_stop, self._deadline = should_stop, deadline
        self._claims = Claims(self._is_to_stop)
        self._summary = SweepSummary()
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.Event()
        self._workers: list[_Worker] = []
        self._left: list[Trial] = []
        self._was_cut_short = False
        needed = set[str]().union(*map(module_files, trials))
        self._files = tuple(file for file in files_read() if file in needed)

    def run(self, num_processes: int) -> SweepSummary:
        """Train every trial that has no result, and return what was done.

        Args:
          num_processes: trials trained at a time.

        Raises:
          LoptError: if data is not available, or the results cannot be reached.
          RunStoppedError: if it was told to stop; what was done is saved.
        """
        self._left, unreadable = missing_trials(self._trials)
        num_done = len(self._trials) - len(self._left)
        self._summary.unreadable = unreadable
        self._summary.num_trials = self._summary.num_skipped = num_done
        if self._left:
            filesystem.check_writable(get_root_baseline_dir())
            check_data(trial.task for trial in self._left)
            for trial in self._left:
                trial.opt.prepare()
        self._observer.started(len(self._trials), num_done, num_updates(self._left))
        try:
            for _ in range(min(num_processes, len(self._left))):
                self._begin_worker()
            while any(worker.trial for worker in self._workers):
                self._look()
        finally:
            self._end_workers()
        if self._left or self._was_cut_short:
            raise RunStoppedError("stopped; what was trained is saved")
        # As if the trials of all processes were one program: they ran at a time.
        self._summary.run_seconds /= num_processes
        self._summary.compile_seconds /= num_processes
        return self._summary

    def _is_to_stop(self) -> bool:
        return self._should_stop() or time.monotonic() >= self._deadline

    def _begin_worker(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=train_trials,
            args=(theirs, self._stop, self._files, self._strategy),
            name="trial",
            daemon=True,
        )
        with _environment_of_one_core():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        """Give a process the next trial, if there is one."""
        worker.trial = worker.answer = None
        if self._left and not self._stop.is_set():
            worker.trial = self._left.pop(self._place_of_next())
            # One that has ended is found by its sentinel.
            with suppress(OSError):
                worker.connection.send(Recipe.of(worker.trial))

    def _place_of_next(self) -> int:
        """Return the place of a trial that nobody trains, or else of the first one."""
        for place, trial in enumerate(self._left[:_LOOKS]):
            if not self._claims.others([(trial.save_dir, trial.seed)]):
                return place
        return 0

    def _look(self) -> None:
        """Wait a moment, and take note of what the processes say."""
        busy = [worker for worker in self._workers if worker.trial]
        waited = [w.connection for w in busy] + [w.process.sentinel for w in busy]
        ready = wait(waited, timeout=_SECONDS_BETWEEN_LOOKS)
        for worker in busy:
            if worker.connection in ready:
                self._hear(worker)
            elif worker.process.sentinel in ready:
                self._lose(worker)
        self._report()
        if self._is_to_stop():
            self._stop.set()

    def _hear(self, worker: _Worker) -> None:
        try:
            answer: Answer = worker.connection.recv()
        except (EOFError, OSError):
            self._lose(worker)
            return
        for message in answer.warnings:
            warnings.warn(message, stacklevel=2)
        if answer.error is not None:
            raise answer.error
        worker.answer = answer
        if answer.summary is not None:
            self._count(worker, answer.summary)
            self._give(worker)
        elif answer.is_stopped:
            worker.trial, self._was_cut_short = None, True

    def _count(self, worker: _Worker, summary: SweepSummary) -> None:
        assert worker.trial is not None
        grid = TrialGrid([[worker.trial]])
        self._summary.add(summary)
        if summary.num_failed:
            self._observer.failed(grid, LoptError(summary.failures[0]))
        elif summary.num_skipped:
            self._observer.found([worker.trial])
        else:
            self._observer.finished(grid, summary.num_diverged)

    def _lose(self, worker: _Worker) -> None:
        """Count the trial of a process that ended as failed, and begin another."""
        worker.process.join()
        text = (
            f"a process that trained {_name(worker.trial)} ended with exit code "
            f"{worker.process.exitcode}, for want of memory perhaps"
        )
        failed = SweepSummary(num_trials=1, num_failed=1, failures=[text])
        self._count(worker, failed)
        self._workers.remove(worker)
        if self._left and not self._stop.is_set():
            self._begin_worker()

    def _report(self) -> None:
        """Tell the observer how far all running trials are together."""
        running = [
            (w.trial, w.answer.progress)
            for w in self._workers
            if w.trial and w.answer and w.answer.progress
        ]
        if not running:
            return
        progress = [one for _, one in running]
        done = sum(p.updates_done for p in progress)
        rate = sum(p.updates_done / max(p.run_seconds, 1e-9) for p in progress)
        together = Progress(
            updates_done=done,
            num_updates=sum(p.num_updates for p in progress),
            num_trials=1,
            num_devices=len(running),
            num_diverged=sum(p.num_diverged for p in progress),
            run_seconds=done / max(rate, 1e-9),
            compile_seconds=max(p.compile_seconds for p in progress),
            strategy=progress[0].strategy,
        )
        self._observer.progressed(TrialGrid([[running[0][0]]]), together)

    def _end_workers(self) -> None:
        self._stop.set()
        until = time.monotonic() + _SECONDS_TO_STOP
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.terminate()


def _name(trial: Trial | None) -> str:
    assert trial is not None
    return f"{trial.opt_name} on {trial.task_name}, seed {trial.seed},"


@contextmanager
def _environment_of_one_core() -> Iterator[None]:
    """Let processes that are started within the block use one core each."""
    one_core = dict.fromkeys(
        ("JAX_NUM_CPU_DEVICES", "NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    changed = one_core | numerics.environment()
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
