"""The scripts that simulate races and verdicts, and those that train them.

The tables of the simulations are in docs/race.md.
"""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.stats.chains import TaskLosses

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def printed(script: str, *options: str) -> list[str]:
    """Return the rows of the tables that a script prints."""
    command = [sys.executable, str(BENCHMARKS / script), *options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [row for row in output.splitlines() if row.startswith("| ")]


@pytest.mark.slow
def test_races_go_on_from_a_checkpoint(tmp_path):
    kept = ["--checkpoint", str(tmp_path / "races.json"), "--sets", "2"]
    few = printed("race_simulation.py", "--races", "2", "--table", "power", *kept)
    # A head, and two curves at three distances.
    assert len(few) == 1 + 2 * 3
    assert few == printed(
        "race_simulation.py", "--races", "2", "--table", "power", *kept
    )
    tables = ["--table", "equivalence", "tasks"]
    assert len(printed("race_simulation.py", "--races", "1", *tables, *kept)) == 4 + 3


@pytest.mark.slow
def test_every_table_of_verdicts_is_printed():
    tables = ["--table", "power", "luck", "replication", "few"]
    rows = printed("verdict_simulation.py", "--simulations", "1", *tables)
    assert len(rows) == (1 + 4 * 3) + (1 + 12) + (1 + 9) + (1 + 9)


@pytest.fixture
def replication(monkeypatch):
    """The script, as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("replication")


def two_sets(shifts) -> TaskLosses:
    """Losses of 16 seeds, the second set 10 worse; each half is shifted."""
    noise = 0.1 * np.cos(np.arange(2 * 3 * 16).reshape(2, 3, 16) ** 2)
    test = noise + np.repeat(shifts, 8) + np.asarray([0.0, 10.0])[:, None, None]
    return TaskLosses(list(test), list(test))


def test_exclusions_that_all_groups_make_are_replicated(replication, capsys):
    groups = replication.disjoint(2, 8)
    np.testing.assert_array_equal(np.concatenate(groups), np.arange(16))
    replication.replication(two_sets([0.0, 0.0]), groups)
    rows = capsys.readouterr().out.splitlines()
    assert rows == [
        f"| 8 | {way} | 1.000 | 1.000 | 0.000 |"
        for way in ("nested", "chaining", "one look")
    ]


@pytest.mark.parametrize(("shifts", "own"), [([0.0, 0.0], 1.0), ([0.0, 5.0], 0.0)])
def test_what_all_sets_share_is_no_difference(replication, shifts, own):
    groups = replication.disjoint(2, 8)
    shares = replication.coverage(two_sets(shifts), groups)
    assert shares == [own, 1.0, 1.0]


@pytest.mark.exhaustive
def test_real_groups_are_trained_and_compared():
    options = ["--num-steps", "20", "--groups", "2", "--optimizers", "Adam", "SGDM"]
    rows = printed("replication.py", "--seeds", "4", "5", *options)
    assert len(rows) == (1 + 2) + (1 + 2 * 3) + (1 + 2)
    # The second time there is nothing to train.
    assert rows == printed("replication.py", "--seeds", "4", "5", *options)


@pytest.mark.exhaustive
def test_a_race_is_set_against_uniform_seeds():
    options = ["--num-steps", "20", "--max-seeds", "4", "--optimizers", "Adam", "SGDM"]
    head, first, second, uniform = printed(
        "race_against_uniform.py", "--most-uniform", "20", *options
    )
    assert head.split() == ["|", "|", "seeds", "|", "trials", "|", "seconds", "|"]
    assert first.split("|")[1:4] == [" race ", " 4 ", " 112 "]
    assert second.split("|")[1:4] == [" race, other seeds ", " 4 ", " 112 "]
    # Nothing is said at 4 seeds either way.
    assert uniform.split("|")[1:4] == [" uniform, same verdict ", " 4 ", " 112 "]
