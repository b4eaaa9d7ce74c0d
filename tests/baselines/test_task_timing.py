"""Timing a task: what is measured and written; how long it takes is the machine's."""

import json
import math
from pathlib import Path

import pytest

from learned_optimization.baselines import run_time_task
from learned_optimization.baselines.task_timing import task_seconds
from learned_optimization.errors import LoptError
from learned_optimization.tasks.quadratics import QuadraticTask
from tests.tiny import StatefulTask

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow

KEYS = ["data", "unroll_1x10", "unroll_2x10", "unroll_4x10", "unroll_8x10"]


def test_every_measurement_is_a_mean_and_its_error():
    found = task_seconds(StatefulTask(), num_tasks=(1, 4), num_estimates=3)
    assert list(found) == ["data", "unroll_1x10", "unroll_4x10"]
    for seconds in found.values():
        assert seconds is not None
        mean, error = seconds
        assert 0 < mean < 10
        assert 0 <= error < math.inf


def test_a_task_without_data():
    assert task_seconds(QuadraticTask(), (1,), num_estimates=2)["data"] is None
    with pytest.raises(LoptError, match="at least 1, got 0"):
        task_seconds(QuadraticTask(), num_tasks=(0,))
    with pytest.raises(LoptError, match="at least 1, got 0"):
        task_seconds(QuadraticTask(), num_estimates=0)


def test_the_script_writes_json(tmp_path, capsys):
    code = run_time_task.main(
        [
            "--gin_bindings=run_many_eval_and_save.task = @QuadraticTask()",
            f"--gin_bindings=run_many_eval_and_save.save_dir = '{tmp_path}/new'",
        ]
    )
    assert code == 0
    [file] = tmp_path.rglob("*.json")
    assert file.parent == Path(tmp_path, "new", "cpu_cpu")
    assert capsys.readouterr().out.strip() == str(file)
    written = json.loads(file.read_text())
    assert written["task"] == "QuadraticTask"
    assert list(written["seconds"]) == KEYS
    assert run_time_task.main([]) == 2
    assert "run_many_eval_and_save.task" in capsys.readouterr().err
