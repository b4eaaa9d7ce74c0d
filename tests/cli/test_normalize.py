"""`lopt normalize` on archives of straight lines, and its refusals."""

import json

import numpy as np
import pytest

from tests.baselines.curves import with_seeds, write_losses
from tests.cli.running import lopt_here, refused

NAME, SET = "speedup_over_adam_1000", "AdamLR_1000_R5"
SPREAD = [-0.02, -0.01, 0.0, 0.01, 0.02]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A normalizer of one task, built by the command, and a set twice as fast."""
    monkeypatch.chdir(tmp_path)
    for name, slope in ((SET, 0.02), ("Faster", 0.04), ("Rising", -0.01)):
        line = 4.0 - slope * np.arange(101)
        write_losses("T", name, with_seeds([line], SPREAD))
    result = lopt_here("normalize", "build", NAME, "T", "-o", "mine.json")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{NAME}: built T",
        "written mine.json and mine.info.json",
    ]
    return "mine.json"


def cells(line):
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_build(mine, tmp_path):
    assert list(json.loads((tmp_path / mine).read_text())) == ["T"]
    again = lopt_here("normalize", "build", NAME, "T", "-o", mine)
    assert again.returncode == 2
    assert "mine.json has T already" in again.stderr
    assert "--overwrite" in again.stderr
    done = lopt_here(
        "normalize", "build", NAME, "T", "-o", mine, "--overwrite", "--seed", "5"
    )
    assert done.returncode == 0, done.stderr
    info = json.loads((tmp_path / "mine.info.json").read_text())
    assert info["T"]["band"]["seed"] == 5


def test_apply(mine, tmp_path):
    result = lopt_here(
        "normalize", "apply", mine, "T", "Faster", "Rising", "-o", "speedup.png"
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].strip() == (
        "Faster: Faster_lr1, train loss (best by final train loss)"
    )
    rows = [cells(line) for line in lines if line.startswith("│")]
    # At 500 steps its average is where the baseline's is 19 evaluations short of
    # twice as far; at 1,000 the baseline never was.
    half, end = rows[4], rows[5]
    assert half[0] == "500"
    steps, ratio = (float(cell.partition(" ")[0]) for cell in half[1:3])
    assert steps == pytest.approx(810, abs=35)
    assert ratio == pytest.approx(steps / 500, abs=0.006)
    assert (end[1], end[2]) == ("≥ 1,000 [≥ 1,000, ≥ 1,000]", "≥ 1.00 [≥ 1.00, ≥ 1.00]")
    assert (half[3], end[3]) == ("0%", "100%")
    assert "0 [0, 0] (worse than its start)" in result.stdout
    assert "in brackets: 95% band of other seeds of the baseline" in result.stdout
    assert "≥ : the baseline never got as low" in result.stdout
    assert lines[-1] == "figure: speedup.png"
    assert (tmp_path / "speedup.png").stat().st_size > 10_000


def test_apply_says_that_the_best_is_at_the_edge(mine):
    lines = [3.0 - slope * np.arange(101) for slope in (0.001, 0.002, 0.003)]
    # Names of its configurations that say which optimizer's settings they are.
    write_losses("T", "SGD", with_seeds(lines, SPREAD))
    result = lopt_here("normalize", "apply", mine, "T", "SGD")
    assert result.stdout.startswith("SGD: SGD_lr3 *, train loss")
    assert "* at the edge of its set" in result.stdout
    assert "at the edge" not in lopt_here("normalize", "apply", mine, "T", SET).stdout


def test_show(mine):
    result = lopt_here("normalize", "show", mine)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == mine
    [row] = [cells(line) for line in lines if line.startswith("│")]
    assert row[:4] == ["T", "1,000", "512", "4.0000"]
    assert row[5:] == ["95%", SET]
    rows = [
        cells(line)
        for line in lopt_here("normalize", "show", mine, "T").stdout.splitlines()
        if line.startswith("│")
    ]
    assert rows[0][:2] == ["0", "4.0000"]
    assert (rows[-1][0], rows[-1][1]) == ("1,000", row[4])
    low, high = map(float, rows[-1][2].split(" to "))
    assert low < float(row[4]) < high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "speedup_over_adam_100", "T", "-o", "x.json"], NAME),
        (["build", NAME, "T", "-o", "x.json"], f"`lopt sweep T {SET}`"),
        (["build", NAME, "T", "-o", "x.txt"], "the name must end in .json"),
        (["show", "missing.json"], "no such file: missing.json"),
        (["show", "speedup_over_adam_2000"], "lopt sweep TASK AdamLR_2000_R5"),
        (["apply", "speedup", "T", SET], "unknown normalizer 'speedup'"),
        (["apply", NAME, "T", SET, "-o", "x.gif"], "must end in .png, .svg, .pdf"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(lopt_here("normalize", *arguments))
    assert not list(tmp_path.iterdir())


def test_refusals_of_a_file(mine):
    for arguments, message in (
        (["apply", mine, "U", SET], "unknown task 'U': known: T."),
        (["apply", mine, "T", "SGDLR_1000_R5"], "`lopt sweep T SGDLR_1000_R5`"),
        (["apply", mine, "T", SET, "--split", "tests"], "did you mean test"),
        (["show", mine, "U"], "unknown task 'U': known: T."),
    ):
        result = lopt_here("normalize", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        [line] = result.stderr.strip().splitlines()
        assert line.startswith("error: ")
        assert message in line
