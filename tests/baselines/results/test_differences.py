"""Where results differ, and how much; and a trial trained again."""

from pathlib import Path

import numpy as np
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import utils
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.differences import (
    Difference,
    differences,
    read_any,
)
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.baselines.sweeps.replay import replay
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.errors import LoptError, ResultError
from tests.baselines.files import TASK, result, write_set
from tests.tiny import TinyTask

NAN, INF = np.nan, np.inf


def test_equal_results_do_not_differ():
    a = {k: np.asarray(v) for k, v in result("SGD_lr1", 0, diverges_at=7).items()}
    assert differences(a, {**a, "timing/run_seconds": np.asarray(9.0)}) == []


def test_what_differs_is_measured():
    xs = np.arange(0, 40, 10)
    a = {"eval/xs": xs, "eval/test/loss": np.array([1.0, 2.0, NAN, INF])}
    b = {"eval/xs": xs, "eval/test/loss": np.array([1.0, 2.5, NAN, 3.0])}
    assert differences(a, b) == [
        Difference(
            "eval/test/loss",
            largest=0.5,
            largest_relative=0.2,
            first_step=10,
            num_different=2,
            num_numbers=4,
            finite_in_one=1,
        )
    ]
    assert differences(a, b, ["eval/xs"]) == []


def test_what_is_no_number_differs_in_words():
    a = {"name": np.asarray("a"), "x": np.zeros(2), "only": np.zeros(1)}
    b = {"name": np.asarray("b"), "x": np.zeros(3), "new": np.zeros(1)}
    assert [(d.key, d.what) for d in differences(a, b)] == [
        ("name", "'a' and 'b'"),
        ("x", "of shape (2,) and (3,)"),
        ("only", "only in the first"),
        ("new", "only in the second"),
    ]


def test_files_of_both_kinds_are_read(small_set):
    [first, *_] = write_set(small_set)
    assert read_any(first)["seed"] == 0
    assert read_any(archive(TASK, small_set))["seed"].shape == (3, 3)
    with pytest.raises(ResultError, match="neither a result file"):
        read_any("x.txt")


@pytest.fixture
def trained(small_set, monkeypatch):
    """Path of a trained trial; fixed tasks are found by their names."""
    # The tests' task is known to gin alone, and a set's trials name it so.
    run_sweep([TASK], [small_set])
    folder = small_set.save_dirs(TASK)[1][0]
    [path, *_] = sorted(str(p) for p in Path(folder).glob("*.curves"))
    return path


@pytest.mark.slow
def test_a_trial_is_trained_again_from_its_file(trained):
    before = utils.read_npz(trained)
    done = replay(trained)
    assert done.trial.seed == int(before["seed"])
    assert done.trial.opt.name == str(before["opt_config"])
    assert done.is_same
    assert done.early < 1e-6
    assert done.changed_versions == []
    assert "timing/trials_run_together 9 then, 2 now" in done.elsewhere
    # Nothing is written.
    assert len(utils.load_baseline_results("TinyRegression", "SGD_lr0.1", 20)) == 3


def test_a_changed_curve_is_noticed(trained):
    stored = utils.read_npz(trained)
    losses = stored["train/loss"].copy()
    losses[5] *= 1.01
    versions = str(stored["versions"]).replace("numpy==", "numpy==0.")
    utils.write_npz(trained, {**stored, "train/loss": losses, "versions": versions})
    done = replay(trained)
    assert not done.is_same
    assert done.early == pytest.approx(0.01, rel=0.01)
    [difference] = [d for d in done.differences if d.key == "train/loss"]
    assert difference.first_step is not None
    [(then, now)] = done.changed_versions
    assert (then, now) == (f"numpy==0.{np.__version__}", f"numpy=={np.__version__}")


def test_a_changed_loss_over_a_whole_split_is_noticed(trained):
    stored = utils.read_npz(trained)
    loss = stored["final/test/loss"] * np.float32(2)
    count = stored["final/num_examples/test"] + 1
    changes = {"final/test/loss": loss, "final/num_examples/test": count}
    # A file of an earlier version lacks some.
    lacking = {k: v for k, v in stored.items() if k != "final/train/loss"}
    utils.write_npz(trained, lacking | changes)
    found = {d.key: d for d in replay(trained).differences}
    assert found["final/test/loss"].largest_relative == pytest.approx(0.5, rel=1e-3)
    assert found["final/num_examples/test"].largest == 1
    assert "final/train/loss" not in found


def test_what_cannot_be_replayed_says_why(trained):
    stored = utils.read_npz(trained)

    def change(**changes):
        utils.write_npz(trained, {**stored, **changes})
        with pytest.raises(LoptError) as error:
            replay(trained)
        assert trained in str(error.value)
        return str(error.value)

    assert "does not record seed" in _without(trained, stored, "seed")
    config = str(stored["gin_operative_config"])
    other = config.replace("inner_train_task.seed = ", "inner_train_task.seed = 1")
    assert "makes a trial of seed 1" in change(gin_operative_config=other)
    unknown = config.replace("TinyRegression()", "Nowhere()")
    assert "Import the file, or the module, of a task" in change(
        gin_operative_config=unknown
    )
    assert "LOPT_SYNTHETIC_DATA" in change(synthetic_data=np.True_)


def _without(path, stored, key):
    utils.write_npz(path, {k: v for k, v in stored.items() if k != key})
    with pytest.raises(LoptError) as error:
        replay(path)
    return str(error.value)


def test_objects_from_python_are_not_recorded():
    configuration.load()
    inner_train_task(TinyTask(), "SGD", 20, task_name=TASK)
    [stored] = utils.load_baseline_results(TASK, "SGD_lr0.01", 20)
    folder = utils.get_save_dir(TASK, "SGD_lr0.01", 20, 10, 5, 10)
    path = f"{folder}/python.curves"
    utils.write_npz(path, stored)
    with pytest.raises(LoptError, match="as an object from Python is not recorded"):
        replay(path)
