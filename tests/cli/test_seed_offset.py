"""`--seed-offset`: reruns on other seeds, which no command takes for the set's own."""

import json
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.results.format import read_archive
from learned_optimization.baselines.sweeps.grids import TrialGrid
from tests.baselines.sweeps.faulty import Trainer
from tests.cli.running import TASK, lopt_here, refused

SET = "Quick_20_R2"
YAML = f"""\
name: {SET}
optimizer: SGD
num_steps: 20
seeds: 2
space:
  learning_rate: [0.1, 0.3]
"""


@pytest.fixture
def files(tmp_path, monkeypatch) -> list[str]:
    """The file that defines a set, as options; training takes an instant."""
    monkeypatch.chdir(tmp_path)
    trainer = Trainer()
    monkeypatch.setattr(TrialGrid, "run", lambda *args, **kw: trainer.run(*args, **kw))
    Path("quick.yaml").write_text(YAML)
    return ["--set", "quick.yaml"]


def archive_of(result) -> str:
    [line] = [x for x in result.stdout.splitlines() if x.startswith("archived ")]
    return line.removeprefix("archived ")


def rows_of(*args) -> dict[str, dict]:
    shown = json.loads(lopt_here("status", TASK, *args, "--json").stdout)
    return {row["set"]: row for row in shown}


def test_a_sweep_of_other_seeds_is_another_set(files):
    swept = lopt_here("sweep", TASK, *files, "--seed-offset", "5")
    assert swept.returncode == 0, swept.stderr
    assert "4 trials run, 0 had results" in swept.stdout
    path = archive_of(swept)
    assert Path(path).name == f"{SET}_from5.npz"
    np.testing.assert_array_equal(read_archive(path, ["seed"])["seed"], [[5, 6]] * 2)
    # Its name says it as well, to every command.
    named = f"{SET}_from5"
    again = lopt_here("sweep", TASK, named, *files)
    assert "0 trials run, 4 had results" in again.stdout
    assert rows_of(named, *files)[named]["done"] == 4
    assert rows_of(*files, "--seed-offset", "5")[named]["done"] == 4
    own = rows_of(SET, *files)[SET]
    assert (own["done"], own["missing"], own["more_seeds"]) == (0, 4, 4)


def test_what_is_missing_is_named_with_its_command(files):
    result = lopt_here("archive", TASK, *files, "--seed-offset", "5")
    assert result.returncode == 1
    assert "seeds 5, 6" in result.stderr
    assert f"lopt sweep {TASK} {SET}_from5 --set quick.yaml" in result.stderr


def test_rm_keeps_other_seeds(files):
    lopt_here("sweep", TASK, *files)
    lopt_here("sweep", TASK, *files, "--seed-offset", "2")
    table = lopt_here("status", TASK, *files).stdout
    assert "more seeds" in table
    removed = lopt_here("rm", TASK, *files, "--yes")
    assert "deleted 5 files" in removed.stdout
    assert "4 results of seeds beyond the last of these sets stay" in removed.stdout
    rest = lopt_here("rm", TASK, *files, "--seed-offset", "2", "--yes")
    assert "deleted 5 files" in rest.stdout
    assert "stay" not in rest.stdout


def test_rm_of_more_seeds_asks_for_a_set(files):
    unnamed = lopt_here("rm", TASK, "--only", "more-seeds", "--yes")
    assert "no set is given" in refused(unnamed)
    lopt_here("sweep", TASK, *files, "--seed-offset", "2")
    removed = lopt_here("rm", TASK, *files, "--only", "more-seeds", "--yes")
    assert "deleted 4 files" in removed.stdout


def test_two_reruns_are_compared_by_name(files):
    lopt_here("sweep", TASK, *files)
    lopt_here("sweep", TASK, *files, "--seed-offset", "2")
    compared = lopt_here("report", TASK, SET, f"{SET}_from2", *files)
    assert compared.returncode == 0, compared.stderr
    assert f"{SET}_from2" in Path("report", "tasks.csv").read_text()
