"""What a result file may hold, and what is refused."""

import numpy as np
import pytest

from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    diverged_from,
    read_archive,
    read_result,
)
from learned_optimization.errors import DamagedFileError, NewerSchemaError
from learned_optimization.npz import write_npz


def good(**changes):
    return {
        "train/xs": np.arange(21),
        "train/loss": np.linspace(3, 1, 21, dtype=np.float32),
        "eval/xs": np.arange(0, 21, 10),
        **{
            f"eval/{split}/loss": np.array([3.0, 2.0, 1.0], np.float32)
            for split in ("train", "outer_valid", "test")
        },
        "eval/eval_batches": np.int64(5),
        "num_steps": np.int64(20),
        "eval_every": np.int64(10),
        "seed": np.int64(0),
        "schema_version": np.int64(SCHEMA_VERSION),
        "status": "done",
        "task_name": "T",
        "opt_name": "SGD_lr0.1",
        "gin_operative_config": "inner_train_task.seed = 0",
        "synthetic_data": np.bool_(False),
        "timing/run_seconds": 1.5,
        **changes,
    }


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.curves")


def test_a_good_file_is_read_with_keys_nobody_knows(path):
    write_npz(path, good(new_key=np.zeros((2, 2))))
    assert read_result(path).keys() == {*good(), "new_key"}
    assert list(read_result(path, ["seed", "none"], missing_ok=True)) == ["seed"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train/loss", np.zeros(20, np.float32), r"shape is \(20,\), that of"),
        ("train/loss", np.array(["a"] * 21), "should hold whole numbers or numbers"),
        ("train/xs", np.zeros(21, np.int64), "must rise"),
        ("train/xs", np.full(21, np.nan), "holds NaN or infinity"),
        ("eval/xs", np.array([20, 10, 0]), "must rise"),
        ("eval/xs", np.array([0.0, np.inf, 20.0]), "NaN or infinity"),
        ("eval/test/loss", np.float32(1), "should have 1 axes"),
        ("eval/test/loss", np.zeros((3, 1), np.float32), "should have 1 axes"),
        ("eval/test/loss", np.zeros(0, np.float32), "is empty"),
        ("eval/test/loss", np.zeros(3, bool), "holds bool"),
        ("num_steps", np.float64(np.nan), "NaN"),
        ("num_steps", np.array([20]), "should have 0 axes"),
        ("num_steps", "20", "should hold whole numbers"),
        ("seed", np.float64(0), "should hold whole numbers"),
        ("timing/run_seconds", np.float64(np.inf), "NaN or infinity"),
        ("status", "failed", "should be done or diverged"),
        ("status", "diverged", "does not fit the last training loss"),
        ("task_name", np.int64(3), "should hold text"),
        ("synthetic_data", "yes", "should hold truth values"),
        ("schema_version", np.float64(1), "no whole number"),
        ("schema_version", np.float64(np.nan), "no whole number"),
        ("schema_version", np.zeros(0, np.int64), "no whole number"),
        ("schema_version", np.zeros((2, 2), np.int64), "should have 0 axes"),
        ("schema_version", np.int64(-1), "should hold 0 to"),
        ("schema_version", "2", "no whole number"),
        ("seed", np.int64(-1), "holds -1, and should hold 0 to"),
        ("seed", np.uint64(2**64 - 1), "holds 18446744073709551615, and should"),
        ("seed", np.zeros(2, np.int64), "should have 0 axes"),
        ("num_steps", np.uint64(2**64 - 1), "should hold 0 to 9007199254740992"),
        ("num_steps", np.float64(1e300), "holds 1e\\+300, and should hold"),
        ("num_steps", np.int64(-5), "holds -5"),
        ("eval_every", np.int64(0), "should hold 1 to"),
        ("eval/eval_batches", np.int64(-1), "should hold 0 to"),
        ("diverged_from", np.uint64(2**64 - 1), "should hold -1 to"),
        ("diverged_from", np.int64(-2), "should hold -1 to"),
        ("diverged_from", np.float64(3), "should hold whole numbers"),
        ("train/xs", np.arange(-1, 20), "should hold 0 to"),
        ("train/xs", np.arange(21).astype(np.uint64) + 2**63, "should hold 0 to"),
        ("task_name", "x" * (1 << 20) + "y", "its texts take 4,194,308 bytes each"),
    ],
)
def test_what_a_key_must_not_hold(path, key, value, message):
    write_npz(path, good(**{key: value}))
    with pytest.raises(DamagedFileError, match=message) as error:
        read_result(path)
    assert path in str(error.value)
    assert error.value.key is not None
    assert "delete it and make it again" in str(error.value)


