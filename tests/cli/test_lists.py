"""Lists as JSON, of what a pattern chooses, and patterns that choose nothing."""

import json

import pytest

from learned_optimization.baselines.hparam_sets import TEMPLATES, all_hparam_sets
from learned_optimization.baselines.normalizers import NORMALIZERS, PACKAGED
from learned_optimization.optimizers.base import all_optimizers, get_optimizer
from learned_optimization.tasks.datasets.catalog import all_datasets
from tests.baselines.curves import with_seeds, write_losses
from tests.baselines.files import write
from tests.cli.running import TASK, lopt_here, refused


def listed(*args: str) -> list[dict]:
    result = lopt_here(*args, "--json")
    assert (result.returncode, result.stderr) == (0, ""), result
    return json.loads(result.stdout)


def test_tasks():
    [row] = listed("tasks", TASK)
    assert row == {
        "name": TASK,
        "summary": row["summary"],
        "data_set": "fashion_mnist",
        "is_available": True,
        "parameters": 64 * 32 + 32 + 32 * 10 + 10,
        "batch_size": 128,
    }
    rows = listed("tasks", "RNNLM_lm1bbytes_*_IRNN128_*")
    assert [r["is_available"] for r in rows] == [False] * len(rows)
    assert rows


def test_sets(tmp_path):
    known = [*all_hparam_sets(), *TEMPLATES]
    assert [row["name"] for row in listed("sets")] == known
    assert listed("sets", "AdamLR_1000_*") == [
        {
            "name": "AdamLR_1000_R5",
            "optimizer": "Adam",
            "num_steps": 1000,
            "configurations": 14,
            "seeds": 5,
            "trials": 70,
            "needs": [],
        }
    ]
    [row] = listed("sets", "LOpt_1000_R5")
    assert (row["trials"], row["needs"]) == (5, ["checkpoint"])
    file = tmp_path / "mine.yaml"
    file.write_text(
        "sets:\n"
        "  - {name: A, optimizer: SGD, num_steps: 20}\n"
        "  - {name: B, optimizer: SGD, num_steps: 30}\n"
    )
    # With no name, those of the file; a pattern chooses among all.
    of_file = ("sets", "--set", str(file))
    assert [row["name"] for row in listed(*of_file)] == ["A", "B"]
    assert [row["name"] for row in listed(*of_file, "B")] == ["B"]
    assert [row["name"] for row in listed(*of_file, "SGDLR_2*")] == ["SGDLR_2000_R5"]


def test_optimizers():
    assert [row["name"] for row in listed("optimizers")] == list(all_optimizers())
    [row] = listed("optimizers", "Adam")
    assert row["default_setting"] == "lr0.01_b10.9_b20.999_eps1e-08_epsroot1e-08"
    assert row["needs"] == []
    assert row["summary"].startswith("Adam (Kingma")
    for row in listed("optimizers", "*"):
        assert row["needs"] == sorted(get_optimizer(row["name"])().needs)


def test_data_sets():
    assert [row["name"] for row in listed("data", "list")] == list(all_datasets())
    [row] = listed("data", "list", "fashion*")
    assert row["embedded"] == ["8x8"]
    [row] = listed("data", "list", "mnist")
    assert (row["embedded"], row["places"]) == ([], [])
    assert "lopt data prepare mnist" in row["how_to_get"]


def test_normalizers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [row["name"] for row in listed("normalize", "list")] == list(NORMALIZERS)
    [row] = listed("normalize", "list", "speedup_over_adam_1000")
    assert (row["num_steps"], row["num_points"]) == (1000, 512)
    assert row["hparam_sets"] == ["AdamLR_1000_R5"]
    # The one of the package, until there is one's own.
    assert row["path"] == str(PACKAGED / "speedup_over_adam_1000.json")
    [row] = listed("normalize", "list", "speedup_over_adam_2000")
    assert row["path"] is None
    assert "speedup_over_adam_1000" in lopt_here("normalize", "list").stdout
    write_losses(
        "T", "AdamLR_1000_R5", with_seeds([[4.0 - 0.02 * i for i in range(101)]], [0.0])
    )
    name = ("speedup_over_adam_1000", "T", "-o", "speedup_over_adam_1000.json")
    assert lopt_here("normalize", "build", *name).returncode == 0
    monkeypatch.setenv("LOPT_NORMALIZERS_DIR", str(tmp_path))
    [row] = listed("normalize", "list", "speedup_over_adam_1000")
    assert row["path"] == str(tmp_path / "speedup_over_adam_1000.json")
    [row] = listed("normalize", "show", "speedup_over_adam_1000")
    assert (row["task"], row["horizon"], row["points"]) == ("T", 1000.0, 512)
    assert (row["first_loss"], row["band"]) == (4.0, None)
    curve = listed("normalize", "show", "speedup_over_adam_1000", "T")
    assert curve[0] == {"steps": 0.0, "loss": 4.0, "low": None, "high": None}
    assert curve[-1]["steps"] == 1000.0


@pytest.mark.slow
def test_status_of_what_a_pattern_chooses():
    for name in ("Adam_lr0.001", "SGD_lr0.01"):
        for task in (TASK, "Other"):
            write(name, 0, num_steps=1000, task_name=task)

    def places(*patterns: str) -> set[tuple[str, str]]:
        return {(row["task"], row["set"]) for row in listed("status", *patterns)}

    both = {
        (t, s) for t in (TASK, "Other") for s in ("AdamLR_1000_R5", "SGDLR_1000_R5")
    }
    assert places() == both
    assert places("*LR_1000_R5") == both
    assert places("Adam*") == {(t, "AdamLR_1000_R5") for t in (TASK, "Other")}
    assert places("Image*", "SGD*") == {(TASK, "SGDLR_1000_R5")}
    assert places("Other", "SGD*") == {("Other", "SGDLR_1000_R5")}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tasks", TASK[:-1]], f"unknown task '{TASK[:-1]}': did you mean {TASK}"),
        (["sets", "AdamLR_1000"], "did you mean AdamLR_1000_R5"),
        (["optimizers", "Adma"], "unknown optimizer 'Adma': did you mean Adam"),
        (["data", "list", "mnits"], "unknown data set 'mnits': did you mean mnist"),
        (["normalize", "list", "speedup"], "unknown normalizer 'speedup'"),
        (["status", "Adam*"], "unknown task or set with results 'Adam*'"),
    ],
)
def test_a_pattern_that_matches_nothing(args, message):
    assert message in refused(lopt_here(*args))
    assert message in refused(lopt_here(*args, "--json"))
