"""The two files of a checkpoint: whatever happens to one, the other is there."""

import errno
import os
import warnings
from collections import Counter
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization import durable, filesystem
from learned_optimization.npz import read_npz, write_npz
from learned_optimization.training.checkpoint import (
    Checkpoint,
    CheckpointWarning,
    Saved,
    read_identity,
)
from learned_optimization.training.program import ChunkOutputs
from learned_optimization.training.strategy import Strategy
from tests.faults import Killed, failing_at

GRID = (2, 3)
TEMPLATE = {
    "a": np.zeros((*GRID, 4), np.float32),
    "b": np.zeros(GRID, jnp.bfloat16),
}


def saved(blocks: int) -> Saved:
    """A run after some blocks of 5 updates, told from every other by its numbers."""
    rng = np.random.default_rng(blocks)
    curves: Any = rng.normal(size=(*GRID, 5 * blocks)).astype(np.float32)
    metrics: Any = {"loss": rng.normal(size=(*GRID, blocks, 3)).astype(np.float32)}
    return Saved(
        blocks_done=blocks,
        opt_state={k: rng.normal(size=v.shape).astype(v.dtype) for k, v in STATE},
        chunk=ChunkOutputs(curves, metrics),
        run_seconds=float(blocks),
        strategy=Strategy(blocks),
    )


STATE = tuple(TEMPLATE.items())


def blocks_of(checkpoint: Checkpoint) -> int:
    """Load a checkpoint; returns its blocks once it is what was saved, or 0."""
    got = checkpoint.load(TEMPLATE)
    if got is None:
        assert checkpoint.strategy() is None
        return 0
    want = saved(got.blocks_done)
    assert checkpoint.strategy() == got.strategy == want.strategy
    for key, values in want.opt_state.items():
        assert got.opt_state[key].dtype == values.dtype
        assert got.opt_state[key].tobytes() == values.tobytes()
    np.testing.assert_array_equal(got.chunk.train_loss, want.chunk.train_loss)
    np.testing.assert_array_equal(got.chunk.metrics["loss"], want.chunk.metrics["loss"])
    return got.blocks_done


def new(path, identity="this") -> Checkpoint:
    """The checkpoint as a process that starts sees it."""
    return Checkpoint(str(path), identity)


@pytest.fixture(params=["disk", "store"])
def path(request, tmp_path):
    if request.param == "disk":
        yield str(tmp_path / "grid.npz")
    else:
        folder = f"memory://lopt-checkpoints/{tmp_path.name}"
        yield f"{folder}/grid.npz"
        for file in filesystem.walk_files(folder, ""):
            filesystem.remove_file(file.path)


def test_files_are_written_in_turn(path):
    checkpoint = new(path)
    first, second = checkpoint.paths
    for blocks in (1, 2, 3, 4):
        assert checkpoint.save(saved(blocks))
        assert blocks_of(new(path)) == blocks
    # Also by the processes that follow one another.
    for blocks in (5, 6, 7):
        checkpoint = new(path)
        assert blocks_of(checkpoint) == blocks - 1
        checkpoint.save(saved(blocks))
        filesystem.remove_file(first if blocks % 2 else second)
        assert blocks_of(new(path)) == blocks - 1
        checkpoint.save(saved(blocks))
        checkpoint.save(saved(blocks))
    assert {read_identity(p) for p in checkpoint.paths} == {"this"}
    assert blocks_of(new(path, "that")) == 0
    checkpoint.remove()
    checkpoint.remove()
    assert not filesystem.list_files(os.path.dirname(path))


def damages(content: bytes):
    yield b""
    yield b"x" * len(content)
    for share in range(1, 20):
        yield content[: len(content) * share // 20]
        at = len(content) * share // 20
        yield content[:at] + bytes(min(512, len(content) - at)) + content[at + 512 :]
    rng = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(content)
        for at in rng.integers(len(content), size=rng.integers(1, 4)):
            changed[at] ^= 1 << rng.integers(8)
        yield bytes(changed)


def test_a_damaged_one_falls_back_to_the_one_before():
    checkpoint = new("memory://lopt-checkpoints/damaged/grid.npz")
    path = checkpoint.path
    for blocks in (1, 2):
        checkpoint.save(saved(blocks))
    newest = checkpoint.paths[1]
    with filesystem.open_to_read(newest) as file:
        content = file.read()
    seen = Counter()
    for damaged in damages(content):
        filesystem.write_whole(newest, lambda file, d=damaged: file.write(d))
        after = new(path)
        seen[blocks_of(after)] += 1
    print(f"{sum(seen.values())} damages: went on from block {dict(seen)}")
    # Bits that nothing depends on may change.
    assert seen.keys() <= {1, 2}
    assert seen[1] > 150
    # The next one takes the place of the damaged one.
    filesystem.write_whole(newest, lambda file: file.write(b"damaged"))
    after = new(path)
    assert blocks_of(after) == 1
    assert after.save(saved(3))
    assert blocks_of(new(path)) == 3
    with filesystem.open_to_read(newest) as file:
        assert file.read() != b"damaged"
    checkpoint.remove()


def change(arrays, **changes):
    arrays = arrays | {k: np.asarray(v) for k, v in changes.items() if v is not None}
    return {k: v for k, v in arrays.items() if changes.get(k, 0) is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 3},
        {"version": None},
        {"identity": "that"},
        {"identity": None},
        {"strategy": "by magic"},
        {"strategy": None},
        {"generation": None},
        {"blocks_done": None},
        {"blocks_done": "two"},
        {"blocks_done": [1, 2]},
        {"run_seconds": "long"},
        {"train_loss": None},
        {"state/0": None},
        {"state/1": None},
        {"state/2": np.zeros(3, np.uint8)},
        {"state/0": np.zeros(95, np.uint8)},
        {"state/0": np.zeros(192, np.uint8)},
        {"state/0": np.zeros(24, np.float32)},
        {"state/0": np.zeros((2, 3, 4), np.uint8)},
    ],
    ids=str,
)
def test_one_of_another_shape_or_version_is_as_good_as_none(path, changes):
    checkpoint = new(path)
    checkpoint.save(saved(1))
    checkpoint.save(saved(2))
    newest = checkpoint.paths[1]
    write_npz(newest, change(read_npz(newest), **changes))
    used = new(path).load(TEMPLATE)
    assert used is not None
    assert used.blocks_done == 1
    filesystem.remove_file(checkpoint.paths[0])
    assert new(path).load(TEMPLATE) is None


