"""What the offline runs hold that `wandb sync` would upload."""

import json
import math
import os
import socket
import struct
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.exporting import wandb_runs
from learned_optimization.baselines.exporting.wandb_runs import write_wandb
from learned_optimization.errors import LoptError, ResultError
from tests.baselines.exporting.exported import (
    COSINE,
    MOMENTUM,
    SPLITS,
    STEPS,
    TASK,
    published,
)
from tests.components import require

SETS = [MOMENTUM.name, COSINE.name]
_BLOCK = 32 * 1024


@pytest.fixture(autouse=True, scope="module")
def library():
    require("wandb")


def chunks(content: bytes) -> Iterator[bytes]:
    """Yield the records of a file: LevelDB's log, after wandb's seven bytes."""
    assert content[:4] == b":W&B"
    at, whole = 7, b""
    while at < len(content):
        if _BLOCK - at % _BLOCK < 7:
            at += _BLOCK - at % _BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", content[at : at + 7])
        data = content[at + 7 : at + 7 + length]
        assert zlib.crc32(bytes([kind]) + data) == checksum
        whole += data
        at += 7 + length
        # 1: whole, 2: first, 3: middle, 4: last.
        if kind in (1, 4):
            yield whole
            whole = b""


def read(path: Path) -> dict[str, Any]:
    """Return what a run's file says of it."""
    # Its classes are made when it is imported: type checkers do not see them.
    messages: Any = import_module("wandb.proto.wandb_internal_pb2")
    said: dict[str, Any] = {"history": [], "others": set()}
    for chunk in chunks(path.read_bytes()):
        record = messages.Record.FromString(chunk)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            said |= {"project": run.project, "name": run.display_name, "id": run.run_id}
            said |= {"group": run.run_group, "host": run.host}
            said["config"] = {
                item.key: json.loads(item.value_json) for item in run.config.update
            }
        elif kind == "history":
            said["history"].append(
                {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
            )
        else:
            said["others"].add(kind)
    return said


def runs(folder: Path) -> dict[str, dict[str, Any]]:
    found = [read(p) for p in folder.glob("wandb/offline-run-*/run-*.wandb")]
    return {f"{run['project']}/{run['name']}": run for run in found}


def test_history_is_that_of_the_archive(handmade, tmp_path):
    hooks = sys.exit, sys.excepthook
    folder = tmp_path / "runs"
    assert write_wandb(TASK, SETS, str(folder), every_config=True) == 12
    found = runs(folder)
    assert len({run["id"] for run in found.values()}) == 12
    for s in (MOMENTUM, COSINE):
        data = handmade[s.name]
        modified = os.stat(utils.find_archive(TASK, s.name)).st_mtime
        for c, r in np.ndindex(2, 3):
            group = f"{s.name}/{s.opt_names[c]}"
            run = found.pop(f"{TASK}/{group}/seed{7 + r}")
            assert run["group"] == group
            expected = {
                f"{name}/{split}": data[f"eval/{split}/{name}"][c, r]
                for split in SPLITS
                for name in ("loss", "loss_normalized", "accuracy")
            }
            expected["train/loss"] = data["train/loss"][c, r, ::10]
            expected["_step"] = STEPS
            rows = run["history"]
            for row in rows:
                assert row.keys() == {*expected, "seconds", "_timestamp", "_runtime"}
            for tag, values in expected.items():
                np.testing.assert_array_equal([row[tag] for row in rows], values)
            took = data["timing/run_seconds_per_trial"][c, r] * np.array([0, 0.5, 1])
            np.testing.assert_allclose(
                [row["_timestamp"] for row in rows], modified + took, rtol=0, atol=1e-3
            )
            np.testing.assert_allclose(
                [row["seconds"] for row in rows], took, rtol=1e-6
            )
    assert not found
    assert (sys.exit, sys.excepthook) == hooks


def test_only_the_best_and_its_configuration(handmade, tmp_path):
    assert write_wandb(TASK, SETS, str(tmp_path / "runs")) == 6
    found = runs(tmp_path / "runs")
    # By construction the second one of each set.
    assert set(found) == {
        f"{TASK}/{s.name}/{s.opt_names[1]}/seed{seed}"
        for s in (MOMENTUM, COSINE)
        for seed in (7, 8, 9)
    }
    config = found[f"{TASK}/{MOMENTUM.name}/SGDM_lr1/seed8"]["config"]
    del config["_wandb"]
    assert config == {
        "task": TASK,
        "set": MOMENTUM.name,
        "opt_name": "SGDM_lr1",
        "seed": 8,
        "learning_rate": 1.0,
        "momentum": 0.5,
        "nesterov": False,
    }


def test_nothing_is_sent_or_left_or_of_this_machine(
    handmade, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    server = socket.create_server(("localhost", 0))
    server.setblocking(False)
    url = f"http://localhost:{server.getsockname()[1]}"
    monkeypatch.setenv("WANDB_BASE_URL", url)
    monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    write_wandb(TASK, COSINE.name, "runs")
    after = {p.pid for p in psutil.Process().children(recursive=True)}
    assert after <= before
    with server, pytest.raises(BlockingIOError):
        server.accept()
    assert capfd.readouterr() == ("", "")
    assert "WANDB_ERROR_REPORTING" not in os.environ
    files = [p for p in Path("runs").rglob("*") if p.is_file()]
    assert [p.suffix for p in files] == [".wandb"] * 3
    for run in runs(Path("runs")).values():
        assert run["host"] == ""
        assert not run["others"] & {"output", "output_raw", "stats", "environment"}
    # Exported again, a trial is the same run.
    write_wandb(TASK, COSINE.name, "again")
    ids = [{r["id"] for r in runs(Path(f)).values()} for f in ("runs", "again")]
    assert ids[0] == ids[1]


def test_archives_of_others(tmp_path):
    utils.write_archive(TASK, "Old", published())
    assert write_wandb(TASK, "Old", str(tmp_path / "runs"), every_config=True) == 2
    found = runs(tmp_path / "runs")
    assert set(found) == {f"{TASK}/Old/Old_lr{lr}/seed0" for lr in (1, 2)}
    losses = [r["loss/test"] for r in found[f"{TASK}/Old/Old_lr2/seed0"]["history"]]
    assert losses[0] == 6
    assert math.isnan(losses[1])


def test_not_while_a_run_of_ones_own_is_under_way(handmade, tmp_path, monkeypatch):
    # wandb puts a function of its own there, and leaves it.
    monkeypatch.setattr(sys, "exit", sys.exit)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    wandb: Any = import_module("wandb")
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    with wandb.init(mode="offline", dir=tmp_path, settings=settings) as own:
        with pytest.raises(LoptError, match="finish it before"):
            write_wandb(TASK, COSINE.name, str(tmp_path / "out"))
        assert wandb.run is own
        own.log({"mine": 1})
    wandb.teardown()
    [run] = runs(tmp_path).values()
    assert [row["mine"] for row in run["history"]] == [1]
    assert not (tmp_path / "out").exists()


def test_what_is_refused(handmade, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ResultError, match="no archive of SGDLR_1000_R5"):
        write_wandb(TASK, "SGDLR_1000_R5", str(out / "runs"))
    with pytest.raises(ResultError, match="not on this machine"):
        write_wandb(TASK, SETS, "memory://runs")
    write_whole = filesystem.write_whole

    def full(path, write):
        if len(list(out.rglob("*.wandb"))) == 2:
            raise ResultError("No space left")
        write_whole(path, write)

    monkeypatch.setattr(wandb_runs.filesystem, "write_whole", full)
    with pytest.raises(ResultError, match="No space left"):
        write_wandb(TASK, SETS, str(out / "runs"))
    assert os.listdir(out) == []
    (out / "mine").write_text("mine")
    with pytest.raises(ResultError, match="something already"):
        write_wandb(TASK, SETS, str(out))
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(LoptError, match=r"needs the package wandb.*\[wandb\]"):
        write_wandb(TASK, SETS, str(out / "runs"))
    assert os.listdir(out) == ["mine"]
