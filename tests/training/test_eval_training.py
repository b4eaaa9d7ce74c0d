"""The engine against a Python loop, and against itself run in other ways."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization import eval_training
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    multi_trial_training_curves,
    single_task_training_curves,
    trial_curves,
)
from learned_optimization.optimizers.learning_rate_schedules import Constant
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam
from learned_optimization.tasks.base import Task
from learned_optimization.training import feed, grid_runner, pools
from tests.tiny import PlainSGD, StatefulTask, TinyTask, data_of
from tests.training import reference_loop

# Float32 sums in another order: what docs/determinism.md promises for runs of
# up to 1,000 steps that do not diverge.
RTOL = 1e-5


class NoDataTask(Task):
    def init(self, key):
        return jax.random.normal(key, (3,))

    def loss(self, params, key, data):
        assert data is None
        return ((params - jax.random.normal(key, (3,)) * 0.1) ** 2).sum()


def assert_curves_close(got, want, rtol=RTOL):
    assert got.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(
            got[name], want[name], rtol=rtol, atol=1e-7, err_msg=name
        )


# Steps, steps from one evaluation to the next, batches of one and of the last.
PLANS = [(20, 10, 2, 4), (13, 5, 3, 2), (5, 7, 2, 3), (4, 1, 1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "plan"),
    [
        (StatefulTask(), PLANS[0]),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                *((StatefulTask(), plan) for plan in PLANS[1:]),
                (TinyTask(), PLANS[0]),
                (NoDataTask(), PLANS[1]),
            )
        ),
    ],
)
def test_agrees_with_python_loop(task, plan):
    num_steps, *evaluations = plan
    args = (task, Adam(learning_rate=0.03), num_steps, jax.random.PRNGKey(7))
    args = (*args, *evaluations)
    assert_curves_close(
        single_task_training_curves(*args), reference_loop.training_curves(*args)
    )


def test_shapes_and_dtypes():
    result = multi_trial_training_curves(
        TinyTask(),
        [SGD(learning_rate=lr) for lr in (0.1, 0.01, 0.001)],
        num_steps=25,
        keys=[jax.random.PRNGKey(s) for s in range(2)],
        eval_every=10,
    )
    curves = result.curves
    assert curves["train/xs"].dtype == curves["eval/xs"].dtype == np.int64
    np.testing.assert_array_equal(curves["train/xs"], np.arange(26))
    np.testing.assert_array_equal(curves["eval/xs"], [0, 10, 20])
    assert curves["train/loss"].shape == (3, 2, 26)
    for split in ("train", "outer_valid", "test"):
        for metric in ("loss", "loss_normalized", "norm"):
            values = curves[f"eval/{split}/{metric}"]
            assert values.shape == (3, 2, 3)
            assert values.dtype == np.float32
    one = trial_curves(result, config=2, seed=1)
    np.testing.assert_array_equal(one["train/loss"], curves["train/loss"][2, 1])


@pytest.fixture(scope="module")
def trials_alone():
    return {
        (lr, seed): single_task_training_curves(
            TinyTask(),
            SGDM(learning_rate=lr),
            21,
            jax.random.PRNGKey(seed),
            eval_every=5,
        )
        # The corners of a grid: what stands elsewhere would show there.
        for lr in (0.1, 0.001)
        for seed in (0, 2)
    }


@pytest.mark.parametrize(
    ("num_devices", "num_configs", "num_seeds"),
    [
        pytest.param(2, 1, 3, marks=pytest.mark.slow),
        pytest.param(2, 3, 1, marks=pytest.mark.slow),
        (2, 3, 3),
        pytest.param(1, 3, 3, marks=pytest.mark.slow),
    ],
)
def test_grid_agrees_with_single_trials(
    trials_alone, num_devices, num_configs, num_seeds
):
    opts = [SGDM(learning_rate=lr) for lr in (0.1, 0.01, 0.001)][:num_configs]
    keys = [jax.random.PRNGKey(s) for s in range(num_seeds)]
    devices = jax.local_devices()[:num_devices]
    assert len(devices) == num_devices
    result = multi_trial_training_curves(
        TinyTask(), opts, 21, keys, eval_every=5, devices=devices
    )
    for c, opt in enumerate(opts):
        for s in range(num_seeds):
            if alone := trials_alone.get((opt.learning_rate, s)):
                assert_curves_close(trial_curves(result, c, s), alone)


@pytest.mark.slow
def test_same_run_twice_is_bit_identical():
    def run():
        return multi_trial_training_curves(
            TinyTask(),
            [Adam(learning_rate=lr) for lr in (0.1, 0.01, 0.001)],
            num_steps=100,
            keys=[jax.random.PRNGKey(s) for s in range(3)],
        ).curves

    first, second = run(), run()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


@pytest.mark.slow
def test_chunks_do_not_change_one_bit(monkeypatch):
    def run():
        return single_task_training_curves(
            TinyTask(), Adam(learning_rate=0.01), 95, jax.random.PRNGKey(1)
        )

    whole = run()
    # No time at all for a chunk: every block becomes one of its own.
    monkeypatch.setattr(grid_runner, "_SECONDS_PER_CHUNK", 0.0)
    calls = []
    collect = grid_runner.GridRunner._collect
    monkeypatch.setattr(
        grid_runner.GridRunner,
        "_collect",
        lambda self, outputs, first, n: (
            calls.append(n) or collect(self, outputs, first, n)
        ),
    )
    cut = run()
    assert calls == [1] * 10
    for name, values in whole.items():
        np.testing.assert_array_equal(values, cut[name], err_msg=name)


def test_configurations_of_a_seed_share_their_random_numbers():
    curves = multi_trial_training_curves(
        TinyTask(),
        [SGD(learning_rate=lr) for lr in (0.0, 0.0, 0.1)],
        num_steps=20,
        keys=[jax.random.PRNGKey(s) for s in range(2)],
    ).curves
    loss = curves["train/loss"]
    np.testing.assert_array_equal(loss[0], loss[1])
    np.testing.assert_allclose(loss[0][:, 0], loss[2][:, 0], rtol=1e-6)
    assert not np.array_equal(loss[0, 0], loss[0, 1])


@pytest.mark.slow
def test_one_compilation_serves_a_set(monkeypatch):
    traces = []
    loss = TinyTask.loss_with_state

    class Counted(TinyTask):
        def loss_with_state(self, params, state, key, data):
            traces.append(1)
            return loss(self, params, state, key, data)

    def run(num_configs):
        traces.clear()
        opts = [SGD(learning_rate=0.01 * (i + 1)) for i in range(num_configs)]
        multi_trial_training_curves(Counted(), opts, 20, [jax.random.PRNGKey(0)])
        return len(traces)

    assert run(2) == run(6)


@pytest.mark.slow
def test_divergence_stays_in_its_own_trial():
    curves = multi_trial_training_curves(
        TinyTask(),
        [SGD(learning_rate=lr) for lr in (0.01, 1e6)],
        num_steps=50,
        keys=[jax.random.PRNGKey(0)],
    ).curves
    assert np.isfinite(curves["train/loss"][0]).all()
    assert np.isnan(curves["train/loss"][1, 0, -1])
    reported = []
    multi_trial_training_curves(
        TinyTask(),
        [SGD(learning_rate=lr) for lr in (0.01, 1e6)],
        num_steps=50,
        keys=[jax.random.PRNGKey(0)],
        on_progress=reported.append,
    )
    assert reported[-1].num_diverged == 1
    assert reported[-1].updates_done == reported[-1].num_updates == 51


@pytest.mark.slow
def test_evaluates_another_task_when_told():
    key = jax.random.PRNGKey(0)
    plain = single_task_training_curves(TinyTask(), SGD(), 20, key)
    other = single_task_training_curves(
        TinyTask(), SGD(), 20, key, eval_task=TinyTask(noise=3.0)
    )
    np.testing.assert_array_equal(plain["train/loss"], other["train/loss"])
    assert (other["eval/test/loss"] > plain["eval/test/loss"] + 1.0).all()


@pytest.mark.slow
def test_wide_grids_of_seeds_only_are_split_over_devices():
    result = multi_trial_training_curves(
        TinyTask(), [SGD()], 5, [jax.random.PRNGKey(s) for s in range(4)]
    )
    assert len(result.devices) == len(jax.local_devices()) >= 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("eval_every", 0),
        ("eval_batches", -1),
        ("last_eval_batches", 0),
        ("num_steps", 2.5),
    ],
)
def test_bad_numbers_are_refused(field, value):
    numbers = {"num_steps": 10, field: value}
    with pytest.raises(LoptError, match=f"{field} must be .* at least 1, got"):
        single_task_training_curves(
            TinyTask(), SGD(), key=jax.random.PRNGKey(0), **numbers
        )


def test_optimizers_of_different_structure_are_refused():
    with pytest.raises(LoptError, match="numeric hyper-parameters only"):
        multi_trial_training_curves(
            TinyTask(), [SGD(), Adam()], 5, [jax.random.PRNGKey(0)]
        )


@pytest.mark.slow
def test_plain_classes_and_schedules_train_like_the_rest():
    key = jax.random.PRNGKey(0)
    want = single_task_training_curves(TinyTask(), SGD(learning_rate=0.1), 20, key)
    for same in (PlainSGD(0.1), SGD(learning_rate=Constant(learning_rate=0.1))):
        got = single_task_training_curves(TinyTask(), same, 20, key)
        assert_curves_close(got, want)
    with pytest.raises(LoptError, match="Run them one by one"):
        multi_trial_training_curves(
            TinyTask(), [PlainSGD(0.1), PlainSGD(0.2)], 5, [key]
        )
    scheduled = multi_trial_training_curves(
        TinyTask(),
        [SGD(learning_rate=Constant(learning_rate=lr)) for lr in (0.2, 0.1)],
        20,
        [key],
    )
    assert_curves_close(trial_curves(scheduled, 1, 0), want)


def test_nothing_to_train_is_refused():
    with pytest.raises(LoptError, match="at least one optimizer"):
        multi_trial_training_curves(TinyTask(), [], 5, [jax.random.PRNGKey(0)])


@pytest.mark.slow
def test_keys_of_every_kind_and_what_is_no_key():
    keys = list(jax.random.split(jax.random.PRNGKey(0), 3))
    curves = multi_trial_training_curves(TinyTask(), [SGD()], 5, keys).curves
    assert curves["train/loss"].shape == (1, 3, 6)
    old = single_task_training_curves(TinyTask(), SGD(), 5, jax.random.PRNGKey(4))
    new = single_task_training_curves(TinyTask(), SGD(), 5, jax.random.key(4))
    np.testing.assert_array_equal(old["train/loss"], new["train/loss"])
    bad_keys: list[Any] = [0, jax.random.key(0, impl="rbg")]
    for bad in bad_keys:
        with pytest.raises(LoptError, match="key"):
            single_task_training_curves(TinyTask(), SGD(), 5, bad)


def test_a_changed_task_starts_anew():
    class Mutable(Task):
        value = 1.0

        def init(self, key):
            return jax.numpy.full(2, self.value)

        def loss(self, params, key, data):
            return (params**2).sum()

    task, key = Mutable(), jax.random.PRNGKey(0)
    assert single_task_training_curves(task, SGD(), 1, key)["train/loss"][0] == 2.0
    task.value = 3.0
    assert single_task_training_curves(task, SGD(), 1, key)["train/loss"][0] == 18.0


@pytest.mark.slow
def test_memory_follows_the_run_not_the_settings():
    key = jax.random.PRNGKey(0)
    once = single_task_training_curves(TinyTask(), SGD(), 5, key, eval_every=10**9)
    assert once["eval/xs"].tolist() == [0]
    assert once["train/loss"].shape == (6,)
    pool = pools.pool_of(data_of(TinyTask()))
    plan = eval_training.RunPlan(5, last_eval_batches=30_000)
    wide = feed.max_blocks(plan, pool, pool, num_seeds=5)
    assert wide * 30_000 * 3 * 8 * 4 <= max(32 << 20, 30_000 * 3 * 8 * 4)


def test_values_that_are_no_scalars_are_named():
    class Vector(TinyTask):
        def loss_and_aux(self, params, key, data):
            return self.loss(params, key, data), {"weights": params["w"]}

    with pytest.raises(LoptError, match=r"'weights' of shape \(5,\)"):
        single_task_training_curves(Vector(), SGD(), 5, jax.random.PRNGKey(0))


def test_hyper_parameters_of_several_shapes_are_refused():
    opts = [SGD(learning_rate=jax.numpy.array([0.1, 0.2])), SGD(learning_rate=0.2)]
    with pytest.raises(LoptError, match="must have one shape"):
        multi_trial_training_curves(TinyTask(), opts, 5, [jax.random.PRNGKey(0)])


def test_an_aux_named_loss_is_refused():
    class Clash(TinyTask):
        def loss_and_aux(self, params, key, data):
            return self.loss(params, key, data), {"loss": jax.numpy.float32(1.0)}

    with pytest.raises(LoptError, match="rename it"):
        single_task_training_curves(Clash(), SGD(), 5, jax.random.PRNGKey(0))


def test_public_face_names_everything_it_exports():
    for name in eval_training.__all__:
        assert getattr(eval_training, name) is not None
