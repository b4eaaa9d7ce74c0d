"""What holds for every fixed task; a new one is tested by being registered."""

import os
from dataclasses import dataclass
from functools import cache

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import UnknownNameError
from learned_optimization.eval_training import multi_trial_training_curves
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks import registry
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.tasks.datasets.base import ArrayData

KEYS = jax.random.split(jax.random.PRNGKey(0), 5)


@dataclass(frozen=True)
class Published:
    """The published settings of a task, and what follows from them."""

    dataset: str
    image_size: int
    hidden: tuple[int, ...]
    loss: str = "cross_entropy"
    batch_size: int = 128
    activation: str = "relu"
    num_classes: int = 10
    # On real data, where it is known and the data has no download.
    loss_at_init: float | None = None

    @property
    def num_params(self) -> int:
        pixels = self.image_size**2
        outputs = pixels if self.loss == "autoencoder" else self.num_classes
        n = [pixels, *self.hidden, outputs]
        return sum((n[i] + 1) * n[i + 1] for i in range(len(n) - 1))


PUBLISHED = {
    "ImageMLP_FashionMnist_Relu128x128": Published(
        "fashion_mnist", 28, (128, 128), loss_at_init=2.30
    ),
    "ImageMLP_FashionMnist8_Relu32": Published(
        "fashion_mnist", 8, (32,), loss_at_init=2.31
    ),
    "ImageMLP_FashionMnist16_Relu32": Published("fashion_mnist", 16, (32,)),
    "ImageMLP_FashionMnist32_Relu32": Published("fashion_mnist", 32, (32,)),
    "ImageMLP_Mnist_128x128x128_Relu": Published("mnist", 28, (128, 128, 128)),
    "ImageMLPAE_FashionMnist_128x32x128_bs128": Published(
        "fashion_mnist", 28, (128, 32, 128), "autoencoder", loss_at_init=0.169
    ),
    "ImageMLPAE_Mnist_128x32x128_bs128": Published(
        "mnist", 28, (128, 32, 128), "autoencoder"
    ),
}

every_task = pytest.mark.parametrize("name", registry.all_fixed_tasks())
published_task = pytest.mark.parametrize("name", PUBLISHED)


def made_up_batch(task):
    """A batch of the right shapes and ranges; reads nothing."""
    rng = np.random.default_rng(0)
    draw = {
        "image": lambda a: rng.uniform(0, 1, a.shape),
        "label": lambda a: rng.integers(
            0, task.datasets.extra_info["num_classes"], a.shape
        ),
    }
    return {
        field: draw[field](a).astype(a.dtype)
        for field, a in task.datasets.abstract_batch.items()
    }


def first_batch(task):
    """The first training batch; skips, or in CI fails, where the files lack."""
    if not task.datasets.is_at_hand():
        message = f"the files of {task.datasets.name} are not at hand"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return next(task.datasets.train)


@cache
def starts(name):
    """Parameters and state from three keys, drawn by one compiled `vmap`."""
    task = registry.get(name).make()
    return jax.jit(jax.vmap(task.init_with_state))(KEYS)


def start(name, i=0):
    return jax.tree.map(lambda a: a[i], starts(name))


def assert_trees_close(got, want, **tolerance):
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, **tolerance), got, want)


def assert_finite(tree):
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(leaf).all()


def reference_normalizer(published, losses):
    losses = np.float64(losses)
    if published.loss == "autoencoder":
        return np.clip(np.where(np.isnan(losses), 1, losses), 0, 1)
    worst = 1.5 * np.log(published.num_classes)
    return np.clip(np.where(np.isfinite(losses), losses, worst), 0, worst)


@published_task
def test_settings(name):
    task, want = registry.get(name).make(), PUBLISHED[name]
    image = task.datasets.abstract_batch["image"]
    assert task.datasets.name.startswith(want.dataset)
    assert task.datasets.batch_size == want.batch_size
    assert image.shape == (want.batch_size, want.image_size, want.image_size, 1)
    assert image.dtype == np.float32
    assert task.hidden == want.hidden
    assert task.activation is getattr(jax.nn, want.activation)
    assert getattr(task, "loss_kind", "autoencoder") == want.loss
    assert getattr(task, "dropout", 0) == 0
    assert getattr(task, "norm", None) is None
    _, _, aux = jax.eval_shape(
        task.loss_with_state_and_aux, *start(name), KEYS[0], made_up_batch(task)
    )
    assert aux.keys() == ({"accuracy"} if want.loss == "cross_entropy" else set())


@published_task
def test_parameter_count(name):
    params, _ = jax.eval_shape(registry.get(name).make().init_with_state, KEYS[0])
    leaves = jax.tree.leaves(params)
    assert sum(a.size for a in leaves) == PUBLISHED[name].num_params
    assert {a.dtype for a in leaves} == {jnp.dtype("float32")}


