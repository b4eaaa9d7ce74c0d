"""Result files: places, formats, refusals."""

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import baselines
from learned_optimization.baselines import utils
from learned_optimization.baselines.layout import results_dir
from learned_optimization.errors import LoptError, ResultError
from learned_optimization.npz import NpzWriter
from learned_optimization.training.plan import RunPlan


def make_result(seed=0, **changes):
    return {
        "task_name": "T",
        "opt_name": "SGD_lr0.1",
        "num_steps": np.int64(20),
        "eval_every": np.int64(10),
        "eval_batches": np.int64(5),
        "last_eval_batches": np.int64(10),
        "eval/xs": np.arange(0, 21, 10),
        "eval/test/loss": np.array([3.0, 2.0, 1.0], np.float32),
        "seed": np.int64(seed),
        **changes,
    }


def test_directories_follow_the_environment(monkeypatch):
    monkeypatch.delenv("LOPT_BASELINE_DIR")
    monkeypatch.delenv("LOPT_BASELINE_ARCHIVES_DIR")
    home = os.path.expanduser("~")
    assert utils.get_root_baseline_dir() == f"{home}/lopt_baselines"
    assert utils.get_baseline_archive_rootdir() == f"{home}/lopt_baselines_archives"
    monkeypatch.setenv("LOPT_BASELINE_DIR", "~/elsewhere")
    assert utils.get_root_baseline_dir() == f"{home}/elsewhere"


def test_paths():
    root = utils.get_root_baseline_dir()
    folder = utils.get_save_dir("T", "SGD_lr0.1", 20, 10, 5, 10)
    assert folder == f"{root}/T/SGD_lr0.1/20_10_5_10"
    archives = utils.get_baseline_archive_rootdir()
    assert utils.get_baseline_archive_path("T", "S") == f"{archives}/T/S.npz"


def test_written_result_is_plain_npz_without_pickle():
    path = utils.write_baseline_result(make_result())
    pattern = r".*/T/SGD_lr0\.1/20_10_5_10/\d{8}_\d{6}_[0-9a-f-]{10}\.curves"
    assert re.fullmatch(pattern, path)
    with np.load(path, allow_pickle=False) as npz:
        data = dict(npz.items())
    assert str(data["task_name"]) == "T"
    np.testing.assert_array_equal(data["eval/test/loss"], np.array([3, 2, 1]))
    assert data["eval/xs"].dtype == np.int64


def test_load_from_dir_in_order_of_names():
    paths = [utils.write_baseline_result(make_result(seed)) for seed in range(3)]
    folder = os.path.dirname(paths[0])
    want = [int(utils.read_npz(p)["seed"]) for p in sorted(paths)]
    for threads in (0, 2):
        loaded = utils.load_baseline_results_from_dir(folder, "curves", threads=threads)
        assert [int(r["seed"]) for r in loaded] == want
    assert len(utils.load_baseline_results("T", "SGD_lr0.1", 20)) == 3
    assert utils.load_baseline_results("T", "SGD_lr0.2", 20) == []


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_bad_files_are_all_named_or_cleared(damage):
    good = utils.write_baseline_result(make_result())
    bad = [utils.write_baseline_result(make_result(s)) for s in (1, 2)]
    for path in bad:
        content = Path(path).read_bytes()
        content = {"truncated": content[:-40], "garbage": b"x" * 99, "empty": b""}
        Path(path).write_bytes(content[damage])
    folder = os.path.dirname(good)
    with pytest.raises(ResultError) as error:
        utils.load_baseline_results_from_dir(folder, "curves")
    assert all(path in str(error.value) for path in bad)
    left = utils.load_baseline_results_from_dir(folder, "curves", clear_bad_files=True)
    assert [int(r["seed"]) for r in left] == [0]
    # Nothing is lost: the damaged files are beside the good one, each with a note.
    assert sorted(os.listdir(folder)) == [".quarantine", os.path.basename(good)]
    names = [os.path.basename(path) for path in bad]
    quarantined = Path(folder, ".quarantine")
    assert {p.name for p in quarantined.iterdir()} == {
        *names,
        *(f"{name}.json" for name in names),
    }
    note = json.loads((quarantined / f"{names[0]}.json").read_text())
    assert note["path"] == bad[0]
    assert note["kind"] == "DamagedFileError"
    assert note["problem"] in str(error.value)
    assert len(utils.load_baseline_results_from_dir(folder)) == 1


def test_a_file_of_a_newer_version_is_never_quarantined():
    path = utils.write_baseline_result(make_result(schema_version=np.int64(99)))
    with pytest.raises(ResultError, match="Install a newer version"):
        utils.load_baseline_results_from_dir(
            os.path.dirname(path), clear_bad_files=True
        )
    assert os.path.exists(path)


