"""Data from iterators, against a plain Python loop with optax."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    Checkpoint,
    RunStoppedError,
    multi_trial_training_curves,
    single_task_training_curves,
    trial_curves,
)
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.datasets.base import (
    SPLITS,
    Datasets,
    LazyDataset,
    LazyIterator,
    ThreadSafeIterator,
    dataset_lru_cache,
    dataset_lru_cache_clear,
    datasets_map,
)
from learned_optimization.training import feed
from learned_optimization.training.pools import pool_of
from tests.tiny import TinyTask, data_of, tiny_set

EVAL_SPLITS = ("train", "outer_valid", "test")
RTOL = 1e-5
# Neither the task nor Adam draws anything from it.
KEY = jax.random.PRNGKey(0)
RUN: dict[str, Any] = {"eval_every": 7, "eval_batches": 2, "last_eval_batches": 3}


def batches(split, seed=0, count=None):
    """Batches of a linear relation, float64 and int64 as numpy makes them."""
    rng = np.random.default_rng([SPLITS.index(split), seed])
    for _ in itertools.count() if count is None else range(count):
        x = rng.standard_normal((6, 3))
        yield {"x": x, "more": (x @ [1.0, -2.0, 0.5] + 1, rng.integers(0, 2, 6))}


def of_each_split(source: Callable[[str], Any]) -> Datasets:
    train, inner_valid, outer_valid, test = map(source, SPLITS)
    return Datasets(train, inner_valid, outer_valid, test)


def of_iterators(**kwargs):
    return of_each_split(lambda split: batches(split, **kwargs))


def of_seeded_functions():
    def source(split):
        return lambda seed: batches(split, seed)

    return of_each_split(source)


def of_functions(count):
    def source(split):
        return lambda: batches(split, count=count)

    return of_each_split(source)


class LineTask(Task):
    """Linear regression from zero, without anything drawn: a loop is easy to write."""

    def __init__(self, datasets):
        self.datasets = datasets

    def init(self, key):
        return {"w": jnp.zeros(3), "b": jnp.zeros(())}

    def loss(self, params, key, data):
        y, label = data["more"]
        assert (y.dtype, label.dtype) == (jnp.float32, jnp.int32)
        error = data["x"] @ params["w"] + params["b"] - y
        return jnp.mean(error**2 * (1 + label))


def plain_loop(iterators, learning_rate, num_steps, evaluates=EVAL_SPLITS):
    """What a user would write: one iterator per split, one call per step."""
    task = LineTask(None)
    opt = optax.adam(learning_rate)
    loss_fn = jax.jit(lambda params, batch: task.loss(params, KEY, batch))
    grad_fn = jax.jit(jax.value_and_grad(lambda p, batch: task.loss(p, KEY, batch)))
    params = task.init(KEY)
    state = opt.init(params)
    curves = {"train/loss": [], **{f"eval/{s}/loss": [] for s in evaluates}}
    for step in range(num_steps + 1):
        if step % RUN["eval_every"] == 0:
            last = step == num_steps
            count = RUN["last_eval_batches" if last else "eval_batches"]
            for split in evaluates:
                drawn = [next(iterators[split]) for _ in range(count)]
                mean = np.mean([float(loss_fn(params, batch)) for batch in drawn])
                curves[f"eval/{split}/loss"].append(mean)
        loss, grad = grad_fn(params, next(iterators["train"]))
        updates, state = opt.update(grad, state)
        params = optax.apply_updates(params, updates)
        curves["train/loss"].append(float(loss))
    return curves


def plain_curves(learning_rate, num_steps, make=batches):
    iterators = {split: iter(make(split)) for split in SPLITS}
    return plain_loop(iterators, learning_rate, num_steps)


def assert_curves(got, want):
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=RTOL, err_msg=name)


@pytest.fixture(params=[1, 20, 1000])
def chunk_updates(request, monkeypatch):
    """Where a run is cut must not matter."""
    monkeypatch.setattr(feed, "_CHUNK_UPDATES", request.param)


@pytest.mark.parametrize(("num_steps", "evals"), [(40, 6 * 2), (42, 6 * 2 + 3)])
def test_iterators_train_as_a_plain_loop(num_steps, evals, chunk_updates):
    drawn = []

    def counted(split):
        return (drawn.append(split) or batch for batch in batches(split))

    task = LineTask(of_each_split(counted))
    got = single_task_training_curves(
        task, Adam(0.05), num_steps, jax.random.PRNGKey(3), **RUN
    )
    assert_curves(got, plain_curves(0.05, num_steps))
    assert got["train/loss"][-1] < 0.6 * got["train/loss"][0]
    # Nothing is drawn that is not used.
    assert drawn.count("test") == drawn.count("outer_valid") == evals
    assert drawn.count("train") == evals + num_steps + 1
    assert "inner_valid" not in drawn


def test_all_trials_of_a_grid_have_the_batches_of_one_iterator():
    rates, keys = (0.01, 0.05, 0.2), [jax.random.PRNGKey(s) for s in (0, 1)]
    task = LineTask(of_iterators())
    result = multi_trial_training_curves(
        task, [Adam(rate) for rate in rates], 30, keys, **RUN
    )
    for config, rate in enumerate(rates):
        want = plain_curves(rate, 30)
        for seed in range(2):
            assert_curves(trial_curves(result, config, seed), want)


@pytest.mark.slow
def test_a_function_of_a_seed_gives_each_seed_its_own_batches():
    rates, seeds = (0.01, 0.2), (0, 5, 2**32 - 1)
    task = LineTask(of_seeded_functions())
    result = multi_trial_training_curves(
        task,
        [Adam(rate) for rate in rates],
        30,
        [jax.random.PRNGKey(s) for s in seeds],
        **RUN,
    )
    for column, seed in enumerate(seeds):
        for config, rate in enumerate(rates):
            iterators = {s: batches(s, seed) for s in SPLITS}
            want = plain_loop(iterators, rate, 30)
            assert_curves(trial_curves(result, config, column), want)


def test_a_function_that_ends_is_called_again(chunk_updates):
    def forever(split):
        return itertools.chain.from_iterable(
            batches(split, count=5) for _ in itertools.count()
        )

    task = LineTask(of_functions(count=5))
    # Twice: each run begins at the first batch.
    for _ in range(2):
        got = single_task_training_curves(
            task, Adam(0.05), 30, jax.random.PRNGKey(0), **RUN
        )
        assert_curves(got, plain_curves(0.05, 30, forever))


def test_lists_are_read_again_and_again():
    lists = {split: list(batches(split, count=5)) for split in SPLITS}
    got = single_task_training_curves(
        LineTask(of_each_split(lists.__getitem__)),
        Adam(0.05),
        12,
        jax.random.PRNGKey(0),
        **RUN,
    )
    want = plain_curves(0.05, 12, lambda split: itertools.cycle(lists[split]))
    assert_curves(got, want)


def test_what_runs_next_goes_on_with_an_iterator():
    task, key = LineTask(of_iterators()), jax.random.PRNGKey(0)
    iterators = {split: batches(split) for split in SPLITS}
    for _ in range(2):
        got = single_task_training_curves(task, Adam(0.05), 10, key, **RUN)
        assert_curves(got, plain_loop(iterators, 0.05, 10))


@pytest.mark.slow
def test_data_may_be_evaluated_on_another_set():
    """Iterators and arrays, either way; each reads on its own."""
    key = jax.random.PRNGKey(0)
    other = LineTask(of_seeded_functions())
    got = single_task_training_curves(
        LineTask(of_iterators()), Adam(0.05), 20, key, eval_task=other, **RUN
    )
    trained = plain_loop({"train": batches("train")}, 0.05, 20, evaluates=())
    assert_curves(got, trained)
    first = [next(batches(s)) for s in EVAL_SPLITS]
    assert not np.array_equal(first[0]["x"], first[1]["x"])
    # Before any update, the loss is that of zeros on the first two batches.
    for split in EVAL_SPLITS:
        drawn = itertools.islice(batches(split), RUN["eval_batches"])
        losses = [
            float(other.loss(other.init(KEY), KEY, jax.tree.map(jnp.asarray, b)))
            for b in drawn
        ]
        np.testing.assert_allclose(
            got[f"eval/{split}/loss"][0], np.mean(losses), rtol=RTOL
        )

    tiny = TinyTask()
    as_iterators = TinyTask(datasets=datasets_map(lambda batch: batch, data_of(tiny)))
    plain = single_task_training_curves(tiny, Adam(0.05), 20, key, **RUN)
    mixed = single_task_training_curves(
        tiny, Adam(0.05), 20, key, eval_task=as_iterators, **RUN
    )
    np.testing.assert_allclose(mixed["train/loss"], plain["train/loss"], rtol=RTOL)
    assert np.isfinite(mixed["eval/test/loss"]).all()


def run_stopped_and_resumed(task_of, path):
    """A run that is told to stop after its second chunk, and one that goes on."""

    def train(should_stop):
        checkpoint = Checkpoint(str(path), "me", should_stop=should_stop)
        return multi_trial_training_curves(
            task_of(),
            [Adam(0.05), Adam(0.1)],
            60,
            [jax.random.PRNGKey(s) for s in (0, 1)],
            checkpoint=checkpoint,
            **RUN,
        )

    asked = itertools.count()
    with pytest.raises(RunStoppedError):
        train(lambda: next(asked) >= 1)
    return train(lambda: False)


@pytest.mark.parametrize(
    "make", [of_seeded_functions, lambda: of_functions(11), of_iterators]
)
def test_a_resumed_run_ends_as_an_unbroken_one(make, tmp_path, monkeypatch):
    """In another process a task is made again, and so are its iterators."""
    monkeypatch.setattr(feed, "_CHUNK_UPDATES", 20)
    resumed = run_stopped_and_resumed(lambda: LineTask(make()), tmp_path / "saved.npz")
    unbroken = multi_trial_training_curves(
        LineTask(make()),
        [Adam(0.05), Adam(0.1)],
        60,
        [jax.random.PRNGKey(s) for s in (0, 1)],
        **RUN,
    )
    for name, values in unbroken.curves.items():
        np.testing.assert_array_equal(resumed.curves[name], values, err_msg=name)


def test_a_stopped_run_of_one_iterator_begins_again_with_what_is_left(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(feed, "_CHUNK_UPDATES", 20)
    task = LineTask(of_iterators())
    result = run_stopped_and_resumed(lambda: task, tmp_path / "saved.npz")
    curve = trial_curves(result, 0, 0)["train/loss"]
    assert np.isfinite(curve).all()
    # Not what a run has that goes on at a later step with the first batches.
    assert not np.allclose(curve, plain_curves(0.05, 60)["train/loss"], rtol=0.01)


# What is said of data that is wrong.


def test_an_iterator_that_ends_too_early():
    task = LineTask(of_iterators(count=9))
    with pytest.raises(
        LoptError, match=r"split 'train' ended after 9 batches .* is called again"
    ):
        single_task_training_curves(task, Adam(0.1), 20, jax.random.PRNGKey(0), **RUN)


def test_a_batch_unlike_the_others():
    def other(split):
        yield from batches(split, count=3)
        yield {"x": np.zeros((6, 4)), "more": (np.zeros(6), np.zeros(6, int))}

    def another(split):
        yield from batches(split, count=3)
        yield {"x": np.zeros((6, 3)), "y": np.zeros(6)}

    for make, message in (
        (other, r"batch 3 of the split 'train' holds .*\['x'\] float32\[6, 4\]"),
        (another, r"batch 3 of the split 'train' holds .*\['y'\] float32\[6\]"),
    ):
        task = LineTask(of_each_split(make))
        with pytest.raises(LoptError, match=message):
            single_task_training_curves(
                task, Adam(0.1), 20, jax.random.PRNGKey(0), **RUN
            )


def test_what_is_no_batches():
    with pytest.raises(LoptError, match=r"an iterator, a list, or a function .* got 3"):
        Datasets(3, [], [], [])
    with pytest.raises(LoptError, match="was given as the batches of a split has none"):
        next(Datasets([], [], [], []).train)
    with pytest.raises(LoptError, match="'train' has no batch left"):
        _ = Datasets(iter([]), [], [], []).abstract_batch


# The data set itself.


def test_splits_and_facts():
    train, inner_valid, outer_valid, test = map(batches, SPLITS)
    data = Datasets(
        train,
        inner_valid,
        outer_valid,
        test,
        extra_info={"num_classes": 2},
        abstract_batch={"x": jax.ShapeDtypeStruct((6, 3), np.float64)},
    )
    assert data.extra_info == {"num_classes": 2}
    assert data.abstract_batch == {"x": jax.ShapeDtypeStruct((6, 3), np.float32)}
    assert data.load() is None
    assert data.is_available()
    assert not data.is_synthetic
    for split in SPLITS:
        want = batches(split)
        for iterator in (getattr(data, split), data.split(split)):
            np.testing.assert_array_equal(next(iterator)["x"], next(want)["x"])


def test_the_shape_of_a_batch_is_read_off_the_first_which_is_kept():
    for data in (of_iterators(), of_seeded_functions(), of_functions(2)):
        shapes = jax.tree.map(lambda a: (a.shape, a.dtype.name), data.abstract_batch)
        assert shapes == {
            "x": ((6, 3), "float32"),
            "more": (((6,), "float32"), ((6,), "int32")),
        }
        np.testing.assert_array_equal(
            next(data.train)["x"], next(batches("train"))["x"]
        )


def test_iterators_of_a_data_set_go_on():
    for data in (of_functions(9), data_of(TinyTask()), LazyDataset(of_iterators)):
        first, second = next(data.train)["x"], next(data.train)["x"]
        assert not np.array_equal(first, second)
        assert data.train is data.train


def test_mapped_and_lazy_data_sets():
    made = []

    def make():
        made.append(1)
        return of_seeded_functions()

    lazy = LazyDataset(make)
    assert not made
    doubled = datasets_map(lambda b: {**b, "x": 2 * b["x"]}, lazy)
    assert pool_of(doubled).can_restart
    want = 2 * next(batches("test", 4))["x"]
    np.testing.assert_array_equal(next(doubled.split("test", 4))["x"], want)
    assert len(made) == 1
    assert lazy.is_available()
    assert (lazy.load(), lazy.extra_info) == (None, {})
    assert LazyDataset(lambda: data_of(TinyTask())).batch_size == 8
    # Of an iterator the map is an iterator, which goes on.
    once = datasets_map(lambda b: b["x"], of_iterators())
    assert not pool_of(once).can_restart
    shape = once.abstract_batch.shape
    assert shape == next(once.train).shape == (6, 3)


def test_iterators_for_threads_and_for_later():
    made = []
    lazy = LazyIterator(lambda: made.append(1) or iter([1, 2]))
    safe = ThreadSafeIterator(lazy)
    assert not made
    assert list(safe) == [1, 2]
    assert made == [1]


def test_data_sets_are_kept_until_told():
    @dataset_lru_cache
    def make(size):
        return of_functions(size)

    first = make(3)
    assert make(3) is first is not make(4)
    dataset_lru_cache_clear()
    assert make(3) is not first


# From end to end.


@dataset_lru_cache
def own_data():
    return of_seeded_functions()


@dataclass(frozen=True)
class OwnTask(LineTask):
    datasets: Datasets


@configurable("tests")
def OwnLine():
    return OwnTask(own_data())


def test_inner_train_task(tmp_path):
    result = inner_train_task(
        LineTask(of_iterators()), Adam(0.05), 20, task_name="mine", **RUN
    )
    assert result is not None
    assert_curves(result, plain_curves(0.05, 20))
    assert not result["synthetic_data"]


@pytest.mark.slow
def test_a_sweep_trains_on_it(monkeypatch):
    own = tiny_set("OwnAdam_20_R3", "Adam")
    add_hparam_set(own)
    summary = run_sweep(["OwnLine"], [own])
    assert (summary.num_trials, summary.num_failed) == (9, 0), summary.failures
    for config, (folder, _) in enumerate(own("OwnLine")[1]):
        rate = own.hparams[config]["learning_rate"]
        if rate > 1:
            continue
        for result in utils.load_baseline_results_from_dir(folder, "curves"):
            seed, every = int(result["seed"]), int(result["eval_every"])
            monkeypatch.setitem(RUN, "eval_every", every)
            monkeypatch.setitem(RUN, "eval_batches", int(result["eval_batches"]))
            last = int(result["last_eval_batches"])
            monkeypatch.setitem(RUN, "last_eval_batches", last)
            iterators = {split: batches(split, seed) for split in SPLITS}
            assert_curves(result, plain_loop(iterators, rate, 20))
