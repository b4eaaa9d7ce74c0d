"""What TensorBoard's own reader finds in a log folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.exporting import events
from learned_optimization.baselines.exporting.events import write_events
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    ResultError,
    UnknownNameError,
)
from tests.baselines.exporting.exported import (
    COSINE,
    MOMENTUM,
    SPLITS,
    STEPS,
    TASK,
    published,
)

SETS = [MOMENTUM.name, COSINE.name]


def runs(folder: Path) -> dict[str, Path]:
    return {str(p.parent.relative_to(folder)): p for p in folder.rglob("*tfevents*")}


def read(path: Path) -> EventAccumulator:
    return EventAccumulator(str(path.parent), size_guidance={"scalars": 0}).Reload()


def hparams_of(path: Path) -> Any:
    [content] = read(path).PluginTagToContent("hparams").values()
    # Its classes are made when it is imported: type checkers do not see them.
    data: Any = getattr(plugin_data_pb2, "HParamsPluginData")  # noqa: B009
    return data.FromString(content).session_start_info


def test_scalars_are_those_of_the_archive(handmade, tmp_path):
    folder = tmp_path / "logs"
    assert write_events(TASK, SETS, str(folder), every_config=True) == 12
    written = runs(folder)
    for s in (MOMENTUM, COSINE):
        data = handmade[s.name]
        modified = os.stat(utils.find_archive(TASK, s.name)).st_mtime
        for c in range(2):
            for r in range(3):
                run = read(written.pop(f"{TASK}/{s.name}/{s.opt_names[c]}/seed{7 + r}"))
                expected = {
                    f"{name}/{split}": data[f"eval/{split}/{name}"][c, r]
                    for split in SPLITS
                    for name in ("loss", "loss_normalized", "accuracy")
                }
                expected["train/loss"] = data["train/loss"][c, r, ::10]
                assert set(run.Tags()["scalars"]) == set(expected)
                seconds = data["timing/run_seconds_per_trial"][c, r]
                for tag, values in expected.items():
                    scalars = run.Scalars(tag)
                    assert [e.step for e in scalars] == STEPS.tolist()
                    np.testing.assert_array_equal([e.value for e in scalars], values)
                    np.testing.assert_allclose(
                        [e.wall_time for e in scalars],
                        modified + seconds * np.array([0, 0.5, 1]),
                        rtol=0,
                        atol=1e-5,
                    )
    assert not written


def test_only_the_best_configuration(handmade, tmp_path):
    assert write_events(TASK, SETS, str(tmp_path / "logs")) == 6
    # By construction the second one of each set.
    assert set(runs(tmp_path / "logs")) == {
        f"{TASK}/{s.name}/{s.opt_names[1]}/seed{seed}"
        for s in (MOMENTUM, COSINE)
        for seed in (7, 8, 9)
    }


def test_hyper_parameters(handmade, tmp_path):
    write_events(TASK, SETS, str(tmp_path / "logs"), every_config=True)
    infos = {name: hparams_of(path) for name, path in runs(tmp_path / "logs").items()}
    info = infos[f"{TASK}/{MOMENTUM.name}/SGDM_lr0.1/seed8"]
    assert info.hparams["learning_rate"].number_value == 0.1
    assert info.hparams["momentum"].number_value == 0.9
    assert info.hparams["nesterov"].bool_value is True
    assert info.hparams["set"].string_value == MOMENTUM.name
    # The seeds of a configuration are a group, and no others.
    groups = {}
    for name, info in infos.items():
        groups.setdefault(info.group_name, set()).add(name.rpartition("/")[0])
    assert len(groups) == 4
    assert all(len(names) == 1 for names in groups.values())


def test_archives_of_others(tmp_path):
    utils.write_archive(TASK, "Old", published())
    assert write_events(TASK, "Old", str(tmp_path / "logs")) == 1
    [(name, path)] = runs(tmp_path / "logs").items()
    assert name == f"{TASK}/Old/Old_lr1/seed0"
    run = read(path)
    tags = {*(f"loss/{split}" for split in SPLITS), "train/loss"}
    assert set(run.Tags()["scalars"]) == tags
    assert [e.step for e in run.Scalars("loss/test")] == [0, 50]
    assert len({e.wall_time for e in run.Scalars("loss/test")}) == 1


@pytest.mark.parametrize("name", ["../Old", "/tmp/Old", "..", ""])
def test_an_archive_cannot_choose_where_it_is_written(tmp_path, name):
    utils.write_archive(TASK, "Old", published() | {"opt_name": np.full((2, 1), name)})
    (tmp_path / "out").mkdir()
    with pytest.raises(DamagedFileError, match="is no name"):
        write_events(TASK, "Old", str(tmp_path / "out" / "logs"))
    assert os.listdir(tmp_path / "out") == []


def test_a_folder_is_whole_or_not_there(handmade, tmp_path, monkeypatch):
    write_whole = filesystem.write_whole

    def full(path, write):
        if "seed9" in str(path):
            raise ResultError("No space left")
        write_whole(path, write)

    monkeypatch.setattr(events.filesystem, "write_whole", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(ResultError, match="No space left"):
        write_events(TASK, SETS, str(tmp_path / "out" / "logs"))
    assert os.listdir(tmp_path / "out") == []


def test_what_is_refused(handmade, tmp_path):
    folder = tmp_path / "logs"
    with pytest.raises(UnknownNameError, match="evaluated split 'tset'"):
        write_events(TASK, SETS, str(folder), select="tset")
    with pytest.raises(LoptError, match="no set is named"):
        write_events(TASK, [], str(folder))
    with pytest.raises(ResultError, match="no archive of SGDLR_1000_R5"):
        write_events(TASK, ["SGDLR_1000_R5"], str(folder))
    assert not folder.exists()
    write_events(TASK, SETS, str(folder))
    before = runs(folder)
    with pytest.raises(ResultError, match="something already"):
        write_events(TASK, SETS, str(folder), every_config=True)
    assert runs(folder) == before
    with pytest.raises(ResultError, match="not on this machine"):
        write_events(TASK, SETS, "memory://logs")
