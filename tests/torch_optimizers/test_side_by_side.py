"""Sweeps of optimizers of PyTorch: a trial for each process, one for each device."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from learned_optimization.baselines import load_archive
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sweeps.missing import missing_trials
from learned_optimization.baselines.sweeps.observing import SilentObserver
from learned_optimization.baselines.sweeps.running import SweepRun
from learned_optimization.baselines.sweeps.side_by_side import num_processes
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials
from learned_optimization.eval_training import RunStoppedError
from learned_optimization.torch_optimizers import torch_optimizer

pytestmark = pytest.mark.slow
TASK = "ImageMLP_FashionMnist8_Relu32"
SET = """\
imports: [own_torch.py]
name: Own_{num_steps}_R2
optimizer: OwnDescent
num_steps: {num_steps}
seeds: 2
eval_every: 50
space:
  learning_rate: [0.01, 0.1]
"""
OPTIMIZER = """\
import torch

from learned_optimization.torch_optimizers import torch_optimizer

OwnDescent = torch_optimizer(
    lambda params, learning_rate=0.1: torch.optim.SGD(params, lr=learning_rate),
    name="OwnDescent",
)
"""


def own_set(folder, num_steps: int):
    (folder / "own_torch.py").write_text(OPTIMIZER)
    path = folder / "own.yaml"
    path.write_text(SET.format(num_steps=num_steps))
    [made] = load_user_file(path)
    return made


class Counting(SilentObserver):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.started_with = self.progressed_to = self.num_finished = 0
        self.failures: list[str] = []

    def started(self, num_trials: int, num_done: int, total_updates: int) -> None:
        self.started_with = num_trials, num_done, total_updates

    def progressed(self, grid, progress) -> None:
        self.progressed_to = max(self.progressed_to, progress.updates_done)

    def finished(self, grid, num_diverged: int) -> None:
        self.num_finished += 1

    def failed(self, grid, error: Exception) -> None:
        self.failures.append(str(error))


def test_trials_of_a_sweep_are_those_of_one_process(torch, tmp_path, monkeypatch):
    made = own_set(tmp_path, num_steps=100)
    trials = set_trials(TASK, made)
    assert num_processes(trials) == 2
    observer = Counting()
    summary = run_sweep([TASK], [made], observer)
    assert (summary.num_trials, summary.num_skipped, summary.num_failed) == (4, 0, 0)
    assert observer.started_with == (4, 0, 4 * 101)
    assert observer.num_finished == 4
    assert 101 < observer.progressed_to <= 2 * 101
    archiving.archive(TASK, made)
    side_by_side = load_archive(TASK, made.name)
    assert side_by_side["train/loss"].shape == (2, 2, 101)
    assert f"torch=={torch.__version__.partition('+')[0]}" in str(
        side_by_side["versions"].ravel()[0]
    )
    assert run_sweep([TASK], [made]).num_skipped == 4

    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "other"))
    SweepRun(trials, SilentObserver(), lambda: False, None, float("inf")).run()
    archiving.archive(TASK, made)
    in_turn = load_archive(TASK, made.name)
    for key in ("train/loss", "eval/test/loss", "final/test/loss"):
        np.testing.assert_allclose(
            side_by_side[key], in_turn[key], rtol=1e-4, err_msg=key
        )


def test_a_sweep_that_is_stopped_goes_on(torch, tmp_path):
    made = own_set(tmp_path, num_steps=4000)
    observer = Counting()
    with pytest.raises(RunStoppedError):
        run_sweep([TASK], [made], observer, lambda: observer.progressed_to > 500)
    assert len(missing_trials(set_trials(TASK, made))[0]) == 4
    assert list((tmp_path / "baselines" / ".checkpoints").glob("*.npz"))
    again = Counting()
    summary = run_sweep([TASK], [made], again)
    assert (again.num_finished, summary.num_failed) == (4, 0)
    assert not list((tmp_path / "baselines" / ".checkpoints").glob("*.npz"))
    assert not list((tmp_path / "baselines" / ".claims").glob("*.json"))


def test_a_process_that_is_killed_takes_no_other_with_it(torch, tmp_path):
    made = own_set(tmp_path, num_steps=4000)

    class Killing(Counting):
        def progressed(self, grid, progress) -> None:
            super().progressed(grid, progress)
            if not self.num_finished and not self.failures:
                [first, *_] = multiprocessing.active_children()
                if first.pid is not None and first.is_alive():
                    os.kill(first.pid, signal.SIGKILL)

    observer = Killing()
    summary = run_sweep([TASK], [made], observer)
    assert summary.num_failed == len(observer.failures) == 1
    assert "ended with exit code -9" in observer.failures[0]
    assert observer.num_finished == 3
    assert run_sweep([TASK], [made]).num_skipped == 3


def test_what_a_script_defines_is_trained_in_its_process(torch):
    torch_optimizer(
        lambda params, learning_rate=0.1: torch.optim.SGD(params, lr=learning_rate),
        name="OfATest",
    )
    # As a notebook would have it.
    from learned_optimization.optimizers.base import get_optimizer

    get_optimizer("OfATest").__module__ = "__main__"
    made = hparam_set("OfATest_20_R2", "OfATest", num_steps=20, seeds=2)
    trials = set_trials(TASK, made)
    assert num_processes(trials) == 1
    assert run_sweep([TASK], [made]).num_skipped == 0
    named = hparam_set("Named_20_R2", "torch:torch.optim.SGD", num_steps=20, seeds=2)
    assert num_processes(set_trials(TASK, named)) == 2
