"""Losses of the image tasks by their definitions, and the rarer settings."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.fixed.image_mlp import ImageMLPTask
from learned_optimization.tasks.fixed.image_mlp_ae import ImageMLPAETask

KEY = jax.random.PRNGKey(0)
DATASETS = fashion_mnist(16, image_size=8)
DATA = {
    "image": np.random.default_rng(0).uniform(0, 1, (16, 8, 8, 1)).astype(np.float32),
    "label": np.arange(16, dtype=np.int32) % 10,
}


def linear(task):
    """Parameters of a task without hidden layers, and its outputs in float64."""
    rng = np.random.default_rng(1)
    outputs = task.model.output_size
    kernel, bias = rng.standard_normal((64, outputs)), rng.standard_normal(outputs)
    params = {"Dense_0": {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}}
    return params, np.float64(DATA["image"]).reshape(16, 64) @ kernel + bias


def test_cross_entropy_and_accuracy_by_definition():
    task = ImageMLPTask(DATASETS, hidden=())
    params, logits = linear(task)
    rows = np.arange(16), DATA["label"]
    want = np.mean(np.log(np.exp(logits).sum(1)) - logits[rows])
    loss, aux = task.loss_and_aux(params, KEY, DATA)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    np.testing.assert_allclose(task.loss(params, KEY, DATA), want, rtol=1e-5)
    np.testing.assert_allclose(
        aux["accuracy"], np.mean(logits.argmax(1) == DATA["label"])
    )


def test_mean_squared_error_by_definition():
    task = ImageMLPTask(DATASETS, hidden=(), loss_kind="mse")
    params, logits = linear(task)
    want = np.mean((logits - np.eye(10)[DATA["label"]]) ** 2)
    loss, aux = task.loss_and_aux(params, KEY, DATA)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    assert aux == {}


def test_autoencoder_by_definition():
    task = ImageMLPAETask(DATASETS, hidden=())
    params, logits = linear(task)
    pixels = np.float64(DATA["image"]).reshape(16, 64)
    want = np.mean((1 / (1 + np.exp(-logits)) - pixels) ** 2)
    np.testing.assert_allclose(task.loss(params, KEY, DATA), want, rtol=1e-5)


def test_normalizer_of_the_mean_squared_error():
    task = ImageMLPTask(DATASETS, hidden=(), loss_kind="mse")
    losses = jnp.array([0.0, 0.1, 1.0, 1.1, 1e30, jnp.inf, -jnp.inf, jnp.nan])
    want = [0, 1, 10, 10, 10, 10, 10, 10]
    np.testing.assert_allclose(task.normalizer(losses), want, rtol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"norm": "batch"}, {"norm": "layer", "activation": jax.nn.tanh}, {"dropout": 0.5}],
    ids=["batch norm", "layer norm", "dropout"],
)
def test_further_settings_train(settings):
    task = ImageMLPTask(DATASETS, hidden=(32,), **settings)
    params, state = jax.jit(task.init_with_state)(KEY)
    step = jax.jit(jax.value_and_grad(task.loss_with_state, has_aux=True))
    losses = []
    for i in range(60):
        key = jax.random.fold_in(KEY, i)
        (loss, state), grad = step(params, state, key, DATA)
        params = jax.tree.map(lambda p, g: p - 0.2 * g, params, grad)
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    assert (state is not None) == (settings.get("norm") == "batch")


def test_state_is_asked_for_and_refused_by_name():
    stateful = ImageMLPTask(DATASETS, hidden=(4,), norm="batch")
    params, state = jax.jit(stateful.init_with_state)(KEY)
    with pytest.raises(TypeError, match=r"ImageMLPTask has model state"):
        stateful.loss(params, KEY, DATA)
    stateless = ImageMLPTask(DATASETS, hidden=(4,))
    with pytest.raises(TypeError, match=r"ImageMLPTask is stateless"):
        stateless.loss_with_state(params, state, KEY, DATA)


def test_equality_follows_the_settings():
    make = ImageMLPTask
    task = make(DATASETS, (32,))
    assert task == make(fashion_mnist(16, image_size=8), (32,))
    others = [
        make(DATASETS, (33,)),
        make(DATASETS, (32,), loss_kind="mse"),
        make(DATASETS, (32,), dropout=0.5),
        make(DATASETS, (32,), norm="layer"),
        make(DATASETS, (32,), activation=jax.nn.tanh),
        make(fashion_mnist(32, image_size=8), (32,)),
        ImageMLPAETask(DATASETS, (32,)),
    ]
    assert len({task, *others}) == 1 + len(others)


def test_the_data_sets_are_required():
    settings: dict[str, Any] = {"hidden": (32,)}
    with pytest.raises(TypeError, match="datasets"):
        ImageMLPTask(**settings)
