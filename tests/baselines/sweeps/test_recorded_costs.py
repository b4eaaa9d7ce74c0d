"""What grids took is kept, scaled to others, and never in the way."""

import dataclasses
import json
import warnings
from pathlib import Path

import pytest

from learned_optimization import cache
from learned_optimization.baselines.sweeps import recorded_costs
from learned_optimization.baselines.sweeps.estimate import missing_work
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.recorded_costs import (
    RecordedCost,
    kind_of,
    load_costs,
    nearest,
    save_cost,
)
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.cache import CacheWarning, cache_dir
from learned_optimization.training.results import Measurement, Progress
from learned_optimization.training.strategy import Strategy
from tests.baselines.sweeps.faulty import Trainer
from tests.cli.running import TASK
from tests.tiny import tiny_set

MEASURED = Measurement(
    Strategy(1),
    seconds_per_block=4.5,
    trial_steps_per_block=90,
    seconds_at_end=3.0,
    compile_seconds=2.0,
)
COST = RecordedCost(
    seconds_per_pass=0.01,
    seconds_at_end=0.5,
    compile_seconds=2.0,
    trials_per_device=6,
    eval_every=10,
    eval_batches=5,
    last_eval_batches=10,
)


def grid_of(hparam_set, task=TASK) -> TrialGrid:
    [row] = missing_work([task], [hparam_set])
    [grid] = row.grids
    return grid


@pytest.fixture
def grid(small_set) -> TrialGrid:
    return grid_of(small_set)


def files() -> list[Path]:
    return sorted(cache_dir().glob("costs/*/*.json"))


def test_a_measurement_by_hand(grid):
    cost = RecordedCost.of_measurement(grid, MEASURED)
    # Three configurations of three seeds on two devices: six trials on one of them. A
    # block has 10 updates of three passes, and 3 x 5 batches.
    assert cost.trials_per_device == 6
    assert cost.seconds_per_pass == pytest.approx(4.5 / 45 / 6)
    # 21 updates, and 3 x (5 + 5 + 10) batches.
    assert cost.run_seconds(grid) == pytest.approx(4.5 / 45 * (63 + 60) + 3.0)
    assert cost.compile_seconds == 2.0


def test_a_run_takes_what_it_took(grid):
    cost = RecordedCost.of_run(grid, 20.0, 23.0, compile_seconds=2.0)
    assert cost.run_seconds(grid) == pytest.approx(23.0)
    assert cost.seconds_at_end == pytest.approx(3.0 / 6)
    # Clocks that disagree make no time negative.
    assert RecordedCost.of_run(grid, 20.0, 19.0, 0.0).seconds_at_end == 0


def test_a_longer_run_with_more_trials_is_scaled(grid):
    longer = dataclasses.replace(tiny_set("longer"), num_steps=40, repetitions=6)
    cost = RecordedCost.of_measurement(grid, MEASURED)
    # 41 updates, and 3 x (4 x 5 + 10) batches. Seeds are split now: nine
    # trials, not six, are on one device.
    expected = 9 / 6 * (4.5 / 45 * (3 * 41 + 90) + 3.0)
    assert kind_of(grid_of(longer)) == kind_of(grid)
    assert cost.run_seconds(grid_of(longer)) == pytest.approx(expected)


def test_the_nearest_counts(grid):
    like = dataclasses.replace(COST, trials_per_device=8)
    larger = dataclasses.replace(COST, trials_per_device=64)
    other_plan = dataclasses.replace(COST, eval_every=20)
    assert nearest([larger, other_plan, like], grid) == like
    assert nearest([other_plan, larger], grid) == larger


def test_what_is_saved_is_loaded_and_replaced(grid):
    kind = kind_of(grid)
    assert load_costs(kind) == []
    save_cost(kind, dataclasses.replace(COST, compile_seconds=9.0))
    save_cost(kind, COST)
    assert load_costs(kind) == [COST]
    other = dataclasses.replace(COST, trials_per_device=9)
    save_cost(kind, other)
    assert load_costs(kind) == [other, COST]
    assert load_costs("another kind") == []


