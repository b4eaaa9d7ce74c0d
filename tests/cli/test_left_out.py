"""Each command that reads archives leaves out what is at fault, and shows the rest."""

from pathlib import Path

import pytest

from learned_optimization.baselines import normalizers
from tests.baselines import faults
from tests.baselines.archives import write_three
from tests.cli.running import TASK, lopt_here
from tests.components import require

SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]
OTHER = "ImageMLP_FashionMnist8_Relu64"


@pytest.fixture
def faulty(monkeypatch, tmp_path):
    """Two tasks: of one a set is cut off, of the other all are."""
    monkeypatch.chdir(tmp_path)
    for task in (TASK, OTHER):
        write_three(task, noise=0.01)
    faults.inject("cut off", TASK, SETS[1])
    for name in SETS:
        faults.inject("newer", OTHER, name)
    return (TASK, OTHER, *SETS)


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (("report", "-o", "out"), "out/index.html"),
        (("plot", "-o", "out.svg"), "out.svg"),
        (("plot", "--kind", "sensitivity", "-o", "out.svg"), "out.svg"),
        (("plot", "--kind", "tuning", "-o", "out.svg"), "out.svg"),
        (("plot", "--kind", "profile", "-o", "out.svg"), "out.svg"),
        (("export", "-o", "out.csv"), "out.csv"),
        (("export", "--curves", "-o", "out.json"), "out.json"),
        (("export", "--to", "tensorboard", "-o", "out"), "out"),
        (("export", "--to", "wandb", "-o", "out"), "out/wandb"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_at_fault_is_left_out(command, made, faulty):
    if "wandb" in command:
        require("wandb")
    done = lopt_here(command[0], *faulty, *command[1:])
    assert done.returncode == 0, done.stderr
    assert Path(made).exists()
    said = [s for s in done.stderr.splitlines() if s.startswith("left out: ")]
    assert (
        len([s for s in said if s.startswith(f"left out: {SETS[1]} on {TASK}:")]) == 1
    )
    for name in SETS:
        # Of a figure's panel, all the reasons are under the name of the task.
        assert f"{name} on {OTHER}: cannot read" in done.stderr
    # Nothing of what is whole is named as left out.
    assert f"{SETS[0]} on {TASK}: " not in done.stderr


def test_exported_rows_are_those_of_the_others(faulty):
    assert lopt_here("export", *faulty, "-o", "out.csv").returncode == 0
    assert lopt_here("export", TASK, SETS[0], SETS[2], "-o", "two.csv").returncode == 0
    assert Path("out.csv").read_text() == Path("two.csv").read_text()


@pytest.mark.parametrize("command", ["report", "plot", "export"])
def test_nothing_left_is_an_error_that_names_all(command, faulty):
    refused = lopt_here(command, OTHER, *SETS)
    assert refused.returncode == 2
    assert "nothing of what is named can be used" in refused.stderr
    for name in SETS:
        assert f"{name} on {OTHER}: cannot read" in refused.stderr


def test_normalizers(faulty):
    build = ("normalize", "build", "speedup_over_adam_1000")
    done = lopt_here(*build, TASK, OTHER, "-o", "own.json")
    assert done.returncode == 0, done.stderr
    assert f"left out: {OTHER}: cannot read" in done.stderr
    assert f"built {TASK}" in done.stdout
    assert f"built {OTHER}" not in done.stdout
    assert list(normalizers.find("own.json")) == [TASK]
    done = lopt_here("normalize", "apply", "own.json", TASK, *SETS)
    assert done.returncode == 0, done.stderr
    assert f"left out: {SETS[1]} on {TASK}: cannot read" in done.stderr
    assert f"{SETS[0]}: " in done.stdout
    refused = lopt_here(*build, OTHER, "-o", "none.json")
    assert refused.returncode == 2
    assert OTHER in refused.stderr
    assert not Path("none.json").exists()