@every_task
def test_name_is_the_registered_one_however_it_is_made(name):
    made = registry.get(name)
    by_gin = gin.get_configurable(name)
    for task in (made.make(), get_task_from_name(name), by_gin()):
        assert task.name == made.name == name
    assert made.summary.endswith(".")


@every_task
def test_making_and_asking_reads_nothing(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("data was read")

    monkeypatch.setattr(ArrayData, "__init__", refuse)
    task = registry.get(name).make()
    monkeypatch.setattr(type(task.datasets), "load", refuse)
    assert task.datasets.abstract_batch.keys() == {"image", "label"}
    assert task.datasets.extra_info["num_classes"] == 10
    task.datasets.is_at_hand()
    jax.eval_shape(task.init_with_state, KEYS[0])
    with pytest.raises(AssertionError, match="data was read"):
        next(task.datasets.train)


@every_task
def test_made_twice_it_is_equal(name):
    one, other = registry.get(name).make(), registry.get(name).make()
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)


def test_different_tasks_differ():
    tasks = [task.make() for task in registry.all_fixed_tasks().values()]
    assert len(set(tasks)) == len(tasks)


@every_task
def test_training_and_evaluation_of_many_seeds(name):
    task = registry.get(name).make()
    data, (params, states) = made_up_batch(task), starts(name)
    assert_finite((params, states))

    train = jax.value_and_grad(task.loss_with_state, has_aux=True)
    train_all = jax.jit(jax.vmap(train, in_axes=(0, 0, 0, None)))
    (losses, new_states), grads = train_all(params, states, KEYS, data)
    assert losses.shape == KEYS.shape[:1]
    assert losses.dtype == jnp.float32
    assert_finite((losses, grads, new_states))
    assert len(np.unique(losses)) == len(KEYS)
    assert jax.tree.map(jnp.shape, grads) == jax.tree.map(jnp.shape, params)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(grads))

    evaluate = jax.jit(task.loss_with_state_and_aux)
    for i, key in enumerate(KEYS):
        loss, new_state, aux = evaluate(*start(name, i), key, data)
        assert loss.shape == ()
        np.testing.assert_allclose(loss, losses[i], rtol=1e-5)
        assert_trees_close(new_state, jax.tree.map(lambda a, i=i: a[i], new_states))
        evaluate(start(name, i)[0], new_state, key, data)
        assert all(value.shape == () for value in aux.values())


LOSSES = [-np.inf, -1, 0, 0.25, 0.9999, 1, 2.3, 3.4, 3.46, 1e30, np.inf, np.nan]


@every_task
def test_normalizer_keeps_the_order_of_losses(name):
    normalizer = jax.jit(registry.get(name).make().normalizer)
    got = [float(normalizer(jnp.float32(loss))) for loss in LOSSES if loss > 0]
    assert got == sorted(got)


@published_task
def test_normalizer(name):
    task, losses = registry.get(name).make(), LOSSES
    got = task.normalizer(jnp.float32(losses))
    want = reference_normalizer(PUBLISHED[name], np.float32(losses))
    np.testing.assert_allclose(got, want, rtol=1e-6)


@every_task
def test_engine_learns(name, monkeypatch):
    if not registry.get(name).make().datasets.is_at_hand():
        monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    opts = [Adam(learning_rate=lr) for lr in (1e-3, 1e-2)]
    curves = multi_trial_training_curves(
        registry.get(name).make(), opts, 20, [jax.random.PRNGKey(0)], eval_batches=1
    ).curves
    for split in ("train", "outer_valid", "test"):
        loss = curves[f"eval/{split}/loss"]
        assert np.isfinite(loss).all()
        assert loss[..., -1].min() < 0.97 * loss[..., 0].max()


@published_task
def test_loss_at_init(name, monkeypatch):
    published = PUBLISHED[name]
    if published.dataset == "mnist":
        monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    task = registry.get(name).make()
    loss = jax.jit(jax.vmap(task.loss_with_state, in_axes=(0, 0, None, None)))
    losses, _ = loss(*starts(name), KEYS[0], first_batch(task))
    if published.loss_at_init is not None:
        np.testing.assert_allclose(np.mean(losses), published.loss_at_init, rtol=0.03)
    elif published.loss == "cross_entropy":
        np.testing.assert_allclose(np.mean(losses), np.log(10), rtol=0.05)
    else:
        assert ((losses > 0) & (losses < 1)).all()


def test_unknown_name_gives_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        get_task_from_name("ImageMLP_FashionMnist8_Relu23")
    message = str(error.value)
    assert "unknown task 'ImageMLP_FashionMnist8_Relu23'" in message
    assert "did you mean ImageMLP_FashionMnist8_Relu32 or" in message
    assert "lopt tasks" in message
