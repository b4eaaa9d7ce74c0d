"""Runs in a folder: stopped, killed, and gone on with."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.baselines.results.format import read_result
from learned_optimization.errors import LoptError, RunStoppedError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.normalized_step import NormalizedStepLOpt
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.outer_trainers import held_out
from learned_optimization.outer_trainers import run as run_module
from learned_optimization.outer_trainers.held_out import TunedAdam
from learned_optimization.outer_trainers.recipe import Recipe
from learned_optimization.outer_trainers.run import HeldOut, MetaProgress, MetaRun
from learned_optimization.tasks.base import single_task_to_family
from tests.tiny import TinyTask

LOPT = NormalizedStepLOpt(hidden_size=2)
RECIPE = Recipe(num_steps=6, min_length=3, max_length=9, truncation=4, num_tasks=2)


def run_in(folder: Path, **settings: Any) -> MetaRun:
    program = RECIPE.program(LOPT, [single_task_to_family(TinyTask())])
    return MetaRun(program, HeldOut(()), str(folder), "a run", **settings)


@pytest.mark.slow
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = run_in(tmp_path / "whole").run()
    told: list[MetaProgress] = []
    with pytest.raises(RunStoppedError, match="meta-step"):
        run_in(tmp_path / "parts").run(told.append, lambda: told[-1].done >= 2)
    assert 0 < told[-1].done < 6
    # What is there so far can be used.
    so_far = checkpoints.read(str(tmp_path / "parts" / "params"))
    assert so_far.step == told[-1].done
    parts = run_in(tmp_path / "parts").run()
    for a, b in zip(*map(_arrays, (whole, parts)), strict=True):
        np.testing.assert_array_equal(a, b)
    files = [(tmp_path / name / "params").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]
    curves = [
        read_result(str(tmp_path / n / "meta.curves"), ["train/loss"], True)
        for n in ("whole", "parts")
    ]
    np.testing.assert_array_equal(curves[0]["train/loss"], curves[1]["train/loss"])
    assert not (tmp_path / "parts" / "checkpoint.npz").exists()
    opt = opt_from_checkpoint(str(tmp_path / "whole" / "params"))
    assert opt.name.startswith("NormalizedStepLOpt_hidden_size2")


def _arrays(theta: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(theta)]


@pytest.mark.slow
def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    told: list[MetaProgress] = []
    with pytest.raises(RunStoppedError):
        run_in(tmp_path).run(told.append, lambda: True)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    other = run_in(tmp_path)
    other.identity = "another run"
    with pytest.raises(LoptError, match="another run"):
        other.run()
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    run_in(tmp_path).run()
    with pytest.raises(LoptError, match="has ended"):
        run_in(tmp_path).run()


KILLED = """
import sys
from pathlib import Path
from learned_optimization.outer_trainers import run
from tests.outer_trainers.test_run import run_in
run._SECONDS_BETWEEN_CHECKPOINTS = 0.0
def told(progress):
    print(progress.done, flush=True)
    if progress.done >= 2:
        import time
        time.sleep(1000)
run_in(Path(sys.argv[1])).run(told)
"""


@pytest.mark.exhaustive
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = run_in(tmp_path / "whole").run()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 2:
                break
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoint.npz").exists()
    again = run_in(tmp_path / "killed").run()
    for a, b in zip(*map(_arrays, (whole, again)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_stop_while_adam_is_tuned_keeps_what_is_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned: list[str] = []

    def tune_adam(name: str, *args: Any, **kwargs: Any) -> TunedAdam:
        tuned.append(name)
        return TunedAdam(0.1, [1.0], [1.0])

    monkeypatch.setattr(held_out, "tune_adam", tune_adam)
    monkeypatch.setattr(held_out, "score", lambda *args: {"a": 0.0, "b": 0.0})
    begun = run_in(tmp_path)
    begun.held_out = HeldOut(("a", "b"), every=RECIPE.num_steps)
    with pytest.raises(RunStoppedError, match="before Adam was tuned on b"):
        begun.run(should_stop=lambda: bool(tuned))
    assert tuned == ["a"]
    again = run_in(tmp_path)
    again.held_out = begun.held_out
    again.run()
    assert tuned == ["a", "b"]
    assert (tmp_path / "params").exists()


def test_the_configuration_names_class_and_settings() -> None:
    text = run_module.config_text(LOPT)
    assert text.startswith("run_train.lopt = @NormalizedStepLOpt()\n")
    assert "NormalizedStepLOpt.hidden_size = 2\n" in text


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"estimator": "pse"}, "pes"),
        ({"meta_loss": "logs"}, "log"),
        ({"max_length": 10}, "max_length"),
        ({"std": 0.0}, "std"),
        ({"reparametrize": 0.5}, "reparametrize"),
        ({"lateness": -1.0}, "lateness must be a number of at least 0, got -1.0"),
        ({"lateness": np.nan}, "lateness"),
        ({"lateness": 1.0, "estimator": "full_es"}, "leave out lateness, got 1.0"),
        ({"truncation": 0}, "truncation"),
        ({"max_length": 1 << 31}, "max_length must be at most"),
        ({"at_once": 0}, "at_once"),
        ({"estimator": "full_grad"}, "one length: .* got 200 and 2000"),
        ({"learning_rate": np.inf}, "learning_rate"),
        ({"reparametrize": np.nan}, "reparametrize"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Any, what: str) -> None:
    with pytest.raises(LoptError, match=what):
        Recipe(**settings)
