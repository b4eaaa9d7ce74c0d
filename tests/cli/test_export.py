"""`lopt export`, and telling tasks from sets."""

import json
import os
import sqlite3
import sys
from contextlib import closing

import polars as pl
import pytest

from learned_optimization.baselines import utils
from learned_optimization.cli.choosing import split_tasks_and_sets
from learned_optimization.errors import UnknownNameError
from tests.baselines.exporting.exported import (
    COSINE,
    MOMENTUM,
    TASK,
    register,
)
from tests.cli.running import lopt, lopt_here, refused
from tests.components import require

FIXED = "ImageMLP_FashionMnist8_Relu32"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def done(*args: str) -> str:
    result = lopt_here("export", *args)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def test_names_in_any_order(handmade):
    utils.write_archive("Other", COSINE.name, handmade[COSINE.name])
    utils.write_archive("Other", MOMENTUM.name, handmade[MOMENTUM.name])
    said = done(COSINE.name, "Other", MOMENTUM.name, TASK, "-o", "all.parquet")
    assert said == "24 trials: all.parquet\n"
    frame = pl.read_parquet("all.parquet")
    assert frame["task"].unique(maintain_order=True).to_list() == ["Other", TASK]
    sets = frame["set"].unique(maintain_order=True).to_list()
    assert sets == [COSINE.name, MOMENTUM.name]


def test_format_by_option_or_by_name(handmade):
    assert done(TASK, COSINE.name) == "6 trials: export.parquet\n"
    assert len(pl.read_parquet("export.parquet")) == 6
    assert done(TASK, COSINE.name, "--to", "csv") == "6 trials: export.csv\n"
    assert len(pl.read_csv("export.csv")) == 6
    said = done(TASK, COSINE.name, "--curves", "-o", "deep/x.json")
    assert said == "54 evaluations: deep/x.json\n"
    with open("deep/x.json") as file:
        assert len(json.load(file)) == 54
    done(TASK, COSINE.name, "--to", "json", "-o", "odd.name")
    assert os.path.exists("odd.name")


def test_export_to_tensorboard(handmade):
    said = done(TASK, COSINE.name, "--to", "tensorboard", "-o", "logs")
    assert said == "3 trials: tensorboard --logdir logs\n"
    said = done(TASK, COSINE.name, "--to", "tensorboard", "--all", "-o", "every")
    assert said.startswith("6 trials: ")
    files = [name for _, _, names in os.walk("every") for name in names]
    assert len(files) == 6


@pytest.mark.slow
def test_export_to_mlflow(handmade):
    require("mlflow")
    said = lopt("export", TASK, COSINE.name, "--to", "mlflow", "-o", "runs.db")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == (
        "3 trials: mlflow ui --backend-store-uri sqlite:///runs.db\n"
    )
    assert os.listdir() == ["runs.db"]
    # Where MLflow's users say that runs go.
    variable = {"MLFLOW_TRACKING_URI": "sqlite:///runs.db"}
    said = lopt("export", TASK, COSINE.name, "--to", "mlflow", "--all", **variable)
    assert (said.stdout, said.stderr) == ("6 trials: sqlite:///runs.db\n", "")
    again = lopt("export", TASK, COSINE.name, "--to", "mlflow", "-o", "runs.db")
    assert again.returncode == 2
    assert again.stderr.startswith("error: cannot write runs.db: ")
    with closing(sqlite3.connect("runs.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (9,)


@pytest.mark.slow
def test_export_to_wandb(handmade):
    require("wandb")
    said = lopt("export", TASK, COSINE.name, "--to", "wandb", "-o", "runs")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "3 trials: wandb sync runs/wandb/offline-run-*\n"
    assert os.listdir() == ["runs"]
    assert len(os.listdir("runs/wandb")) == 3


def test_a_set_of_a_file(monkeypatch):
    register()
    with open("mine.yaml", "w") as file:
        file.write("name: Mine\noptimizer: SGD\nnum_steps: 20\nseeds: 2\n")
        file.write("space: {learning_rate: [0.1]}\n")
    tasks, sets = split_tasks_and_sets([FIXED], ["mine.yaml"], None)
    assert (tasks, [s.optimizer for s in sets]) == ([FIXED], ["SGD"])
    # A set that is named is chosen, and no other.
    for name in (COSINE.name, "Mine"):
        tasks, sets = split_tasks_and_sets([name, FIXED], ["mine.yaml"], None)
        assert (tasks, [s.name for s in sets]) == ([FIXED], [name])


def test_telling_tasks_from_sets(handmade):
    assert split_tasks_and_sets(None, None, None) == ([], [])
    # A task is one that has results, or is registered.
    names = [MOMENTUM.name, FIXED, TASK, MOMENTUM.name, COSINE.name, TASK]
    assert split_tasks_and_sets(names, None, None) == (
        [FIXED, TASK],
        [MOMENTUM, COSINE],
    )
    with pytest.raises(UnknownNameError, match=r"or set 'Handmaid'.*Handmade"):
        split_tasks_and_sets(["Handmaid"], None, None)
    with pytest.raises(UnknownNameError, match=f"'Cosine_21_R5'.*{COSINE.name}"):
        split_tasks_and_sets([TASK, "Cosine_21_R5"], None, None)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            [FIXED, "AdamLR_1001_R5"],
            "suite or set 'AdamLR_1001_R5': did you",
        ),
        ([FIXED, "AdamLR_1000_R5"], "no archive of AdamLR_1000_R5"),
        ([FIXED], "no set is named"),
        (["AdamLR_1000_R5"], "no task is named"),
        ([], "no task is named"),
        ([FIXED, "AdamLR_1000_R5", "--to", "excel"], "unknown format 'excel'"),
        ([FIXED, "AdamLR_1000_R5", "-o", "a.xlsx"], "cannot tell a format by"),
        (
            [FIXED, "AdamLR_1000_R5", "--to", "tensorboard", "--no-curves"],
            "--no-curves is for tables: TensorBoard",
        ),
        (
            [FIXED, "AdamLR_1000_R5", "--to", "mlflow", "--no-curves"],
            "--no-curves is for tables: MLflow",
        ),
    ],
)
def test_what_is_refused(args, message):
    assert message in refused(lopt_here("export", *args))
    assert os.listdir() == []


def test_without_what_an_extra_installs(handmade, monkeypatch):
    for name in ("tensorboard", "tensorboard.summary.writer.record_writer"):
        monkeypatch.setitem(sys.modules, name, None)
    result = lopt_here("export", TASK, COSINE.name, "--to", "tensorboard")
    assert result.returncode == 2
    assert "pip install 'optimizer-baselines[tensorboard]'" in result.stderr
    for name in ("mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
        result = lopt_here("export", TASK, COSINE.name, "--to", name)
        assert result.returncode == 2
        assert f"pip install 'optimizer-baselines[{name}]'" in result.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = lopt_here("export", TASK, COSINE.name)
    assert result.returncode == 2
    assert "pip install 'optimizer-baselines[frames]'" in result.stderr
    assert os.listdir() == []
