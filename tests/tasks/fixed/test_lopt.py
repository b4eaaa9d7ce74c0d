"""The published tasks that train learned optimizers, and their losses and gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.outer_trainers.gradient_learner import (
    OuterState,
    WorkerWeights,
)
from learned_optimization.outer_trainers.lopt_tasks import LOptTask, TruncatedPESTask
from learned_optimization.tasks import registry
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.datasets.base import Datasets
from tests.tasks.fixed import published_lopt
from tests.tiny import data_of

TASKS = registry.all_fixed_tasks()
KEY = jax.random.PRNGKey(0)


class Quadratic(Task):
    """The sum of squares of ten parameters: of a step of SGD, a closed form."""

    def init(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (10,))

    def loss(self, params: Any, key: jax.Array, data: Any) -> jax.Array:
        return jnp.sum(params**2)

    def normalizer(self, loss: jax.Array) -> jax.Array:
        return 3 * loss


@pytest.mark.parametrize("name", published_lopt.UNROLLED)
def test_unrolled_tasks_are_the_published(name: str) -> None:
    task: Any = TASKS[name].make()
    lopt, inner, num_steps = published_lopt.UNROLLED[name]
    # With its default settings, whose names have none.
    assert task.lopt.name == lopt
    assert task.task == TASKS[inner].make()
    assert task.num_steps == num_steps
    inner_size = data_of(task.task).batch_size
    assert data_of(task).batch_size == num_steps * inner_size


@pytest.mark.parametrize("name", published_lopt.ESTIMATED)
def test_estimated_tasks_are_the_published(name: str) -> None:
    task: Any = TASKS[name].make()
    assert task.task == TASKS[published_lopt.ESTIMATED[name]].make()
    assert (task.std, task.n_pairs) == (0.01, 4)


@pytest.mark.parametrize("name", published_lopt.TRUNCATED)
def test_truncated_tasks_are_the_published(name: str) -> None:
    task: Any = TASKS[name].make()
    lopt, inner, *sizes = published_lopt.TRUNCATED[name]
    assert task.lopt.name == lopt
    assert task.task == TASKS[inner].make()
    assert [task.num_tasks, task.total_length, task.trunc_length] == sizes
    assert task.std == task.estimator.std == 0.01
    one = task.estimator.truncated_step.truncated_step
    assert one.trunc_sched.total_length == one.random_initial_iteration_offset
    assert one.trunc_sched.total_length == task.total_length


@pytest.mark.parametrize("name", published_lopt.NAMES)
def test_meta_parameters(name: str) -> None:
    params = jax.eval_shape(TASKS[name].make().init, KEY)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert size == published_lopt.num_params(name)


def test_the_loss_of_a_run_and_its_gradient_are_the_closed_form() -> None:
    """With rate a, the t-th loss of sum x^2 is (1 - 2 a)^(2 t) times the first."""
    task = LOptTask(Quadratic(), LearnableSGD(initial_lr=0.1), num_steps=7)
    theta, state = task.init_with_state(KEY)
    assert state is None
    loss, grad = jax.value_and_grad(task.loss)(theta, KEY, None)
    start = Quadratic().init(jax.random.split(KEY)[0])
    first = 3 * np.sum(np.float64(start) ** 2)
    rate, t = 0.1, np.arange(7)
    losses = first * (1 - 2 * rate) ** (2 * t)
    slopes = first * -4 * rate * t * (1 - 2 * rate) ** np.maximum(2 * t - 1, 0)
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-5)
    np.testing.assert_allclose(grad["log_lr"], slopes.mean(), rtol=1e-4)
    assert float(task.normalizer(jnp.float32(2))) == 6


@pytest.mark.slow
def test_the_gradient_of_a_truncation_is_the_estimators() -> None:
    task = TruncatedPESTask(
        Quadratic(), LearnableSGD(initial_lr=0.1), 4, total_length=6, trunc_length=4
    )
    theta, state = task.init_with_state(KEY)
    step = jax.jit(jax.value_and_grad(task.loss_with_state, has_aux=True))
    for i in range(3):
        key = jax.random.PRNGKey(i)
        want = task.estimator._jitted(
            WorkerWeights(theta, None, OuterState(jnp.zeros([], jnp.int32))),
            key,
            state,
            None,
        )
        (loss, state), grad = step(theta, state, key, None)
        np.testing.assert_allclose(loss, want.mean_loss, rtol=1e-6)
        np.testing.assert_allclose(grad["log_lr"], want.grad["log_lr"], rtol=1e-5)
        assert np.abs(grad["log_lr"]) > 0
    assert float(task.normalizer(jnp.float32(2))) == 2


def test_all_splits_of_truncations_are_the_training_data() -> None:
    task: Any = TASKS["LOptPES_Adafac_Fashion_OuterBS4_Length50_Trunc5"].make()
    data, inner = data_of(task).load(), data_of(task.task).load()
    assert data is not None
    assert inner is not None
    assert set(data.splits.values()) == {inner.splits["train"]}
    assert data_of(task).load() is data
    unrolled = TASKS["LOpt_MLPLOpt_FahionMnist_10"].make()
    assert data_of(unrolled).load() is inner


def test_batches_are_taken_one_after_another() -> None:
    task: Any = TASKS["LOpt_MLPLOpt_FahionMnist_10"].make()
    batch = {"label": np.arange(1280)}
    np.testing.assert_array_equal(task.batches(batch)["label"][3], np.arange(384, 512))


def test_iterators_are_refused() -> None:
    class Streamed(Quadratic):
        datasets = Datasets([{}], [{}], [{}], [{}])

    object.__setattr__(Streamed.datasets, "batch_size", 3)
    data = LOptTask(Streamed(), LearnableSGD()).datasets
    assert data is not None
    with pytest.raises(LoptError, match=r"own_data is given as iterators"):
        data.load()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("LOpt_LearnableAdam_Cifar10_8_50", marks=pytest.mark.slow),
        pytest.param(
            "LOpt_AdafacMLPLOpt_FashionMnist_20", marks=pytest.mark.exhaustive
        ),
        pytest.param(
            "LOptPES_Adafac_Fashion_OuterBS4_Length50_Trunc5", marks=pytest.mark.slow
        ),
    ],
)
def test_engine_trains_them(
    name: str, quick_compilation: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TASKS[name].make()
    if not data_of(task).is_available():
        monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    curves = single_task_training_curves(
        task, Adam(1e-3), 3, KEY, eval_every=3, eval_batches=1, last_eval_batches=1
    )
    for split in ("train", "outer_valid", "test"):
        assert np.isfinite(curves[f"eval/{split}/loss"]).all()
