"""The scripts that simulate races and verdicts; their tables are in docs/race.md."""

import subprocess
import sys
from pathlib import Path

import pytest

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
