"""What becomes of trials is kept as data, and never taken for a result."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.results import run_notes
from learned_optimization.baselines.results.claims import Claims, OwnClaim
from learned_optimization.baselines.results.run_notes import noted
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sweeps import finished
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.baselines.sweeps.observing import SilentObserver
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.errors import ResultError, RunStoppedError
from tests.baselines.files import TASK
from tests.tiny import TinyTask, tiny_set

PLACES = [("T/SGD/20_10_5_10", 0), ("T/SGD/20_10_5_10", 1)]


def places():
    root = utils.get_root_baseline_dir()
    return [(f"{root}/{folder}", seed) for folder, seed in PLACES]


@pytest.mark.parametrize(
    ("error", "late", "status"),
    [
        (RunStoppedError("stopped after 5 updates"), False, "interrupted"),
        (RunStoppedError("stopped after 5 updates"), True, "timed out"),
        (KeyboardInterrupt(), False, "interrupted"),
        (FloatingPointError("a bug"), False, "failed"),
        (FloatingPointError("a bug"), True, "failed"),
    ],
)
def test_each_end_is_noted(error, late, status):
    with pytest.raises(type(error)), noted("grid", places(), lambda: late):
        raise error
    [note] = run_notes.read_all()
    assert (note.name, note.status) == ("grid", status)
    assert note.trials == frozenset(PLACES)
    assert str(error) in note.reason
    assert abs(note.at - time.time()) < 60
    if status == "failed":
        # The exception as text, with where it came from.
        assert "FloatingPointError: a bug" in note.reason
        assert __file__ in note.reason
    # The next success leaves nothing.
    with noted("grid", places()):
        pass
    assert run_notes.read_all() == []


def test_who_runs_trials_is_told_from_who_was_killed():
    claim = Claims().take(places())
    assert isinstance(claim, OwnClaim)
    with claim:
        [running] = run_notes.read_all()
        assert (running.status, running.trials) == ("running", frozenset(PLACES))
        assert running.reason == f"process {os.getpid()} on {socket.gethostname()}"
    assert run_notes.read_all() == []


TRIALS = '"trials": [["T/SGD/20_10_5_10", 0]]'
ODD_NOTES = [
    b"",
    b"[]",
    b"{}",
    b'{"status": "done"}',
    b"nonsense",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"status": ' * 50_000,
    f'{{"status": "failed", "reason": "", "at": 1e999, {TRIALS}}}'.encode(),
    f'{{"status": "failed", "reason": "", "at": NaN, {TRIALS}}}'.encode(),
    f'{{"status": "failed", "reason": "", "at": {"9" * 400}, {TRIALS}}}'.encode(),
    f'{{"status": "failed", "reason": "", "at": {"9" * 9999}, {TRIALS}}}'.encode(),
    f'{{"status": "failed", "status": "failed", {TRIALS}}}'.encode(),
    b'{"status": "failed", "reason": "", "at": 1, "trials": [["T", 1e999]]}',
    b'{"status": "failed", "reason": "", "at": 1, "trials": [["T"]]}',
    b'{"status": "failed", "reason": "", "at": 1, "trials": 3}',
    b'{"status": ["failed"], "reason": "", "at": 1, "trials": []}',
]


def test_damaged_notes_are_named_and_the_others_read():
    with pytest.raises(RunStoppedError), noted("grid", places()):
        raise RunStoppedError
    folder = Path(utils.get_root_baseline_dir(), ".endings")
    for i, content in enumerate(ODD_NOTES):
        (folder / f"{i}.json").write_bytes(content)
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "circle.json").symlink_to("circle.json")
    with open(folder / "huge.json", "wb") as file:
        file.truncate(1 << 40)
    assert [e.name for e in run_notes.read_all()] == ["grid"]
    damaged = {Path(error.path).name: error for error in run_notes.damaged()}
    odd = [*map(str, range(len(ODD_NOTES))), "pipe", "circle", "huge"]
    assert damaged.keys() == {f"{name}.json" for name in odd}
    assert all(error.problem for error in damaged.values())
    assert "it is a named pipe" in str(damaged["pipe.json"])
    with pytest.warns(UserWarning, match=f"{len(odd)} notes on trials .* are bad"):
        assert status(["T"], []) == []


def test_what_earlier_versions_noted_as_running_was_interrupted():
    with pytest.raises(RunStoppedError), noted("grid", places()):
        raise RunStoppedError
    path = Path(utils.get_root_baseline_dir(), ".endings", "grid.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "running"}))
    assert run_notes.read_all()[0].status == "interrupted"


def test_a_full_disk_does_not_hide_what_happened(monkeypatch):
    def fail(path, write):
        raise ResultError("disk full")

    def train():
        monkeypatch.setattr(filesystem, "write_whole", fail)
        raise FloatingPointError

    with pytest.raises(FloatingPointError), noted("grid", places()):
        train()


class Recorder(SilentObserver):
    def __init__(self):
        self.failures = []

    def failed(self, grid, error):
        self.failures.append((len(grid.trials), str(error)))


@pytest.mark.slow
def test_a_grid_that_fails_does_not_stop_the_others(small_set, monkeypatch):
    real = TrialGrid.run

    def run(self, *args, **kwargs):
        if "Adam" in self.trials[0].opt_name:
            raise FloatingPointError("a bug of Adam")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(TrialGrid, "run", run)
    adam, recorder = tiny_set("TinyAdam_20_R3", optimizer="Adam"), Recorder()
    summary = run_sweep([TASK], [adam, small_set], recorder)
    assert (summary.num_trials, summary.num_failed) == (18, 9)
    assert summary.failures == ["Adam: FloatingPointError: a bug of Adam"]
    assert recorder.failures == [(9, "a bug of Adam")]
    [note] = run_notes.read_all()
    assert (note.status, len(note.trials)) == ("failed", 9)
    # It is tried again, and the note goes with its success.
    monkeypatch.setattr(TrialGrid, "run", real)
    again = run_sweep([TASK], [adam, small_set])
    assert (again.num_skipped, again.num_failed) == (9, 0)
    assert run_notes.read_all() == []


def test_the_time_limit_saves_and_stops(small_set):
    with pytest.raises(RunStoppedError):
        run_sweep([TASK], [small_set], deadline=time.monotonic())
    [note] = run_notes.read_all()
    assert note.status == "timed out"
    assert "stopped after" in note.reason
    assert run_sweep([TASK], [small_set]).num_skipped == 0
    assert run_notes.read_all() == []


def test_results_that_cannot_be_written_stop_a_sweep(small_set, monkeypatch):
    def fail(result):
        raise ResultError("cannot write: No space left on device.")

    monkeypatch.setattr(finished, "write_baseline_result", fail)
    with pytest.raises(ResultError, match="No space left"):
        run_sweep([TASK], [small_set])
    assert run_notes.read_all()[0].status == "failed"


def test_single_trials_are_noted_too(monkeypatch):
    def fail(self):
        raise FloatingPointError("a bug")

    real = TrialGrid.run
    monkeypatch.setattr(TrialGrid, "run", fail)
    with pytest.raises(FloatingPointError):
        inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)
    [note] = run_notes.read_all()
    [(folder, seed)] = note.trials
    assert (note.status, seed) == ("failed", 0)
    assert folder.startswith(f"{TASK}/SGD_lr0.01/20_")
    monkeypatch.setattr(TrialGrid, "run", real)
    inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)
    assert run_notes.read_all() == []
    assert os.listdir(Path(utils.get_root_baseline_dir(), folder))
