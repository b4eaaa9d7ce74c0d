"""Sweeps that share a folder train each trial once between them."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.results import claims
from learned_optimization.baselines.results.claims import Claims, OwnClaim
from learned_optimization.baselines.sweeps import running
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.baselines.sweeps.observing import SilentObserver
from learned_optimization.baselines.sweeps.sweep import (
    run_sweep,
    run_trials,
    set_trials,
    sweep_trials,
)
from learned_optimization.errors import RunStoppedError
from tests.baselines.files import TASK, write_set
from tests.baselines.sweeps.faulty import Trainer, leftovers, results
from tests.tiny import TinyTask, tiny_set


@pytest.fixture
def trainer(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_STOPS", 0.001)
    return trainer


class Witness(SilentObserver):
    """Does something when the sweep has to wait."""

    def __init__(self, on_waiting=lambda: None):
        self.owners, self.found_trials = [], 0
        self._on_waiting = on_waiting

    def waiting(self, owner):
        self.owners.append(owner)
        self._on_waiting()

    def found(self, trials):
        self.found_trials += len(trials)


def claim_of(trials):
    claim = Claims().take((trial.save_dir, trial.seed) for trial in trials)
    assert isinstance(claim, OwnClaim)
    return claim


def test_what_others_train_is_waited_for(trainer, small_set):
    adam = add_hparam_set(tiny_set("TinyAdam_20_R3", optimizer="Adam"))
    claim = claim_of(set_trials(TASK, small_set)[:1])

    def done():
        # The other grid was trained first.
        assert [trials[0][0] for trials in trainer.trained] == ["Adam_lr0.01"]
        write_set(small_set)
        claim.release()

    witness = Witness(done)
    summary = run_sweep([TASK], [small_set, adam], witness)
    [owner] = witness.owners
    assert f"process {os.getpid()} on" in owner
    assert f"who trains 1 trials of {TASK} since" in owner
    assert witness.found_trials == 9
    assert (summary.num_trials, summary.num_skipped) == (18, 9)
    assert len(results()) == 18
    assert len(trainer.trained) == 1
    assert leftovers() == []


def test_what_others_leave_is_taken_over(trainer, small_set):
    claim = claim_of(set_trials(TASK, small_set))
    assert run_sweep([TASK], [small_set], Witness(claim.release)).num_skipped == 0
    assert len(trainer.trained) == 1
    assert leftovers() == []


def test_so_is_what_the_dead_have_claimed(trainer, small_set, monkeypatch):
    claim = claim_of(set_trials(TASK, small_set))
    monkeypatch.setattr(claims, "EXPIRES_AFTER", 0.1)
    # It is never renewed: its owner stands still.
    assert run_sweep([TASK], [small_set], Witness()).num_skipped == 0
    assert len(results()) == 9
    claim.release()


def test_who_stood_still_does_not_write_again(trainer, small_set, monkeypatch):
    real, nested = TrialGrid.run, []

    def run(grid, *args, **kwargs):
        trained = real(grid, *args, **kwargs)
        if not nested:
            # Meanwhile another sweep takes the claim for one of the dead.
            nested.append(grid)
            [path] = Path(utils.get_root_baseline_dir(), ".claims").iterdir()
            path.unlink()
            assert run_sweep([TASK], [small_set]).num_skipped == 0
        return trained

    monkeypatch.setattr(TrialGrid, "run", run)
    assert run_sweep([TASK], [small_set]).num_skipped == 9
    assert len(results()) == 9
    assert leftovers() == []


@pytest.mark.parametrize("how", ["stop", "deadline"])
def test_a_sweep_that_waits_can_be_stopped(how, trainer, small_set):
    stops = []
    with (
        claim_of(set_trials(TASK, small_set)),
        pytest.raises(RunStoppedError, match=r"waiting for process \d+ on"),
    ):
        run_sweep(
            [TASK],
            [small_set],
            Witness(lambda: stops.append(True)),
            should_stop=lambda: how == "stop" and bool(stops),
            deadline=time.monotonic() + (0.2 if how == "deadline" else 1e9),
        )
    assert stops
    assert results() == []
    assert leftovers() == []


def test_single_trials_take_the_next_seed_that_nobody_trains(trainer, small_set):
    first = small_set.opt_names[0]
    trials = [t for t in set_trials(TASK, small_set) if t.opt_name == first]
    with claim_of(trial for trial in trials if trial.seed < 2):
        seeds = [
            int(inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)["seed"])
            for _ in range(2)
        ]
    # 0 and 1 are claimed.
    assert seeds == [2, 3]
    result = inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)
    assert int(result["seed"]) == 0
    assert leftovers() == []


def test_threads_that_run_sweeps_that_share_trials(trainer, small_set):
    """Sets of which one has a part of the other's trials."""
    few = add_hparam_set(tiny_set("Few"))
    few = type(few)(**{**few.__dict__, "repetitions": 2})
    sweeps = [sweep_trials([TASK], [s]) for s in (small_set, few, small_set, few)]
    threads = [threading.Thread(target=run_trials, args=(trials,)) for trials in sweeps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results()) == 9
    trained = [trial for trials in trainer.trained for trial in trials]
    assert len(trained) == len(set(trained)) == 9
    assert leftovers() == []


def _sweep(barrier, counts, kill_first):
    """Run the sweep of one of several processes that start at once."""
    real = TrialGrid.run

    def run(self, *args, **kwargs):
        counts.append(len(self.trials))
        if kill_first and len(counts) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *args, **kwargs)

    TrialGrid.run = run
    small = add_hparam_set(tiny_set())
    barrier.wait(timeout=60)
    run_sweep([TASK], [small])


@pytest.mark.parametrize(
    "kill_first",
    [
        pytest.param(True, marks=pytest.mark.slow),
        pytest.param(False, marks=pytest.mark.exhaustive),
    ],
)
def test_processes_that_start_at_once(kill_first):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        counts, barrier = manager.list(), manager.Barrier(3)
        processes = [
            context.Process(target=_sweep, args=(barrier, counts, kill_first))
            for _ in range(3)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        codes = sorted(process.exitcode or 0 for process in processes)
        assert codes == ([-signal.SIGKILL, 0, 0] if kill_first else [0, 0, 0])
        assert list(counts) == ([9, 9] if kill_first else [9])
    assert len(results()) == 9
    assert leftovers() == []
