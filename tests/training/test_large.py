"""What is too large for memory: mapped data sets, and many trials at once."""

from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
import pytest

from learned_optimization.eval_training import multi_trial_training_curves
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.training import feed, grid
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.pools import pool_of
from learned_optimization.training.trial_data import ArrayPool, ArrayReader
from tests import tiny
from tests.tiny import TinyDatasets, TinyTask

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow


@cache
def mapped(folder) -> ArrayData:
    data = tiny._load()
    arrays = {}
    for field, array in data.arrays.items():
        path = folder / f"{field}.bin"
        array.tofile(path)
        arrays[field] = np.memmap(path, array.dtype, "r", shape=array.shape)
    return ArrayData(arrays, data.splits, data.divisors)


@dataclass(frozen=True)
class MappedDatasets(TinyDatasets):
    folder: object = None

    def load(self) -> ArrayData:
        return mapped(self.folder)


@pytest.fixture
def mapped_task(tmp_path):
    return TinyTask(datasets=MappedDatasets(folder=tmp_path))


def curves(task, eval_task=None, num_seeds=2):
    return multi_trial_training_curves(
        task,
        [SGD(learning_rate=lr) for lr in (0.01, 0.02, 0.05)],
        num_steps=57,
        keys=[jax.random.PRNGKey(s) for s in range(num_seeds)],
        eval_every=5,
        eval_task=eval_task,
    ).curves


@cache
def curves_in_memory(eval_task=None):
    return curves(TinyTask(), eval_task)


def assert_same(got, want, **tolerance):
    assert got.keys() == want.keys()
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, err_msg=name, **tolerance)


@pytest.mark.parametrize("chunk_bytes", [1, 20_000, 1 << 28])
def test_mapped_data_gives_the_same_curves(mapped_task, monkeypatch, chunk_bytes):
    monkeypatch.setattr(feed, "_CHUNK_DATA_BYTES", chunk_bytes)
    assert pool_of(mapped_task.datasets).is_streamed
    assert_same(curves(mapped_task), curves_in_memory(), rtol=0)


def test_either_of_two_data_sets_may_be_mapped(mapped_task):
    want = curves_in_memory(TinyTask(noise=0.0))
    quiet = TinyTask(datasets=mapped_task.datasets, noise=0.0)
    assert_same(curves(TinyTask(), quiet), want, rtol=0)
    assert_same(curves(mapped_task, TinyTask(noise=0.0)), want, rtol=0)


def test_a_chunk_reads_each_example_once(mapped_task):
    pool = pool_of(mapped_task.datasets)
    assert isinstance(pool, ArrayPool)
    reader = pool.reader([], RunPlan(1), is_trained=True, is_evaluated=True)
    indices = [np.array([[7, 3], [7, 9]]), np.array([3, 250])]
    arrays, moved = reader.gather(indices, room=6)
    for index, place in zip(indices, moved, strict=True):
        for field, stored in pool.stored.items():
            np.testing.assert_array_equal(arrays[field][place], stored[index])
    assert arrays["x"].shape == (6, tiny.NUM_FEATURES)
    assert (arrays["x"][4:] == 0).all()


def test_chunks_of_mapped_data_fit_their_limit(mapped_task, monkeypatch):
    read = []
    gather = ArrayReader.gather
    monkeypatch.setattr(feed, "_CHUNK_DATA_BYTES", 20_000)
    monkeypatch.setattr(
        ArrayReader,
        "gather",
        lambda self, indices, room: read.append(room) or gather(self, indices, room),
    )
    curves(mapped_task)
    example_bytes = tiny._load().nbytes / 300
    assert len(read) > 2
    assert all(room * example_bytes <= 20_000 for room in read)


def test_groups_divide_an_axis_evenly():
    sizes = []

    def function(x, y):
        sizes.append(x.shape)
        return x + y

    x = np.arange(12.0).reshape(6, 2)
    for width in (1, 2, 4, 6, 9):
        got = grid.map_in_groups(function, (0, None), 6, width)(x, np.ones(2))
        np.testing.assert_array_equal(got, x + 1)
    assert set(sizes) == {(2,)}
