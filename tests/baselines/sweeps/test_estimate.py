"""Estimates against arithmetic by hand, and against what was then run."""

import pytest

from learned_optimization.baselines.sweeps.estimate import (
    Estimate,
    missing_work,
    total,
    trial_flops,
)
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials
from learned_optimization.eval_training import RunPlan
from tests.baselines.sweeps.test_sweep_and_archive import curve_files
from tests.cli.running import TASK


def test_arithmetic_by_hand(small_set):
    [row] = missing_work([TASK], [small_set])
    forward = 2 * 128 * (64 * 32 + 32 * 10)
    step = 2 * forward + 2 * 128 * 32 * 10
    # 21 updates, evaluated before updates 0, 10 and, with ten batches, 20.
    trial = 21 * step + 3 * (5 + 5 + 10) * forward
    found = row.estimate
    assert found.flops == sum(row.grid_flops) == 9 * trial
    assert found.trial_steps == 9 * 21
    assert (found.num_trials, found.num_missing) == (9, 9)
    assert found.seconds is None
    task = set_trials(TASK, small_set)[0].task
    assert trial_flops(task, RunPlan(20)) == trial


@pytest.mark.slow
def test_what_has_results_costs_nothing(small_set):
    [before] = missing_work([TASK], [small_set])
    run_sweep([TASK], [small_set])
    size = sum(path.stat().st_size for path in curve_files())
    assert before.estimate.result_bytes == pytest.approx(size, rel=0.3)
    [row] = missing_work([TASK], [small_set])
    assert (row.estimate.num_trials, row.estimate.num_missing) == (9, 0)
    assert row.estimate.flops == row.estimate.result_bytes == 0
    assert not row.grids


def test_a_total_has_the_seconds_that_are_known():
    rows = [
        Estimate("T", "A", 2, 1, 10, 3.0, 7.0, seconds=2.0),
        Estimate("T", "B", 2, 2, 20, 4.0, 8.0, seconds=3.0, is_rough=True),
        Estimate("U", "A", 2, 2, 30, 5.0, 9.0),
    ]
    assert total(rows) == Estimate("all", "", 6, 5, 60, 12.0, 24.0, 5.0, True)
    assert total(rows[:1]).is_rough is False
    assert total(rows[2:]).seconds is None
