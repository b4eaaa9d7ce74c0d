"""`lopt compare`: the verdict on the terminal."""

import json
import os
import re

import numpy as np
import pytest

from learned_optimization.benchmarking.optimizer_cost import save_costs
from learned_optimization.cli.jax_variables import leave_memory_to_others
from tests.baselines.archives import write_archive, write_three
from tests.baselines.costs import cost_of
from tests.cli.running import TASK, lopt_here

SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]
OTHER = f"{TASK[:-2]}128"


def test_tables_and_verdict():
    write_three(TASK)
    write_three(OTHER)
    done = lopt_here("compare", SETS[0], TASK, *SETS[1:], OTHER)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert "over 2 tasks" in out
    assert "above the best" in out
    assert "may be best" in out
    assert out.count(" out ") >= 6
    assert "note: Final losses are of the last evaluation" in out
    verdict = out.index("Over 2 tasks SGDMLR_1000_R5 comes first")
    assert verdict > out.index("note: ")
    assert "No other set may be the best" in out


def test_json_is_that_of_the_report():
    write_three(TASK)
    done = lopt_here("compare", TASK, *SETS, "--json", "--tolerance", "0.2")
    whole = json.loads(done.stdout)
    assert whole["tolerance"] == 0.2
    assert whole["overall"][0]["set"] == "SGDMLR_1000_R5"
    assert len(whole["pairs"]) == 3


def test_what_was_measured_of_a_set_is_its_cost():
    write_three(TASK)
    without = lopt_here("compare", TASK, *SETS)
    assert f"lopt bench --optimizers {TASK} {' '.join(SETS)}" in without.stdout
    assert "state/param" not in without.stdout
    save_costs([cost_of(TASK, SETS[1], step_ratio=1.25, state_bytes=403)])
    out = lopt_here("compare", TASK, *SETS).stdout
    title = f"cost on {TASK}, one trial alone on this machine"
    rows = re.split("[│|\n]", out[out.index(title) :])
    cells = [cell.strip() for cell in rows]
    assert "1.25" in cells
    assert "4.03 B" in cells
    assert cells.count("-") == 6


def test_an_accelerator_keeps_its_memory(monkeypatch):
    variable = "XLA_PYTHON_CLIENT_PREALLOCATE"
    monkeypatch.setenv(variable, "true")
    leave_memory_to_others()
    assert os.environ[variable] == "true"
    monkeypatch.delenv(variable)
    leave_memory_to_others()
    assert os.environ[variable] == "false"
    monkeypatch.delenv(variable)


def test_tolerance_decides_what_is_equivalent(tmp_path):
    rng = np.random.default_rng(0)
    a = 0.5 + 0.05 * rng.standard_normal(20)
    for name, losses in (
        ("AdamLR_1000_R5", a),
        ("SGDLR_1000_R5", a + 0.02 * rng.standard_normal(20)),
    ):
        write_archive(TASK, name, [losses], seeds=range(20))
    common = ("compare", TASK, "AdamLR_1000_R5", "SGDLR_1000_R5")
    wide = lopt_here(*common, "--tolerance", "0.1")
    assert "equivalent within 10% of the improvement of AdamLR_1000_R5" in wide.stdout
    narrow = lopt_here(*common, "--tolerance", "0")
    assert "equivalent" not in narrow.stdout
    assert "Undecided against" in narrow.stdout
    output = ("-o", str(tmp_path / "report"))
    report = lopt_here("report", *common[1:], "--tolerance", "0.1", *output)
    assert "equivalent within 10% of the improvement of AdamLR_1000_R5" in report.stdout


@pytest.mark.parametrize("command", ["compare", "report"])
@pytest.mark.parametrize("tolerance", ["-0.1", "nan", "inf"])
def test_tolerance_is_a_share(command, tolerance, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_three(TASK)
    done = lopt_here(command, TASK, *SETS, "--tolerance", tolerance)
    assert done.returncode == 2
    assert "tolerance" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "report").exists()


def test_few_seeds():
    for name, loss in (("AdamLR_1000_R5", 0.5), ("SGDLR_1000_R5", 0.7)):
        write_archive(TASK, name, [[loss, loss + 0.01]], seeds=range(2))
    done = lopt_here("compare", TASK, "AdamLR_1000_R5", "SGDLR_1000_R5")
    assert "too few seeds" in done.stdout
    assert "Nothing is claimed: of fewer than 4 seeds" in done.stdout
    assert "may be best" not in done.stdout
