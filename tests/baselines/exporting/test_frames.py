"""Data frames and files against the arrays they were made of, cell by cell."""

import json
import os
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from learned_optimization import baselines
from learned_optimization.baselines import utils
from learned_optimization.baselines.exporting import frames, to_frame
from learned_optimization.baselines.exporting.files import write_table
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from learned_optimization.eval_training import EVAL_SPLITS
from tests.baselines.archives import gin_text
from tests.baselines.exporting.exported import (
    COSINE,
    MOMENTUM,
    SPLITS,
    STEPS,
    TASK,
    arrays,
    published,
)

SETS = [MOMENTUM.name, COSINE.name]


def trials():
    """Set, configuration and repetition of every row."""
    return [(s, c, r) for s in (MOMENTUM, COSINE) for c in range(2) for r in range(3)]


def test_a_row_per_trial(handmade):
    frame = to_frame(TASK, SETS)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 12
    stored = {
        "seed": "seed",
        "status": "status",
        "diverged_from": "diverged_from",
        "num_steps": "num_steps",
        "seconds": "timing/run_seconds_per_trial",
        "synthetic_data": "synthetic_data",
        "accelerator_platform": "accelerator_platform",
        "accelerator_kind": "accelerator_kind",
        "strategy": "strategy",
        "opt_name": "opt_name",
    }
    for row, (s, c, r) in zip(frame.to_dict("records"), trials(), strict=True):
        data = handmade[s.name]
        assert (row["task"], row["set"], row["config"]) == (TASK, s.name, c)
        assert (row["optimizer"], row["repetition"]) == (s.optimizer, r)
        assert row["versions"] == "jax==1.2 numpy==3.4"
        for column, key in stored.items():
            assert row[column] == data[key][c, r]
        for split in SPLITS:
            for name in ("loss", "loss_normalized", "accuracy"):
                last = float(data[f"eval/{split}/{name}"][c, r, -1])
                np.testing.assert_array_equal(row[f"{split}/{name}"], last)
    assert frame.loc[2, ["status", "diverged_from"]].tolist() == ["diverged", 13]
    assert np.isnan(frame.loc[2, "test/loss"])


def test_hyper_parameters_have_columns(handmade):
    table = to_frame(TASK, SETS, library="pyarrow")
    # Left out where it is a configurable; its own parameters are there.
    expected = {
        "learning_rate": [0.1] * 3 + [1.0] * 3 + [None] * 6,
        "momentum": [0.9] * 3 + [0.5] * 3 + [1.0] * 6,
        # Truth values and text together are text.
        "nesterov": ["True"] * 3 + ["False"] * 3 + ["sometimes"] * 6,
        "CosineDecay.learning_rate": [None] * 6 + [0.1] * 3 + [1.0] * 3,
        "average": [None] * 6 + [2] * 6,
    }
    names = [n for n in table.column_names if n.startswith("hparam/")]
    assert names == [f"hparam/{name}" for name in expected]
    for name, values in expected.items():
        assert table[f"hparam/{name}"].to_pylist() == values
    types = [str(table.schema.field(name).type) for name in names]
    assert types == ["double", "double", "string", "double", "int64"]
    alone = to_frame(TASK, MOMENTUM.name)
    assert alone["hparam/nesterov"].tolist() == [True] * 3 + [False] * 3


