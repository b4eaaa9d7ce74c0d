"""Estimates against arithmetic by hand, and against what was then run."""

import re

import pytest

from learned_optimization.baselines.sweeps.estimate import estimate, trial_flops
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials
from learned_optimization.cli.plan import _peak_flops
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import RunPlan
from learned_optimization.training.results import Measurement
from learned_optimization.training.strategy import Strategy
from tests.baselines.sweeps.test_sweep_and_archive import curve_files
from tests.cli.running import TASK, lopt, refused

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow


def test_arithmetic_by_hand(small_set):
    found = estimate(TASK, small_set, measured_seconds=0)
    forward = 2 * 128 * (64 * 32 + 32 * 10)
    step = 2 * forward + 2 * 128 * 32 * 10
    # 21 updates, evaluated before updates 0, 10 and, with ten batches, 20.
    trial = 21 * step + 3 * (5 + 5 + 10) * forward
    assert found.flops == 9 * trial
    assert found.trial_steps == 9 * 21
    assert (found.num_trials, found.num_missing) == (9, 9)
    assert found.seconds is None
    task = set_trials(TASK, small_set)[0].task
    assert trial_flops(task, RunPlan(20)) == trial


def test_what_has_results_costs_nothing(small_set):
    before = estimate(TASK, small_set, measured_seconds=0)
    run_sweep([TASK], [small_set])
    size = sum(path.stat().st_size for path in curve_files())
    assert before.result_bytes == pytest.approx(size, rel=0.3)
    found = estimate(TASK, small_set)
    assert (found.num_trials, found.num_missing) == (9, 0)
    assert found.flops == found.seconds == found.result_bytes == 0


def test_seconds_are_those_of_compiling_every_block_and_the_end(small_set, monkeypatch):
    measured = Measurement(
        Strategy(1),
        seconds_per_block=0.5,
        trial_steps_per_block=90,
        seconds_at_end=3.0,
        compile_seconds=2.0,
    )
    monkeypatch.setattr(TrialGrid, "measure", lambda *_: measured)
    # 21 updates in blocks of 10: the last block has one.
    assert estimate(TASK, small_set).seconds == pytest.approx(2.0 + 2.1 * 0.5 + 3.0)


def test_command():
    plan = lopt("plan", TASK, "AdamLR_10000_R5", "SGDLR_10000_R5", "--seconds", "0")
    assert plan.returncode == 0, plan.stderr
    rows = [line for line in plan.stdout.splitlines() if "10000_R5" in line]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    assert [c[1:5] for c in cells] == [
        [name, "70", "70", "700,070"] for name in ("AdamLR_10000_R5", "SGDLR_10000_R5")
    ]
    # 70 trials of 10,001 steps of 1.3 MFLOP and 1,001 evaluations of 9.1 MFLOP.
    assert all(float(c[5]) == pytest.approx(1.54, abs=0.01) for c in cells)


@pytest.mark.parametrize("wrong", ["h100", "h100=fast", "h100=0", "h100=5x"])
def test_devices_are_checked(wrong):
    with pytest.raises(LoptError, match=re.escape(f"h100=60000x8, got {wrong!r}")):
        _peak_flops(wrong)
    assert _peak_flops("h100=60000x8") == 480e12


def test_devices_need_a_measurement():
    message = refused(
        lopt("plan", TASK, "AdamLR_1000_R5", "--device", "a=1", "--seconds", "0")
    )
    assert "needs --seconds above 0" in message