def test_one_without_a_seal_or_of_other_curves_is_not_used(tmp_path):
    checkpoint = new(tmp_path / "grid.npz")
    checkpoint.save(saved(1))
    checkpoint.save(saved(2))
    assert new(checkpoint.path).load(TEMPLATE, lambda s: s.blocks_done < 2) is not None
    arrays: dict[str, Any] = read_npz(checkpoint.paths[1])
    np.savez(checkpoint.paths[1], **arrays)
    assert blocks_of(new(checkpoint.path)) == 1


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "Input/output error"),
    Killed(),
]


@pytest.mark.parametrize("error", ERRORS, ids=["full", "broken", "killed"])
@pytest.mark.parametrize(
    "before", [2, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (0, 1))]
)
def test_a_save_that_fails_at_any_call(tmp_path, before, error):
    seen = Counter()
    for nth in range(1, 1_000):
        path = tmp_path / f"{nth}" / "grid.npz"
        checkpoint = new(path)
        for blocks in range(1, before + 1):
            checkpoint.save(saved(blocks))
        with warnings.catch_warnings(), failing_at(nth, error) as calls:
            warnings.simplefilter("ignore", CheckpointWarning)
            checkpoint.save(saved(before + 1))
        if len(calls) < nth:
            break
        after = blocks_of(new(path))
        assert after in (before, before + 1)
        seen[after - before] += 1
        checkpoint = new(path)
        checkpoint.load(TEMPLATE)
        assert checkpoint.save(saved(9))
        assert blocks_of(new(path)) == 9
    print(f"failed at {sum(seen.values())} calls; one more is there after {seen[1]}")
    assert seen[0] > 10
    assert seen[1] > 0


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EFBIG, "File too large"), RuntimeError("503 Slow Down")],
    ids=["too large", "a client's own"],
)
def test_what_cannot_be_written_is_said_once(path, monkeypatch, error):
    checkpoint = new(path)
    checkpoint.save(saved(1))

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", fail)
        patch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", fail)
        with pytest.warns(CheckpointWarning) as said:
            are_written = [checkpoint.save(saved(blocks)) for blocks in (2, 3)]
    assert are_written == [False, False]
    [warning] = said
    assert str(error).rpartition("] ")[2] in str(warning.message)
    # It is tried again, and what was there is there.
    assert blocks_of(new(path)) == 1
    assert checkpoint.save(saved(4))
    assert blocks_of(new(path)) == 4


@pytest.mark.parametrize("why", ["bytes", "arrays"])
def test_what_could_never_be_read_is_not_written(path, monkeypatch, why):
    checkpoint = new(path)
    checkpoint.save(saved(1))
    if why == "bytes":
        monkeypatch.setenv("LOPT_MAX_READ_BYTES", "2000")
        large = replace(saved(2), opt_state=[np.zeros(2000, np.uint8)])
    else:
        large = replace(saved(2), opt_state=[np.zeros(1, np.uint8)] * 10_001)
    with pytest.warns(CheckpointWarning, match="no checkpoint can be written"):
        assert not checkpoint.save(large)
    # It is said once.
    assert not checkpoint.save(large)
    monkeypatch.delenv("LOPT_MAX_READ_BYTES", raising=False)
    assert blocks_of(new(path)) == 1


def test_what_is_written_can_be_read_and_else_that_is_said(path, monkeypatch):
    large = replace(saved(1), opt_state=[np.zeros(100_000, np.uint8)])
    seen = Counter()
    for limit in range(95_000, 120_000, 500):
        monkeypatch.setenv("LOPT_MAX_READ_BYTES", f"{limit}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CheckpointWarning)
            is_written = new(path).save(large)
        seen[is_written] += 1
        if is_written:
            assert new(path).load(large.opt_state) is not None
            new(path).remove()
    assert min(seen[False], seen[True]) > 10
    new(path).save(large)
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", "100000")
    with pytest.warns(CheckpointWarning, match="LOPT_MAX_READ_BYTES"):
        assert new(path).load(large.opt_state) is None


def test_what_cannot_be_reached_is_said(tmp_path, monkeypatch):
    checkpoint = new(tmp_path / "grid.npz")
    checkpoint.save(saved(1))
    checkpoint.save(saved(2))
    real = os.open

    def unreadable(path, *args):
        if str(path) == checkpoint.paths[1]:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *args)

    monkeypatch.setattr(os, "open", unreadable)
    with pytest.warns(CheckpointWarning, match=r"second.npz: Input/output error"):
        assert blocks_of(new(checkpoint.path)) == 1
    monkeypatch.undo()

    def undeletable(path):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "remove", undeletable)
    with pytest.warns(CheckpointWarning, match="is left behind"):
        checkpoint.remove()
