"""A run that was cut ends as an unbroken one, bit for bit."""

import errno
import functools
import itertools

import jax
import numpy as np
import pytest

from learned_optimization import durable
from learned_optimization.errors import RunStoppedError
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.training import grid_runner
from learned_optimization.training.checkpoint import Checkpoint, CheckpointWarning
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.program import TrialProgram
from learned_optimization.training.run import run_grid
from learned_optimization.training.strategy import Strategy
from tests.tiny import StatefulTask, TinyTask
from tests.training.test_large import mapped_task  # noqa: F401

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow

PLAN = RunPlan(num_steps=57, eval_every=5, eval_batches=2, last_eval_batches=3)
OPTS = [Adam(learning_rate=lr) for lr in (0.01, 0.1, 1e8)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of one block, so that a run can be cut between any two."""
    monkeypatch.setattr(grid_runner, "_SECONDS_PER_CHUNK", 0.0)


def run(task, checkpoint=None, num_seeds=2, **kwargs):
    keys = [jax.random.PRNGKey(seed) for seed in range(num_seeds)]
    seen = []
    result = run_grid(
        task,
        OPTS,
        keys,
        PLAN,
        checkpoint=checkpoint,
        on_progress=seen.append,
        **kwargs,
    )
    return result.curves, seen


@functools.cache
def unbroken(task=None, num_seeds=2):
    """The run that no checkpoint interrupts."""
    return run(task or TinyTask(), num_seeds=num_seeds)


def checkpoint_at(tmp_path, stop_after=None, identity="this", **kwargs):
    count = itertools.count(1)
    return Checkpoint(
        path=str(tmp_path / "grid.npz"),
        identity=identity,
        should_stop=lambda: stop_after is not None and next(count) >= stop_after,
        **kwargs,
    )


def assert_same(got, want):
    assert got.keys() == want.keys()
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


def stop(task, tmp_path, after, **kwargs):
    with pytest.raises(RunStoppedError, match=f"after {5 * after} updates"):
        run(task, checkpoint_at(tmp_path, after), **kwargs)


@pytest.mark.parametrize("task", [TinyTask(), StatefulTask()], ids=["plain", "state"])
@pytest.mark.parametrize("after", [1, 4, 11])
def test_resumed_run_is_the_unbroken_one(task, after, tmp_path):
    want, every_chunk = unbroken(task)
    assert len(every_chunk) == PLAN.num_evals == 12
    stop(task, tmp_path, after)
    got, seen = run(task, checkpoint_at(tmp_path))
    assert_same(got, want)
    # It did not begin again.
    assert len(seen) == 12 - after
    assert [p.updates_done for p in seen] == [
        p.updates_done for p in every_chunk[after:]
    ]


def test_cut_several_times(tmp_path):
    want, _ = unbroken()
    for after in (2, 3, 5):
        with pytest.raises(RunStoppedError):
            run(TinyTask(), checkpoint_at(tmp_path, after))
    got, seen = run(TinyTask(), checkpoint_at(tmp_path))
    assert_same(got, want)
    assert len(seen) == 2


def test_streamed_data(mapped_task, tmp_path):  # noqa: F811
    want, _ = run(mapped_task)
    stop(mapped_task, tmp_path, 6)
    assert_same(run(mapped_task, checkpoint_at(tmp_path))[0], want)


def test_padding_is_not_kept(tmp_path):
    # Three configurations on two devices are padded to four.
    assert len(jax.devices()) >= 2
    stop(TinyTask(), tmp_path, 3, num_seeds=1, devices=jax.devices()[:2])
    want, _ = unbroken(num_seeds=1)
    got, seen = run(
        TinyTask(), checkpoint_at(tmp_path), num_seeds=1, devices=jax.devices()[:1]
    )
    assert len(seen) == 9
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("num_seeds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_padding_is_not_computed_where_a_trial_is_alone(num_seeds, monkeypatch):
    # Padding repeats the last trial: computed, it would not be seen in any curve.
    seen = []

    def count(self, *args):
        jax.debug.callback(lambda: seen.append(1))
        return run_chunk(self, *args)

    run_chunk = TrialProgram.run_chunk
    monkeypatch.setattr(TrialProgram, "run_chunk", count)
    got, chunks = run(
        TinyTask(),
        num_seeds=num_seeds,
        devices=jax.devices()[:2],
        strategy=Strategy(1),
    )
    assert len(seen) == 3 * num_seeds * len(chunks)
    monkeypatch.undo()
    want, _ = unbroken(num_seeds=num_seeds)
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, err_msg=name)


def test_saves_when_due(tmp_path):
    checkpoint = checkpoint_at(tmp_path, seconds_between=0.0)
    checkpoint._cost = 0.0
    assert checkpoint.is_due()
    run(TinyTask(), checkpoint)
    assert (tmp_path / "grid.npz").exists()
    checkpoint.remove()
    assert not list(tmp_path.iterdir())
    checkpoint = checkpoint_at(tmp_path, seconds_between=1e9)
    run(TinyTask(), checkpoint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["another run", "cut short", "flipped"])
def test_what_is_not_its_own_is_not_used(damage, tmp_path):
    want, every_chunk = unbroken()
    stop(TinyTask(), tmp_path, 5)
    path = tmp_path / "grid.npz"
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    identity = "that" if damage == "another run" else "this"
    got, seen = run(TinyTask(), checkpoint_at(tmp_path, identity=identity))
    assert_same(got, want)
    assert len(seen) == len(every_chunk)


@pytest.mark.parametrize("damage", ["cut short", "flipped", "gone"])
def test_the_one_before_is_used_where_the_newest_is_damaged(
    damage, tmp_path, monkeypatch
):
    want, every_chunk = unbroken()
    checkpoint = checkpoint_at(tmp_path, 5, seconds_between=0.0)
    # However long a write takes, every chunk is followed by one.
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "is_due", lambda self: True)
        with pytest.raises(RunStoppedError):
            run(TinyTask(), checkpoint)
    newest = tmp_path / "grid.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if damage == "gone":
        newest.unlink()
    else:
        cut = len(content) // 2 if damage == "cut short" else None
        newest.write_bytes(content[:cut])
    got, seen = run(TinyTask(), checkpoint_at(tmp_path))
    assert_same(got, want)
    assert len(seen) == len(every_chunk) - 4


def test_training_goes_on_where_no_checkpoint_can_be_written(tmp_path, monkeypatch):
    def full(path, write):
        raise OSError(errno.ENOSPC, "No space left on device")

    want, every_chunk = unbroken()
    monkeypatch.setattr(Checkpoint, "is_due", lambda self: True)
    monkeypatch.setattr(durable, "write", full)
    with pytest.warns(CheckpointWarning, match="No space left on device") as said:
        got, seen = run(TinyTask(), checkpoint_at(tmp_path))
    assert_same(got, want)
    assert len(seen) == len(every_chunk)
    assert len([w for w in said if w.category is CheckpointWarning]) == 1
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(RunStoppedError, match="after 10 updates, which could not be"),
    ):
        run(TinyTask(), checkpoint_at(tmp_path, 2))