def test_a_done_trial_has_a_loss_at_its_end(path):
    losses = np.full(21, np.nan, np.float32)
    write_npz(path, good(**{"train/loss": losses}))
    with pytest.raises(DamagedFileError, match="does not fit the last training loss"):
        read_result(path)
    write_npz(path, good(**{"train/loss": losses, "status": "diverged"}))
    assert np.isnan(read_result(path)["train/loss"]).all()


def test_a_newer_schema_is_not_damage(path):
    # What it holds otherwise is for newer versions to know.
    write_npz(path, good(schema_version=SCHEMA_VERSION + 1, seed="a text now"))
    with pytest.raises(NewerSchemaError, match=r"schema version 3.*Install a newer"):
        read_result(path)
    write_npz(path, good(schema_version=np.array([2, 2**64 - 1], np.uint64)))
    with pytest.raises(NewerSchemaError, match="schema version 18446744073709551615"):
        read_result(path)
    assert not issubclass(NewerSchemaError, DamagedFileError)


def test_a_file_of_ours_without_its_seal_is_damaged(path):
    np.savez(f"{path}.npz", **good())
    with pytest.raises(DamagedFileError, match="its seal is broken"):
        read_result(f"{path}.npz")


def test_files_that_are_no_results_are_refused(path):
    write_npz(path, {"x": np.zeros(3)})
    with pytest.raises(DamagedFileError, match="it is no result file"):
        read_result(path)


def published(num_rates=15, num_seeds=5, num_evals=4, dtype=np.float64):
    """An archive as others publish them: no keys of ours, numpy's own writing."""
    axes = (num_rates, num_seeds)
    xs = np.broadcast_to(np.arange(num_evals) * 10.0, (*axes, num_evals))
    return {
        "eval/xs": xs.astype(dtype),
        "train/xs": np.broadcast_to(np.arange(31), (*axes, 31)).astype(dtype),
        "train/loss": np.full((*axes, 31), np.nan, dtype),
        **{
            f"eval/{split}/{key}": np.ones((*axes, num_evals), dtype)
            for split in ("train", "outer_valid", "test")
            for key in ("loss", "loss_normalized")
        },
        "eval/eval_batches": np.full(axes, 5),
        "eval/last_eval_batches": np.full(axes, 10),
        "num_steps": np.full(axes, 30),
        "opt_name": np.full(axes, "Adam_lr0.1"),
        "gin_operative_config": np.full(axes, "# none"),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_in_the_published_form_are_read(tmp_path, dtype, save):
    path = str(tmp_path / "AdamLR_30_R5.npz")
    save(path, **published(dtype=dtype))
    archive = read_archive(path)
    assert archive["eval/train/loss"].shape == (15, 5, 4)
    assert archive["eval/train/loss"].dtype == dtype


def test_archives_are_checked_too(tmp_path):
    path = str(tmp_path / "a.npz")
    write_npz(path, {**published(), "num_steps": np.full((15, 4), 30)})
    with pytest.raises(DamagedFileError, match=r"of 15 x 4 trials, other keys of 15 x"):
        read_archive(path)
    write_npz(path, {**published(), "num_steps": np.int64(30)})
    with pytest.raises(DamagedFileError, match="should have 2 axes"):
        read_archive(path)


def test_diverged_from():
    nan = np.nan
    assert diverged_from(np.array([1.0, 2.0])) == -1
    assert diverged_from(np.array([1.0, nan, 2.0])) == -1
    assert diverged_from(np.array([1.0, nan, 2.0, np.inf, nan])) == 3
    assert diverged_from(np.array([nan, nan])) == 0