def test_pickles_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ResultError, match="need a pickle"):
        utils.write_npz(str(tmp_path / "a.npz"), {"x": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ResultError, match="cannot read"):
        utils.read_npz(str(tmp_path / "b.npz"))


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(NpzWriter, "add_rows", fail)
    with pytest.raises(ResultError, match=r"cannot write .*a\.npz: No space left"):
        utils.write_npz(str(tmp_path / "deep" / "a.npz"), {"x": 1})
    assert list((tmp_path / "deep").iterdir()) == []


def test_equal_arrays_make_equal_bytes(tmp_path):
    for name in "ab":
        utils.write_npz(str(tmp_path / name), make_result())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_archives():
    arrays = {"eval/test/loss": np.zeros((2, 3, 4))}
    path = utils.write_archive("T", "B_1_R1", arrays)
    utils.write_archive("T", "A_1_R1", arrays)
    assert utils.list_hparam_sets_for_task("T") == ["A_1_R1", "B_1_R1"]
    assert utils.list_hparam_sets_for_task("U") == []
    assert utils.load_archive("T", "A_1_R1")["eval/test/loss"].shape == (2, 3, 4)
    assert baselines.load_archive is utils.load_archive
    with pytest.raises(ResultError, match=r"archived for this task: A_1_R1, B_1_R1"):
        utils.load_archive("T", "C_1_R1")
    assert utils.delete_archive("T", "B_1_R1") == path
    with pytest.raises(ResultError, match="no archive"):
        utils.delete_archive("T", "B_1_R1")


def test_delete_saved_task_data():
    path = utils.write_baseline_result(make_result())
    other = utils.write_baseline_result(make_result(opt_name="SGD_lr0.3"))
    assert utils.delete_saved_task_data("T", "SGD_lr0.1", 20, 10, 5, 10) == [path]
    assert not os.path.exists(path)
    assert os.path.exists(other)


def test_delete_everything_of_a_task():
    paths = [
        utils.write_baseline_result(make_result()),
        utils.write_baseline_result(make_result(opt_name="SGD_lr0.3")),
        utils.write_archive("T", "S", {"x": np.zeros((1, 1))}),
    ]
    other = utils.write_baseline_result(make_result(task_name="U"))
    with pytest.raises(LoptError, match="give both opt_name and num_steps"):
        utils.delete_saved_task_data("T", "SGD_lr0.1")
    assert utils.delete_saved_task_data("T") == sorted(paths)
    assert not any(map(os.path.exists, paths))
    assert os.path.exists(other)


def test_results_are_written_where_the_arguments_say():
    data = {"eval/xs": np.arange(3), "eval/test/loss": np.ones(3), "task_name": "T"}
    where = {
        "task_name": "Mine",
        "opt_name": "Own",
        "num_steps": 20,
        "eval_every": 10,
        "eval_batches": 5,
        "last_eval_batches": 10,
        "output_type": "curves",
    }
    path = utils.write_baseline_result(data, **where)
    assert path.startswith(utils.get_save_dir("Mine", "Own", 20, 10, 5, 10) + "/")
    [found] = utils.load_baseline_results("Mine", "Own", 20, 10, 5, 10, "curves")
    assert str(found["task_name"]) == "T"
    with pytest.raises(ResultError, match="no key 'num_steps'"):
        utils.write_baseline_result(data, "Mine", "Own")
    # What is no curve may hold anything, and a suffix makes another root.
    other = {**where, "output_type": "notes", "save_dir_suffix": "_other"}
    path = utils.write_baseline_result({"anything": 3}, **other)
    root = utils.get_root_baseline_dir()
    assert path.startswith(f"{root}_other/Mine/Own/20_10_5_10/")
    folder = utils.get_save_dir("Mine", "Own", 20, 10, 5, 10, save_dir_suffix="_other")
    [notes] = utils.load_baseline_results_from_dir(folder, "notes")
    assert int(notes["anything"]) == 3


def test_memory_urls_work_like_folders(monkeypatch):
    monkeypatch.setenv("LOPT_BASELINE_DIR", "memory://lopt-results")
    path = utils.write_baseline_result(make_result())
    assert path.startswith("memory://lopt-results/T/")
    assert len(utils.load_baseline_results("T", "SGD_lr0.1", 20)) == 1
    utils.delete_saved_task_data("T", "SGD_lr0.1", 20, 10, 5, 10)
    assert utils.load_baseline_results("T", "SGD_lr0.1", 20) == []


def test_a_plan_names_its_folder_and_its_keys():
    plan = RunPlan(20, eval_every=4, eval_batches=3, last_eval_batches=2)
    assert plan.folder == "20_4_3_2"
    assert plan.as_keys() == {
        "num_steps": 20,
        "eval_every": 4,
        "eval_batches": 3,
        "last_eval_batches": 2,
    }
    folder = utils.get_save_dir("T", "SGD", 20, 4, 3, 2)
    assert folder == results_dir("T", "SGD", plan)
    assert folder.endswith("/T/SGD/20_4_3_2")


def test_a_plan_is_checked_where_it_enters():
    with pytest.raises(LoptError, match="eval_every must be a whole number"):
        utils.get_save_dir("T", "SGD", 20, 0, 5, 10)
    with pytest.raises(LoptError, match="num_steps must be a whole number"):
        utils.load_baseline_results("T", "SGD", 0)
