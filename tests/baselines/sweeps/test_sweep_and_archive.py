"""From a set to result files to an archive, with everything that can be missing."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import run_archive, utils
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.observing import SilentObserver
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.errors import LoptError, ResultError
from tests.tasks.conftest import quick_compilation  # noqa: F401
from tests.tiny import tiny_set

TASK = "TinyRegression"


INT64_SCALARS = (
    "eval/eval_batches",
    "eval/last_eval_batches",
    "num_steps",
    "eval_every",
    "eval_batches",
    "last_eval_batches",
    "accelerator_devs",
    "seed",
)


class Recorder(SilentObserver):
    def __init__(self):
        self.starts, self.updates, self.finishes = [], [], []

    def started(self, num_trials, num_done, total_updates):
        self.starts.append((num_trials, num_done, total_updates))

    def progressed(self, grid, progress):
        self.updates.append(progress.updates_done)

    def finished(self, grid, num_diverged):
        self.finishes.append((len(grid.trials), num_diverged))


def curve_files():
    return sorted(Path(utils.get_root_baseline_dir()).rglob("*.curves"))


def test_sweep_runs_everything_once(small_set):
    recorder = Recorder()
    summary = run_sweep([TASK], [small_set], recorder)
    assert (summary.num_trials, summary.num_skipped) == (9, 0)
    assert summary.num_diverged == 3
    assert summary.trial_steps == 9 * 21
    assert recorder.starts == [(9, 0, 9 * 21)]
    assert recorder.finishes == [(9, 3)]
    assert recorder.updates[-1] == 21
    assert len(curve_files()) == 9
    again = run_sweep([TASK], [small_set])
    assert (again.num_skipped, again.trial_steps) == (9, 0)
    assert len(curve_files()) == 9


def test_result_file_has_every_documented_key(small_set):
    run_sweep([TASK], [small_set])
    folder, _ = small_set(TASK)[1][0]
    results = utils.load_baseline_results_from_dir(folder, "curves")
    assert sorted(int(r["seed"]) for r in results) == [0, 1, 2]
    result = results[0]
    documented = {
        **{"train/xs": (np.int64, (21,)), "train/loss": (np.float32, (21,))},
        "eval/xs": (np.int64, (3,)),
        **{
            f"eval/{split}/{metric}": (np.float32, (3,))
            for split in ("train", "outer_valid", "test")
            for metric in ("loss", "loss_normalized", "norm")
        },
        **{
            f"final/{split}/{metric}": (np.float32, ())
            for split in ("train", "outer_valid", "test")
            for metric in ("loss", "loss_normalized", "norm")
        },
        **{
            f"final/num_examples/{split}": (np.int64, ())
            for split in ("train", "outer_valid", "test")
        },
        **dict.fromkeys(INT64_SCALARS, (np.int64, ())),
    }
    for key, (dtype, shape) in documented.items():
        assert result[key].dtype == dtype, key
        assert result[key].shape == shape, key
    for key, value in {
        "opt_name": "SGD_lr0.01",
        "task_name": TASK,
        "eval_task_name": TASK,
        "accelerator_platform": "cpu",
        "status": "done",
    }.items():
        assert result[key].dtype.kind == "U", key
        assert str(result[key]) == value
    assert "jax==" in str(result["versions"])
    config = str(result["gin_operative_config"])
    assert "SGD.learning_rate = 0.01" in config
    assert "inner_train_task.num_steps = 20" in config
    assert not bool(result["synthetic_data"])


def test_same_seed_gives_bit_identical_results_apart_from_time(small_set):
    run_sweep([TASK], [small_set])
    first = [utils.read_npz(str(p)) for p in curve_files()]
    for path in curve_files():
        path.unlink()
    run_sweep([TASK], [small_set])
    second = [utils.read_npz(str(p)) for p in curve_files()]

    def identity(result):
        return str(result["opt_name"]), int(result["seed"])

    for a, b in zip(
        sorted(first, key=identity), sorted(second, key=identity), strict=True
    ):
        assert a.keys() == b.keys()
        for key in a:
            if not key.startswith("timing/"):
                np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_stopped_sweep_goes_on_where_it_was(small_set):
    other = tiny_set("TinyAdam_20_R3", optimizer="Adam")

    class StopAfterOne(SilentObserver):
        def finished(self, grid, num_diverged):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep([TASK], [small_set, other], StopAfterOne())
    assert len(curve_files()) == 9
    summary = run_sweep([TASK], [small_set, other])
    assert (summary.num_trials, summary.num_skipped) == (18, 9)
    assert len(curve_files()) == 18


@pytest.mark.slow
def test_only_missing_and_unreadable_trials_run_again(small_set):
    run_sweep([TASK], [small_set])
    gone, broken = curve_files()[0], curve_files()[4]
    gone.unlink()
    broken.write_bytes(b"no zip")
    summary = run_sweep([TASK], [small_set])
    assert summary.num_skipped == 7
    assert summary.unreadable == [str(broken)]
    assert len(curve_files()) == 10
    assert archive(TASK, small_set).endswith("TinySGD_20_R3.npz")


def test_archive_has_leading_axes(small_set):
    run_sweep([TASK], [small_set])
    path = archive(TASK, small_set)
    assert path == utils.get_baseline_archive_path(TASK, small_set.name)
    arrays = utils.load_archive(TASK, small_set.name)
    assert arrays["train/loss"].shape == (3, 3, 21)
    assert arrays["eval/xs"].shape == (3, 3, 3)
    np.testing.assert_array_equal(arrays["seed"], [[0, 1, 2]] * 3)
    assert [str(n) for n in arrays["opt_name"][:, 0]] == list(small_set.opt_names)
    folder, _ = small_set(TASK)[1][1]
    by_seed = {
        int(r["seed"]): r
        for r in utils.load_baseline_results_from_dir(folder, "curves")
    }
    for seed in range(3):
        for key in ("train/loss", "eval/test/loss", "eval/outer_valid/loss_normalized"):
            np.testing.assert_array_equal(arrays[key][1, seed], by_seed[seed][key])


def test_archive_names_what_is_missing(small_set):
    with pytest.raises(ResultError, match="9 of 9 trials"):
        archive(TASK, small_set)
    run_sweep([TASK], [small_set])
    folder, _ = small_set(TASK)[1][1]
    for path in curve_files():
        if str(path).startswith(folder) and int(utils.read_npz(str(path))["seed"]) > 0:
            path.unlink()
    with pytest.raises(ResultError, match="2 of 9 trials") as error:
        archive(TASK, small_set)
    assert f"{folder}: seeds 1, 2" in str(error.value)
    assert not os.path.exists(utils.get_baseline_archive_path(TASK, small_set.name))
    assert run_archive.maybe_get_hparam_set(TASK, small_set.name) is None
    assert run_archive.maybe_archive_hparam_set(TASK, small_set.name) is False


def test_unreadable_files_are_named_as_missing(small_set):
    run_sweep([TASK], [small_set])
    broken = curve_files()[0]
    broken.write_bytes(b"no zip")
    with pytest.raises(ResultError, match="1 of 9 trials") as error:
        archive(TASK, small_set)
    assert f"cannot be read: {broken}" in str(error.value)


def test_files_without_a_seed_fill_any_repetition(small_set):
    run_sweep([TASK], [small_set])
    for path in curve_files():
        result = utils.read_npz(str(path))
        del result["seed"]
        utils.write_npz(str(path), result)
    assert run_sweep([TASK], [small_set]).num_skipped == 9
    archive(TASK, small_set)
    arrays = utils.load_archive(TASK, small_set.name)
    assert arrays["train/loss"].shape == (3, 3, 21)
    assert "seed" not in arrays


def test_synthetic_results_do_not_mix_with_real_ones(small_set):
    run_sweep([TASK], [small_set])
    path = str(curve_files()[0])
    utils.write_npz(path, {**utils.read_npz(path), "synthetic_data": np.True_})
    with pytest.raises(ResultError, match="synthetic"):
        archive(TASK, small_set)


def test_synthetic_results_never_stand_in_for_real_ones(small_set):
    run_sweep([TASK], [small_set])
    path = str(curve_files()[0])
    utils.write_npz(path, {**utils.read_npz(path), "synthetic_data": np.True_})
    assert run_sweep([TASK], [small_set]).num_skipped == 8
    archive(TASK, small_set)
    arrays = utils.load_archive(TASK, small_set.name)
    assert not arrays["synthetic_data"].any()


@pytest.mark.slow
def test_optimizers_that_are_plain_classes_run_one_by_one():
    plain = tiny_set("TinyPlain_20_R3", optimizer="PlainSGD")
    recorder = Recorder()
    assert run_sweep([TASK], [plain], recorder).num_trials == 9
    assert recorder.finishes == [(3, 0), (3, 0), (3, 3)]


def test_wait_refuses_wrong_names_and_numbers(small_set):
    wait = run_archive.wait_until_ready_then_archive_task
    with pytest.raises(LoptError, match="unknown task 'Misspelt'"):
        wait("Misspelt", small_set.name)
    wrong: tuple[Any, ...] = (0, -1, "x")
    for bad in wrong:
        with pytest.raises(LoptError, match="poll_seconds must be above 0"):
            wait(TASK, small_set.name, poll_seconds=bad)


def test_wait_until_ready(small_set):
    with pytest.raises(LoptError, match="gave up after"):
        run_archive.wait_until_ready_then_archive_task(
            TASK, small_set.name, poll_seconds=60.0, timeout_seconds=0.03
        )
    waiting = threading.Thread(
        target=run_archive.wait_until_ready_then_archive_task,
        args=(TASK, small_set.name),
        kwargs={"poll_seconds": 0.05},
    )
    waiting.start()
    run_sweep([TASK], [small_set])
    waiting.join(timeout=30)
    assert not waiting.is_alive()
    assert utils.list_hparam_sets_for_task(TASK) == [small_set.name]


def test_unwritable_directory_is_found_before_training(
    small_set, monkeypatch, tmp_path
):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(blocked / "results"))
    monkeypatch.setattr(TrialGrid, "run", lambda *a: pytest.fail("training began"))
    with pytest.raises(ResultError, match="cannot write below"):
        run_sweep([TASK], [small_set])


def test_bindings_that_would_change_a_set_are_refused(small_set):
    configuration.load([], ["inner_train_task.num_steps = 7"])
    with pytest.raises(LoptError, match=r"inner_train_task\.num_steps"):
        run_sweep([TASK], [small_set])
    configuration.load([], ["inner_train_task.device = 'cpu:0'"])
    assert run_sweep([TASK], [small_set]).num_trials == 9
    adam = tiny_set("TinyAdam_20_R3", optimizer="Adam")
    configuration.load([], ["Adam.beta1 = 0.5"])
    with pytest.raises(LoptError, match=r"Adam\.beta1"):
        run_sweep([TASK], [adam])


def test_two_settings_never_share_a_name():
    good = tiny_set()
    clash = type(good)(
        **{
            **{f: getattr(good, f) for f in good.__dataclass_fields__},
            "opt_names": ("same", "same", "other"),
        }
    )
    with pytest.raises(LoptError, match=r"same name 'same': SGD_lr0.01 and SGD_lr0.1"):
        run_sweep([TASK], [clash])
