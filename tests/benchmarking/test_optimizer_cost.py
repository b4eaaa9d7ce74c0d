"""Measurements are kept where a report finds them: the newest, of this machine."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from learned_optimization.benchmarking.optimizer_cost import (
    Machine,
    OptimizerCost,
    Quartiles,
    load_costs,
    save_costs,
)

COST = OptimizerCost(
    name="Adam",
    setting="Adam_lr0.01",
    task="Task",
    needs=("key", "loss_fn"),
    num_params=100,
    dtype="float32",
    state_bytes=804,
    state_floats=200,
    temporary_bytes=132,
    update_flops=1000.0,
    update_seconds=Quartiles(1e-6, 2e-6, 4e-6),
    update_ratio=Quartiles(1.0, 2.0, 3.0),
    gradient_seconds=Quartiles(5e-6, 6e-6, 7e-6),
    sgd_seconds=Quartiles(0.5e-6, 1e-6, 2e-6),
    step_ratio=Quartiles(1.0, 1.1, 1.2),
    repetitions=7,
    num_steps=100,
    peak_flops_per_second=1e11,
    machine=Machine("cpu cpu", 2, "here", "0.10"),
    measured="2026-01-02T03:04:05+00:00",
)


def of_here(**changes) -> OptimizerCost:
    return dataclasses.replace(COST, machine=Machine.here(), **changes)


def files() -> list[Path]:
    return sorted(Path(os.environ["LOPT_CACHE_DIR"]).glob("optimizer_costs/*"))


def test_what_is_saved_is_loaded() -> None:
    assert load_costs() == []
    costs = [
        of_here(),
        of_here(name="SGD", needs=(), temporary_bytes=None, update_flops=None),
        of_here(task="Other"),
    ]
    save_costs(costs)
    assert load_costs() == [costs[2], costs[0], costs[1]]
    assert load_costs("Other") == [costs[2]]
    assert load_costs("None") == []


def test_the_newest_counts() -> None:
    save_costs([of_here(setting="Adam_lr0.1"), of_here(setting="Adam_lr0.2")])
    assert len(files()) == 1
    assert [cost.setting for cost in load_costs()] == ["Adam_lr0.2"]
    later = of_here(num_params=7, measured="2027-01-01T00:00:00+00:00")
    save_costs([later, of_here(num_params=8)])
    assert load_costs() == [later]


def test_another_machine_is_asked_for_by_name() -> None:
    save_costs([COST, of_here()])
    assert load_costs() == [of_here()]
    assert load_costs(machine=COST.machine) == [COST]


@pytest.mark.parametrize(
    "change",
    [
        {"task": 3},
        {"num_params": "many"},
        {"update_seconds": [1.0, 2.0]},
        {"update_ratio": [1.0, 2.0, float("nan")]},
        {"machine": {"device": "cpu"}},
        {"needs": 5},
        {"state_bytes": None},
        None,
    ],
)
def test_a_damaged_file_is_none(change) -> None:
    save_costs([of_here()])
    [path] = files()
    stored = json.loads(path.read_text())
    path.write_text(path.read_text()[:80])
    assert load_costs() == []
    path.write_text(json.dumps([] if change is None else {**stored, **change}))
    assert load_costs() == []
    path.write_text(json.dumps(stored))
    assert load_costs() == [of_here()]


def test_figures_that_follow() -> None:
    assert COST.bytes_per_parameter == 8.04
    assert COST.floats_per_parameter == 2.0
    assert COST.step_seconds == pytest.approx(8e-6)
    assert COST.update_share == pytest.approx(0.25)
    # 1,000 operations in 2 microseconds, of 1e11 a second.
    assert COST.share_of_peak == pytest.approx(0.005)
    assert dataclasses.replace(COST, update_flops=None).share_of_peak is None
    assert COST.is_difference
    as_json = json.loads(json.dumps(COST.as_json()))
    assert as_json["update_seconds"] == [1e-6, 2e-6, 4e-6]
    assert as_json["step_seconds"] == COST.step_seconds


def test_nothing_measured_starts_no_backend(monkeypatch) -> None:
    def started() -> Machine:
        raise AssertionError("jax's backend was asked for")

    save_costs([of_here()])
    monkeypatch.setattr(Machine, "here", started)
    assert load_costs("Other") == []
    with pytest.raises(AssertionError, match="asked for"):
        load_costs("Task")