def test_types(handmade):
    table = to_frame(TASK, SETS, library="pyarrow")
    text = "task set optimizer opt_name status strategy versions"
    text += " accelerator_platform accelerator_kind hparam/nesterov"
    whole = "config repetition seed diverged_from num_steps hparam/average"
    for field in table.schema:
        if field.name in text.split():
            assert field.type == pa.string(), field
        elif field.name in whole.split():
            assert field.type == pa.int64(), field
        elif field.name == "synthetic_data":
            assert field.type == pa.bool_()
        else:
            assert field.type == pa.float64(), field
    frame = to_frame(TASK, SETS, library="polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema["config"] == pl.Int64
    assert frame.schema["test/loss"] == pl.Float64
    assert frame.schema["set"] == pl.String
    assert frame["hparam/average"].null_count() == 6
    assert frame["test/loss"].null_count() == 0
    assert frame["seed"].to_list() == table["seed"].to_pylist()
    curves = to_frame(TASK, SETS, curves=True, library="polars")
    assert curves.schema["split"] == pl.Categorical
    means = curves.filter(pl.col("split") == "test", pl.col("step") == 0)
    assert means["loss"].to_numpy().reshape(2, 2, 3).tolist() == [
        handmade[name]["eval/test/loss"][:, :, 0].tolist() for name in SETS
    ]


def test_a_row_per_evaluation(handmade):
    frame = to_frame(TASK, SETS, curves=True)
    assert isinstance(frame, pd.DataFrame)
    rows = [
        (s, split, c, r, i)
        for s in (MOMENTUM, COSINE)
        for split in SPLITS
        for c in range(2)
        for r in range(3)
        for i in range(3)
    ]
    for row, (s, split, c, r, i) in zip(frame.to_dict("records"), rows, strict=True):
        assert (row["task"], row["set"], row["split"]) == (TASK, s.name, split)
        assert (row["config"], row["repetition"], row["seed"]) == (c, r, 7 + r)
        assert (row["opt_name"], row["step"]) == (s.opt_names[c], STEPS[i])
        for name in ("loss", "loss_normalized", "accuracy"):
            value = float(handmade[s.name][f"eval/{split}/{name}"][c, r, i])
            np.testing.assert_array_equal(row[name], value)
    assert np.isinf(frame["loss"]).sum() == 2 * 3
    for name in ("task", "set", "opt_name", "split"):
        assert isinstance(frame[name].dtype, pd.CategoricalDtype)
    assert frame["step"].dtype == np.int64
    assert set(frame["hparam/momentum"]) == {0.9, 0.5, 1.0}


def test_one_split_and_several_tasks(handmade):
    utils.write_archive("Other", COSINE.name, handmade[COSINE.name])
    frame = to_frame([TASK, "Other", TASK], COSINE.name, splits=["test"])
    assert frame["task"].tolist() == [TASK] * 6 + ["Other"] * 6
    assert [n for n in frame if n.endswith("/loss")] == ["test/loss"]
    curves = to_frame(TASK, COSINE.name, curves=True, splits=("test", "train"))
    assert curves["split"].tolist() == ["test"] * 18 + ["train"] * 18


def test_archives_of_others(handmade):
    utils.write_archive(TASK, "Old", published())
    table = to_frame(TASK, [COSINE.name, "Old"], library="pyarrow")
    old = table.slice(6).to_pylist()
    assert [row["opt_name"] for row in old] == ["Old_lr1", "Old_lr2"]
    assert [row["train/loss"] for row in old[:1]] == [0.1]
    assert [row["outer_valid/loss"] for row in old[:1]] == [0.2]
    # How they ended, their losses say.
    assert [row["status"] for row in old] == ["done", "diverged"]
    assert [row["diverged_from"] for row in old] == [-1, 1]
    unknown = ("seed", "optimizer", "seconds", "test/accuracy", "hparam/average")
    assert all(row[name] is None for row in old for name in unknown)
    curves = to_frame(TASK, ["Old", MOMENTUM.name], curves=True)
    first = curves[curves["set"] == "Old"]
    assert first["step"].tolist() == [0, 50] * 6
    assert first["loss"].tolist()[4:6] == [6.0, 0.2]
    assert first["accuracy"].isna().all()
    assert len(curves) == 12 + 54


def test_a_set_that_is_not_defined_has_what_its_archive_records(handmade):
    for name, key, texts in (
        ("Own_20_R2", "opt_config", ["SGDM_lr0.1_m0.9", "SGDM_lr0.2_m0.8"]),
        ("Gin_20_R2", "gin_operative_config", [gin_text("Mine", x=i) for i in (1, 2)]),
    ):
        data = arrays(MOMENTUM)
        shape = data["opt_name"].shape
        recorded = np.broadcast_to(np.array(texts)[:, None], shape)
        utils.write_archive(TASK, name, data | {key: recorded})
    table = to_frame(TASK, ["Own_20_R2", "Gin_20_R2"], library="pyarrow")
    columns = table.to_pydict()
    each = [0.1] * 3 + [0.2] * 3 + [None] * 6
    assert columns["hparam/learning_rate"] == each
    assert columns["hparam/momentum"] == [0.9] * 3 + [0.8] * 3 + [None] * 6
    assert columns["hparam/x"] == [None] * 6 + [1] * 3 + [2] * 3
    assert columns["optimizer"] == [None] * 12


def test_what_is_refused(handmade):
    with pytest.raises(UnknownNameError, match="library 'panda': did you mean pandas"):
        to_frame(TASK, SETS, library="panda")
    with pytest.raises(UnknownNameError, match=r"evaluated split 'tests'.* test"):
        to_frame(TASK, SETS, splits=["tests"])
    with pytest.raises(LoptError, match="no split is named"):
        to_frame(TASK, SETS, splits=[])
    with pytest.raises(LoptError, match="no task is named"):
        to_frame([], SETS)
    with pytest.raises(LoptError, match="no set is named"):
        to_frame(TASK, [])
    with pytest.raises(ResultError, match=f"no archive of AdamLR_1000_R5 on {TASK}"):
        to_frame(TASK, ["AdamLR_1000_R5"])


@pytest.mark.parametrize(("key", "curves"), [("opt_name", False), ("eval/xs", True)])
def test_an_archive_that_lacks_a_key(key, curves):
    held = published()
    del held[key]
    utils.write_archive(TASK, "Old", held)
    with pytest.raises(ResultError, match=f"key '{key}': there is no such key"):
        to_frame(TASK, "Old", curves=curves)


@pytest.mark.parametrize("library", frames.LIBRARIES)
def test_a_library_that_is_not_installed(handmade, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LoptError, match=rf"{library}.*optimizer-baselines\[frames\]"):
        to_frame(TASK, SETS, library=library)


def test_where_it_is_found():
    assert baselines.to_frame is to_frame
    assert frames.ALL_SPLITS == EVAL_SPLITS


@pytest.mark.parametrize("curves", [False, True])
def test_files_hold_what_the_table_holds(handmade, tmp_path, curves):
    table = to_frame(TASK, SETS, curves=curves, library="pyarrow")
    for kind in ("parquet", "csv", "json"):
        write_table(table, tmp_path / f"a.{kind}", kind)
    # NaN equals itself, null does not equal NaN.
    expected = pl.from_arrow(table)
    assert isinstance(expected, pl.DataFrame)
    again = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert again.schema.equals(table.schema)
    assert pl.DataFrame(again).equals(expected)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(expected)
    as_pandas = pd.read_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(as_pandas, table.to_pandas())

    rows = table.to_pylist()
    csv = pl.read_csv(tmp_path / "a.csv", infer_schema_length=None)
    assert csv.columns == table.column_names
    for row, read in zip(rows, csv.to_dicts(), strict=True):
        assert_same(row, read)
    by_pandas = pd.read_csv(tmp_path / "a.csv")
    final = "loss" if curves else "test/loss"
    np.testing.assert_array_equal(by_pandas[final], table[final].to_numpy())

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "a.json").read_text()
    for row, read in zip(rows, json.loads(text, parse_constant=refuse), strict=True):
        finite = {
            k: None if isinstance(v, float) and not np.isfinite(v) else v
            for k, v in row.items()
        }
        assert read == finite


def assert_same(row, read):
    for name, value in row.items():
        if isinstance(value, float) and np.isnan(value):
            assert np.isnan(read[name])
        else:
            assert read[name] == value, name


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_file_is_whole_or_not_there(handmade, tmp_path, monkeypatch, kind):
    from learned_optimization.baselines.exporting import files

    def full(table, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    table = to_frame(TASK, SETS, library="pyarrow")
    folder = tmp_path / "out"
    monkeypatch.setitem(files._WRITERS, kind, full)
    with pytest.raises(ResultError, match="No space left"):
        write_table(table, folder / "new", kind)
    assert os.listdir(folder) == []
    (folder / "old").write_text("old")
    with pytest.raises(ResultError, match="No space left"):
        write_table(table, folder / "old", kind)
    assert (folder / "old").read_text() == "old"
    assert os.listdir(folder) == ["old"]


def test_unknown_kind_of_file(handmade, tmp_path):
    table = to_frame(TASK, SETS, library="pyarrow")
    with pytest.raises(UnknownNameError, match=r"kind of file 'parket'.*parquet"):
        write_table(table, tmp_path / "a", "parket")
    assert not (tmp_path / "a").exists()