def test_what_a_kind_depends_on(grid, monkeypatch):
    kind = kind_of(grid)
    assert kind_of(grid_of(tiny_set("again"))) == kind
    assert kind_of(grid_of(tiny_set("other", "RMSProp"))) != kind
    assert (
        kind_of(grid_of(tiny_set("again"), "ImageMLP_FashionMnist8_64x64_Relu_MSE"))
        != kind
    )
    monkeypatch.setattr(recorded_costs, "versions", lambda: ["jax==0"])
    assert kind_of(grid) != kind


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: b"[]",
        lambda text: b"\xff" * 100,
        lambda text: b"[" * 100_000,
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"0.01", b"0.02"),
        lambda text: text.replace(b"0.01", b'"a"'),
        lambda text: text.replace(b'"digest"', b'"digits"'),
    ],
)
def test_a_damaged_file_is_none(damage, grid):
    kind = kind_of(grid)
    save_cost(kind, COST)
    [path] = files()
    path.write_bytes(damage(path.read_bytes()))
    assert load_costs(kind) == []
    save_cost(kind, COST)
    assert load_costs(kind) == [COST]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds_per_pass": -1.0},
        {"compile_seconds": float("nan")},
        {"seconds_at_end": True},
        {"trials_per_device": 0},
        {"eval_every": 1.5},
    ],
)
def test_impossible_numbers_are_none(wrong, grid):
    kind = kind_of(grid)
    save_cost(kind, COST)
    [path] = files()
    content = {**json.loads(path.read_text()), **wrong}
    del content["digest"]
    digest = recorded_costs._digest(content)
    path.write_text(json.dumps(content | {"digest": digest}))
    assert load_costs(kind) == []


def test_where_nothing_can_be_kept_that_is_said_once(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("LOPT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("")
    cache._said.clear()
    with pytest.warns(CacheWarning, match="recorded costs cannot be kept"):
        save_cost(kind_of(grid), COST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_cost(kind_of(grid), COST)
    assert load_costs(kind_of(grid)) == []


@pytest.mark.slow
def test_a_sweep_is_recorded(small_set, grid):
    summary = run_sweep([TASK], [small_set])
    [cost] = load_costs(kind_of(grid))
    assert cost.run_seconds(grid) == pytest.approx(summary.run_seconds)
    assert cost.compile_seconds == pytest.approx(summary.compile_seconds)
    assert cost.seconds_at_end > 0


@pytest.mark.parametrize("done", [None, 11, 21])
def test_only_a_run_that_was_seen_to_its_end_is_recorded(done, small_set, monkeypatch):
    def run(grid, on_progress, *args, **options):
        if done is not None:
            on_progress(Progress(done, 21, 9, 2, 0, 0.75, 1.0, Strategy(1)))
        return Trainer().run(grid)

    monkeypatch.setattr(TrialGrid, "run", run)
    grid = grid_of(small_set)
    run_sweep([TASK], [small_set])
    costs = load_costs(kind_of(grid))
    assert [cost.run_seconds(grid) for cost in costs] == pytest.approx(
        [1.0] * (done == 21)
    )
    assert [cost.seconds_at_end for cost in costs] == [0.25 / 6] * (done == 21)


def test_no_sweep_ends_for_a_record(small_set, monkeypatch):
    def fails(*args):
        raise RuntimeError("no record")

    def run(grid, on_progress, *args, **options):
        on_progress(Progress(21, 21, 9, 2, 0, 1.0, 1.0, Strategy(1)))
        return Trainer().run(grid)

    monkeypatch.setattr(recorded_costs, "kind_of", fails)
    monkeypatch.setattr(TrialGrid, "run", run)
    summary = run_sweep([TASK], [small_set])
    assert (summary.num_failed, summary.num_skipped) == (0, 0)
    assert not files()
