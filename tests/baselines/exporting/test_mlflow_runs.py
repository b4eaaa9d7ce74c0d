"""What MLflow's own client finds in a file of runs, and at an address."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.exporting import mlflow_runs
from learned_optimization.baselines.exporting.mlflow_runs import write_mlflow
from learned_optimization.baselines.exporting.runs import Run
from learned_optimization.errors import DamagedFileError, LoptError, ResultError
from tests.baselines.exporting.exported import (
    COSINE,
    MOMENTUM,
    SPLITS,
    STEPS,
    TASK,
    published,
    register,
    write_both,
)
from tests.components import require

# Its migrations and imports take seconds.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        # MLflow's own use of a loader that sqlalchemy 2.1 has deprecated.
        "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"
    ),
]

SETS = [MOMENTUM.name, COSINE.name]
LARGEST = np.finfo(np.float64).max


def runs(address: str) -> dict[str, Any]:
    """Return the runs of all experiments, by experiment and name."""
    client = reader(address)
    return {
        f"{experiment.name}/{run.info.run_name}": run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id])
    }


def reader(address: str) -> Any:
    # Its exports are made on demand: type checkers do not see all of them.
    mlflow: Any = import_module("mlflow")
    return mlflow.MlflowClient(tracking_uri=address)


def history(address: str, run: Any, tag: str) -> list[Any]:
    found = reader(address).get_metric_history(run.info.run_id, tag)
    return sorted(found, key=lambda metric: metric.step)


@pytest.fixture(scope="module", autouse=True)
def library():
    require("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        # What a test reads with is closed when it has read.
        patch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of all configurations of both sets, and what their archives hold."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(folder / "archives"))
        patch.setenv("LOPT_CACHE_DIR", str(folder / "cache"))
        patch.setenv("LOPT_NO_RELEASES", "1")
        patch.chdir(folder)
        register()
        data = write_both()
        times = {
            name: os.stat(utils.find_archive(TASK, name)).st_mtime for name in SETS
        }
        assert write_mlflow(TASK, SETS, "runs.db", every_config=True) == 12
        assert sorted(os.listdir()) == ["archives", "cache", "runs.db"]
    return f"sqlite:///{folder / 'runs.db'}", data, times


def test_metrics_are_those_of_the_archive(written):
    address, arrays, times = written
    found = runs(address)
    for s in (MOMENTUM, COSINE):
        data = arrays[s.name]
        for c, r in np.ndindex(2, 3):
            run = found.pop(f"{TASK}/{s.name}/{s.opt_names[c]}/seed{7 + r}")
            expected = {
                f"{name}/{split}": data[f"eval/{split}/{name}"][c, r]
                for split in SPLITS
                for name in ("loss", "loss_normalized", "accuracy")
            }
            expected["train/loss"] = data["train/loss"][c, r, ::10]
            assert set(run.data.metrics) == set(expected)
            seconds = data["timing/run_seconds_per_trial"][c, r]
            at = 1000 * (times[s.name] + seconds * np.array([0, 0.5, 1]))
            assert abs(run.info.start_time - at[0]) < 1
            assert abs(run.info.end_time - at[-1]) < 1
            assert run.info.status == "FINISHED"
            for tag in ("loss/test", "accuracy/train", "train/loss"):
                metrics = history(address, run, tag)
                assert [m.step for m in metrics] == STEPS.tolist()
                assert np.abs([m.timestamp for m in metrics] - at).max() < 1
                np.testing.assert_array_equal(
                    [m.value for m in metrics],
                    np.minimum(expected[tag].astype(np.float64), LARGEST),
                )
    assert not found


def test_parameters_and_tags(written):
    address, *_ = written
    data = runs(address)[f"{TASK}/{MOMENTUM.name}/SGDM_lr0.1/seed8"].data
    assert data.params == {
        "learning_rate": "0.1",
        "momentum": "0.9",
        "nesterov": "True",
        "seed": "8",
    }
    tags = {key: data.tags[key] for key in ("task", "set", "opt_name")}
    assert tags == {"task": TASK, "set": MOMENTUM.name, "opt_name": "SGDM_lr0.1"}


def test_the_best_configurations_are_added_at_an_address(written, tmp_path):
    address, arrays, _ = written
    copy = tmp_path / "all.db"
    copy.write_bytes(Path(address.removeprefix("sqlite:///")).read_bytes())
    register()
    utils.write_archive(TASK, COSINE.name, arrays[COSINE.name])
    utils.write_archive("Other", "Old", published())
    address = f"sqlite:///{copy}"
    assert write_mlflow(TASK, COSINE.name, address) == 3
    assert write_mlflow("Other", "Old", address) == 1
    client = reader(address)
    experiment = client.get_experiment_by_name(TASK)
    found = client.search_runs([experiment.experiment_id])
    of_second = [r for r in found if r.data.tags["opt_name"] == COSINE.opt_names[1]]
    assert (len(found), len(of_second)) == (15, 6)
    old = runs(address)["Other/Old/Old_lr1/seed0"]
    assert set(old.data.metrics) == {*(f"loss/{s}" for s in SPLITS), "train/loss"}
    assert [m.step for m in history(address, old, "loss/test")] == [0, 50]


def many(name: str, num_steps: int, **hparams) -> Run:
    steps = np.arange(num_steps)
    return Run("T", "S", name, 0, hparams, steps, {"acc@1/test": steps / 2}, 9.0, 0.5)


def test_long_runs_in_batches_and_none_if_one_fails(written, tmp_path):
    copy = tmp_path / "runs.db"
    copy.write_bytes(Path(written[0].removeprefix("sqlite:///")).read_bytes())
    address = f"sqlite:///{copy}"
    before = runs(address).keys()
    wide = {f"hparam{i}": i for i in range(150)}
    mlflow_runs._add(address, [many("a", 2500, **wide)])
    run = runs(address)["T/S/a/seed0"]
    assert len(run.data.params) == 151
    # No @ in its names.
    values = [m.value for m in history(address, run, "acc_1/test")]
    assert values == [step / 2 for step in range(2500)]

    def fails():
        yield many("b", 3)
        raise DamagedFileError("archive.npz", "it is cut off")

    with pytest.raises(DamagedFileError):
        mlflow_runs._add(address, fails())
    assert runs(address).keys() == {*before, "T/S/a/seed0"}


def test_what_is_refused(handmade, tmp_path, monkeypatch):
    there = tmp_path / "out" / "mine.db"
    there.parent.mkdir()
    there.write_text("mine")
    with pytest.raises(ResultError, match=r"already.*write to sqlite:///.*mine\.db"):
        write_mlflow(TASK, SETS, str(there))
    assert there.read_text() == "mine"
    with pytest.raises(ResultError, match="no archive of SGDLR_1000_R5"):
        write_mlflow(TASK, "SGDLR_1000_R5", str(there.parent / "a.db"))
    with pytest.raises(ResultError, match="write to what://host/x: ") as refused:
        write_mlflow(TASK, SETS, "what://me:secret@host/x")
    assert "secret" not in str(refused.value)
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(LoptError, match=r"needs the package alembic.*\[mlflow\]"):
        write_mlflow(TASK, SETS, str(there.parent / "a.db"))
    assert os.listdir(there.parent) == ["mine.db"]
