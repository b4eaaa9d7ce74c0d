"""Sweeps that share a folder train each trial once between them."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.results import claims
from learned_optimization.baselines.results.claims import Claims, OwnClaim
from learned_optimization.baselines.sweeps import running
from learned_optimization.baselines.sweeps.checkpoints import checkpoint_of, grids_of
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.inner_training import (
    inner_train_task,
    make_trial,
)
from learned_optimization.baselines.sweeps.observing import SilentObserver
from learned_optimization.baselines.sweeps.sweep import (
    run_sweep,
    run_trials,
    set_trials,
    sweep_trials,
)
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import RunStoppedError
from learned_optimization.npz import write_npz
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


def test_who_is_stopped_while_it_waits_to_write_has_kept_its_curves(
    trainer, small_set, monkeypatch
):
    stops, real = [], TrialGrid.run

    def run(grid, *args, **kwargs):
        trained = real(grid, *args, **kwargs)
        # Another machine took the grid over, and trains it still.
        [path] = Path(utils.get_root_baseline_dir(), ".claims").iterdir()
        content = json.loads(path.read_text()) | {"host": "other", "machine": "m"}
        path.unlink()
        path.with_name("other.json").write_text(json.dumps(content))
        stops.append(path.with_name("other.json"))
        return trained

    with monkeypatch.context() as patch:
        patch.setattr(TrialGrid, "run", run)
        with pytest.raises(RunStoppedError, match="waiting for"):
            run_sweep([TASK], [small_set], should_stop=lambda: bool(stops))
    stops[0].unlink()
    assert run_sweep([TASK], [small_set]).num_skipped == 9
    assert len(trainer.trained) == 1
    assert len(results()) == 9
    assert leftovers() == []


@pytest.mark.parametrize("goes", ["while it starts", "for good"])
def test_a_result_that_goes_from_the_grid_of_a_checkpoint(
    goes, trainer, small_set, monkeypatch
):
    [grid] = make_grids(set_trials(TASK, small_set))
    checkpoint = checkpoint_of(grid, lambda: False)
    content = {"identity": checkpoint.identity, "version": 2, "generation": 1}
    write_npz(checkpoint.path, {k: np.asarray(v) for k, v in content.items()})
    first, second, *_ = write_set(small_set)
    os.remove(first)
    if goes == "for good":
        Path(second).write_bytes(b"damaged")
    real, calls = Claims.take, []

    def take(self, places):
        calls.append(places)
        assert len(calls) < 20, "it goes round and round"
        if goes == "while it starts" and len(calls) == 1:
            os.remove(second)
        return real(self, places)

    monkeypatch.setattr(Claims, "take", take)
    summary = run_sweep([TASK], [small_set])
    assert (summary.num_skipped, summary.num_failed) == (7, 0)
    assert [len(trials) for trials in trainer.trained] == [9]


def test_what_failed_may_succeed_in_the_grid_of_a_checkpoint(
    trainer, small_set, monkeypatch
):
    # Another sweep has the last three trials, and the others fail without them.
    trials = set_trials(TASK, small_set)
    [grid] = make_grids(trials)
    claim, real = claim_of(trials[-3:]), TrialGrid.run

    def run(part, *args, **kwargs):
        if not trainer.trained and len(part.trials) == 6:
            raise ValueError("no such luck")
        return real(part, *args, **kwargs)

    def taken_over():
        checkpoint = checkpoint_of(grid, lambda: False)
        content = {"identity": checkpoint.identity, "version": 2, "generation": 1}
        write_npz(checkpoint.path, {k: np.asarray(v) for k, v in content.items()})
        claim.release()

    monkeypatch.setattr(TrialGrid, "run", run)
    monkeypatch.setattr(
        running,
        "grids_of",
        lambda left, among: (
            make_grids(trials[:6]) + make_grids(trials[6:])
            if len(left) == 9
            else grids_of(left, among)
        ),
    )
    summary = run_trials(trials, Witness(taken_over))
    assert len(summary.failures) == 1
    assert (summary.num_skipped, summary.num_failed) == (0, 0)
    assert [len(trials) for trials in trainer.trained] == [9]
    assert len(results()) == 9


def test_every_round_that_does_nothing_waits(trainer, small_set, monkeypatch):
    # Another claims the trials whenever they are asked for, and is gone when looked at.
    pauses, real = [], Claims.take

    def take(self, places):
        return real(self, places) if len(pauses) == 3 else None

    monkeypatch.setattr(Claims, "take", take)
    monkeypatch.setattr(running.SweepRun, "_pause", lambda _, what: pauses.append(what))
    assert run_sweep([TASK], [small_set]).num_skipped == 0
    assert len(pauses) == 3


def test_a_grid_looks_at_the_folders_it_needs(trainer, monkeypatch):
    trials = [
        make_trial(TinyTask(), "SGD", 20 + i, seed=0, task_name=TASK) for i in range(20)
    ]
    calls, real = [], Trial.save_dir.fget
    assert real is not None
    monkeypatch.setattr(
        Trial, "save_dir", property(lambda self: calls.append(self) or real(self))
    )
    run_trials(trials)
    assert len(trainer.trained) == 20
    # A few for each trial, however many others there are.
    assert len(calls) < 20 * 20


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
