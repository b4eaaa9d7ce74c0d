"""The losses of whole splits at the end of a run, against sums made by hand."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import RunStoppedError
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.tasks.base import Task, get_task_from_name
from learned_optimization.tasks.datasets.base import ArrayData, Datasets
from learned_optimization.training import final_evaluation, grid_runner
from learned_optimization.training.checkpoint import Checkpoint
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.pools import pool_of
from learned_optimization.training.program import INIT_KEY
from learned_optimization.training.run import measure_grid, run_grid
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.trial_data import ArrayPool
from learned_optimization.training.whole_splits import whole_splits
from tests.tiny import TinyDatasets, TinyTask, data_of

SPLITS = ("train", "outer_valid", "test")
PLAN = RunPlan(3, eval_every=2, eval_batches=1, last_eval_batches=1)
# A rate that changes nothing: the last parameters are the first.
STILL = SGD(learning_rate=0.0)


@cache
def _odd_data() -> ArrayData:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (148, 5)).astype(np.uint8)
    y = rng.standard_normal(148).astype(np.float32)
    splits = {
        "train": (0, 101),
        "inner_valid": (101, 108),
        "outer_valid": (108, 127),
        "test": (127, 148),
    }
    return ArrayData({"x": x, "y": y}, splits, {"x": 255.0})


@dataclass(frozen=True)
class OddDatasets(TinyDatasets):
    """Splits of 101, 19 and 21 examples in batches of 8."""

    name: str = "odd"

    def load(self) -> ArrayData:
        return _odd_data()


QUIET = TinyTask(datasets=OddDatasets(), noise=0.0)


def curves(task, opts=(STILL,), num_seeds=2, plan=PLAN, **kwargs):
    keys = [jax.random.PRNGKey(seed) for seed in range(num_seeds)]
    return run_grid(task, opts, keys, plan, **kwargs).curves


def initial(task, seed):
    key = jax.random.fold_in(jax.random.PRNGKey(seed), INIT_KEY)
    return task.init_with_state(key)


def test_is_the_mean_over_every_example_of_a_split():
    got = curves(QUIET)
    data = _odd_data()
    for seed in range(2):
        params, _ = initial(QUIET, seed)
        w, b = (np.asarray(params[k], np.float64) for k in "wb")
        for split, count in zip(SPLITS, (101, 19, 21), strict=True):
            rows = slice(*data.splits[split])
            x, y = (data.arrays[k][rows].astype(np.float64) for k in "xy")
            want = np.mean((x / 255 @ w + b - y) ** 2)
            loss = got[f"final/{split}/loss"]
            assert (loss.shape, loss.dtype) == ((1, 2), np.float32)
            assert loss[0, seed] == pytest.approx(want, rel=2e-6)
            normalized = got[f"final/{split}/loss_normalized"][0, seed]
            assert normalized == pytest.approx(min(want, 10.0), rel=2e-6)
            norm = got[f"final/{split}/norm"][0, seed]
            assert norm == pytest.approx(np.sum(w**2), rel=2e-6)
            assert got[f"final/num_examples/{split}"][0, seed] == count


@pytest.mark.slow
def test_images_against_a_network_in_float64():
    task = get_task_from_name("ImageMLP_FashionMnist8_Relu32")
    got = curves(task, num_seeds=1)
    params, _ = initial(task, 0)
    layers = [
        [np.asarray(layer[k], np.float64) for k in ("kernel", "bias")]
        for _, layer in sorted(params.items())
    ]
    pool, data = pool_of(task.datasets), data_of(task).load()
    assert isinstance(pool, ArrayPool)
    assert data is not None
    groups, counts = whole_splits(pool, lambda size: True)
    assert counts == {"train": 20_000, "outer_valid": 6_000, "test": 10_000}
    for i, split in enumerate(SPLITS):
        rows = np.arange(*data.splits[split])
        if split == "train":
            rows = groups[0].rows[groups[0].splits == i].ravel()
        batch = data.take(rows)
        h = batch["image"].reshape(len(rows), -1).astype(np.float64)
        for kernel, bias in layers[:-1]:
            h = np.maximum(h @ kernel + bias, 0.0)
        logits = h @ layers[-1][0] + layers[-1][1]
        log_sum = np.log(np.exp(logits).sum(axis=1))
        of_label = logits[np.arange(len(rows)), batch["label"]]
        loss = got[f"final/{split}/loss"][0, 0]
        assert loss == pytest.approx(np.mean(log_sum - of_label), rel=2e-6)
        accuracy = np.mean(logits.argmax(axis=1) == batch["label"])
        assert got[f"final/{split}/accuracy"][0, 0] == pytest.approx(accuracy, abs=2e-4)


SLOW_KINDS = (
    "ImageMLP_Cifar10_128x128x128_BatchNorm_Relu",
    "ImageMLPAE_Mnist_128x32x128_bs128",
    "RNNLM_lm1bbytes_Patch32_LSTM128_Embed64",
)
EXHAUSTIVE_KINDS = (
    "Conv_Cifar10_8_16x32",
    "ESWrapped_1pair_ImageMLP_Mnist_128x128x128_Relu",
    "Resnet_MultiRuntime_0",
    "TransformerLM_LM1B_MultiRuntime_0",
)


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_KINDS),
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in EXHAUSTIVE_KINDS
        ),
    ],
)
def test_kinds_of_tasks_against_plain_jax(name, monkeypatch):
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    task = get_task_from_name(name)
    got = curves(task, num_seeds=1, plan=RunPlan(1, 2, 1, 1))
    params, state = initial(task, 0)
    key = jax.random.fold_in(jax.random.PRNGKey(0), 5)
    loss_fn = jax.jit(task.loss_with_state_and_aux)
    data = data_of(task).load()
    assert data is not None
    pool = pool_of(task.datasets)
    assert isinstance(pool, ArrayPool)
    number, sums = 0, dict.fromkeys(SPLITS, 0.0)
    groups, counts = whole_splits(pool, lambda size: True)
    for split in SPLITS:
        start, stop = data.splits[split]
        assert counts[split] == min(stop - start, 20_000)
    for group in groups:
        for rows, split in zip(group.rows, group.splits, strict=True):
            batch_key = jax.random.fold_in(key, number)
            loss, _, _ = loss_fn(params, state, batch_key, data.take(rows))
            sums[SPLITS[split]] += float(loss) * len(rows)
            number += 1
    for split in SPLITS:
        loss = got[f"final/{split}/loss"][0, 0]
        assert loss == pytest.approx(sums[split] / counts[split], rel=1e-4)


@pytest.mark.slow
def test_diverged_trials_have_none_and_others_have_theirs():
    opts = [SGD(learning_rate=0.01), SGD(learning_rate=1e30)]
    got = curves(QUIET, opts, plan=RunPlan(20))
    assert np.isnan(got["train/loss"][1, :, -1]).all()
    for split in SPLITS:
        assert np.isfinite(got[f"final/{split}/loss"][0]).all()
        assert np.isnan(got[f"final/{split}/loss"][1]).all()
        assert np.isnan(got[f"final/{split}/norm"][1]).all()


def test_is_behind_the_last_update():
    @dataclass(frozen=True)
    class Falling(Task):
        """The loss is the parameter, and its gradient 1."""

        datasets: Datasets | None = OddDatasets()

        def init(self, key):
            return jnp.zeros(())

        def loss(self, params, key, data):
            return params + 0.0 * jnp.mean(data["y"])

    got = curves(Falling(), [SGD(learning_rate=0.5)], plan=RunPlan(10))
    # 11 updates; the evaluation at number 10 comes before the last of them.
    assert got["eval/test/loss"][0, 0, -1] == pytest.approx(-5.0)
    assert got["final/test/loss"][0, 0] == pytest.approx(-5.5)


@pytest.mark.slow
def test_the_evaluated_task_is_the_one_measured():
    got = curves(TinyTask(), eval_task=QUIET, num_seeds=1)
    assert got["final/num_examples/test"][0, 0] == 21
    want = curves(QUIET, num_seeds=1)
    for split in SPLITS:
        key = f"final/{split}/loss"
        np.testing.assert_allclose(got[key], want[key], rtol=1e-6)


def test_a_task_of_one_batch_size_is_measured_on_whole_batches():
    @dataclass(frozen=True)
    class Stiff(TinyTask):
        def loss(self, params, key, data):
            return jnp.mean(data["y"].reshape(8))

        def loss_and_aux(self, params, key, data):
            return self.loss(params, key, data), {}

    got = curves(Stiff(datasets=OddDatasets()))
    assert [got[f"final/num_examples/{s}"][0, 0] for s in SPLITS] == [96, 16, 16]
    assert np.isfinite(got["final/test/loss"]).all()


class NoData(Task):
    def init(self, key):
        return jnp.ones(3)

    def loss(self, params, key, data):
        return jnp.sum(params**2)


def test_tasks_without_finite_splits_have_no_such_keys():
    def batches(seed):
        yield {"x": np.ones((8, 5), np.float32), "y": np.ones(8, np.float32)}

    endless = TinyTask(datasets=Datasets(batches, batches, batches, batches))
    for task in (NoData(), endless):
        got = curves(task, num_seeds=1)
        assert not [key for key in got if key.startswith("final/")]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Strategy(1), Strategy(2), Strategy(8)])
@pytest.mark.parametrize(
    "num_devices", [pytest.param(1, marks=pytest.mark.exhaustive), 2]
)
def test_every_strategy_agrees(strategy, num_devices):
    opts = [Adam(learning_rate=lr) for lr in (0.01, 0.02, 0.03)]
    devices = jax.local_devices()[:num_devices]
    assert len(devices) == num_devices
    args = {"opts": opts, "num_seeds": 3, "plan": RunPlan(20)}
    got = curves(QUIET, **args, devices=devices, strategy=strategy)
    want = curves(QUIET, **args, devices=devices[:1], strategy=Strategy(1))
    finals = [key for key in want if key.startswith("final/")]
    assert len(finals) == 3 * 4
    for key in finals:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, err_msg=key)


@pytest.mark.slow
def test_stopped_within_it_goes_on_without_training_again(tmp_path, monkeypatch):
    # Pieces of one batch, so that it can be stopped between any two.
    monkeypatch.setattr(final_evaluation, "_SECONDS_PER_PIECE", 0.0)
    opts = [Adam(learning_rate=lr) for lr in (0.01, 1e8)]
    want = curves(QUIET, opts, plan=RunPlan(20), strategy=Strategy(2))
    trained = []
    advance = final_evaluation.FinalEvaluation.advance
    do_chunk = grid_runner.GridRunner._do_chunk
    begun = []

    def counting_advance(self):
        begun.append(1)
        advance(self)

    def counting_chunk(self):
        trained.append(1)
        do_chunk(self)

    monkeypatch.setattr(final_evaluation.FinalEvaluation, "advance", counting_advance)
    monkeypatch.setattr(grid_runner.GridRunner, "_do_chunk", counting_chunk)

    def checkpoint(stop_after):
        return Checkpoint(
            path=str(tmp_path / "grid.npz"),
            identity="this",
            should_stop=lambda: len(begun) >= stop_after,
        )

    args = {"plan": RunPlan(20), "strategy": Strategy(2)}
    with pytest.raises(RunStoppedError, match="after 21 updates"):
        curves(QUIET, opts, **args, checkpoint=checkpoint(3))
    assert trained
    assert len(begun) == 3
    trained.clear()
    got = curves(QUIET, opts, **args, checkpoint=checkpoint(10**9))
    assert not trained
    assert got.keys() == want.keys()
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


@pytest.mark.slow
def test_measuring_counts_it():
    key = jax.random.PRNGKey(0)
    measured = measure_grid(QUIET, [STILL], [key], PLAN, seconds=0.1)
    assert 0 < measured.seconds_at_end < 60
    assert measure_grid(NoData(), [STILL], [key], PLAN, 0.1).seconds_at_end == 0
