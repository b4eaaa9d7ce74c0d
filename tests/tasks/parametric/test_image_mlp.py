"""Families of perceptrons: what they draw, and what a drawn task computes."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.parametric.image_mlp import ImageMLPFamily

PIXELS, CLASSES = 64, 10
BATCH = 16
DATA = fashion_mnist(BATCH, image_size=8)
BOTH = {"cross_entropy": 0.25, "mse": 0.75}
FAMILY = ImageMLPFamily(DATA, (6, 5), {"relu": 0.7, "tanh": 0.3}, losses=BOTH)


def batch_of(size: int = BATCH) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.random((size, 8, 8, 1)).astype(np.float32),
        "label": rng.integers(0, CLASSES, size).astype(np.int32),
    }


def draws(count: int) -> dict[str, np.ndarray]:
    keys = jax.random.split(key_of_seed(0), count)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(FAMILY.sample))(keys))


def test_a_seed_is_a_task() -> None:
    batch = batch_of()
    params = FAMILY.sample_task(key_of_seed(0)).init(key_of_seed(1))

    @jax.jit
    def drawn(key: jax.Array) -> Any:
        task: Any = FAMILY.sample_task(key)
        return task.cfg, task.loss(params, key_of_seed(2), batch)

    losses: dict[int, Any] = {}
    for seed in (*range(40), 0, 3):
        cfg, loss = jax.tree.map(float, drawn(key_of_seed(seed)))
        made = (cfg["activation"], cfg["loss"]), loss
        assert losses.setdefault(seed, made) == made
    # With equal parameters and data, a loss tells tasks apart.
    by_task = dict(losses.values())
    assert len(set(by_task.values())) == len(by_task) == 4


def test_draws_are_as_likely_as_said() -> None:
    count = 4000
    drawn = draws(count)
    assert {x.dtype.name for x in drawn.values()} == {"int32"}
    for what, chance in (("activation", 0.3), ("loss", 0.75)):
        assert set(drawn[what]) == {0, 1}
        error = np.sqrt(chance * (1 - chance) / count)
        assert abs(drawn[what].mean() - chance) < 4 * error
    # One does not decide the other.
    correlation = np.corrcoef(drawn["activation"], drawn["loss"])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(count)


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("loss", [0, 1])
def test_losses_are_those_of_numpy(activation: int, loss: int) -> None:
    task = FAMILY.task_fn({"activation": np.int32(activation), "loss": np.int32(loss)})
    params = task.init(key_of_seed(3))
    batch = batch_of()
    x = batch["image"].reshape(BATCH, PIXELS).astype(np.float64)
    layers = [
        [np.asarray(params[f"layer_{i}"][name], np.float64) for name in "wb"]
        for i in range(3)
    ]
    for w, b in layers[:-1]:
        x = x @ w + b
        x = np.tanh(x) if activation else np.maximum(x, 0)
    logits = x @ layers[-1][0] + layers[-1][1]
    wanted = np.eye(CLASSES)[batch["label"]]
    if loss:
        expected = np.square(logits - wanted).sum(-1).mean()
    else:
        log_sum = np.log(np.exp(logits).sum(-1))
        expected = (log_sum - (logits * wanted).sum(-1)).mean()
    loss_of = jax.jit(task.loss)
    got = loss_of(params, key_of_seed(4), batch)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    # Outputs of zero are chance.
    zeros = jax.tree.map(np.zeros_like, params)
    at_chance = loss_of(zeros, key_of_seed(4), batch)
    np.testing.assert_allclose(at_chance, 1.0 if loss else np.log(10), rtol=1e-6)


@pytest.mark.parametrize("hidden", [(), (32,), (6, 5, 4)])
def test_widths_and_depths_are_those_of_the_family(hidden: tuple[int, ...]) -> None:
    task = ImageMLPFamily(DATA, hidden).task_fn({"activation": 0, "loss": 0})
    params = jax.eval_shape(task.init, key_of_seed(0))
    sizes = [PIXELS, *hidden, CLASSES]
    assert [layer["w"].shape for layer in params.values()] == list(
        itertools.pairwise(sizes)
    )
    assert [layer["b"].shape for layer in params.values()] == [(n,) for n in sizes[1:]]


def test_parameters_begin_as_truncated_normal_numbers() -> None:
    init = jax.jit(FAMILY.task_fn({"activation": 0, "loss": 0}).init)
    params, others = init(key_of_seed(0)), init(key_of_seed(1))
    for name, inputs in (("layer_0", PIXELS), ("layer_1", 6), ("layer_2", 5)):
        w = np.asarray(params[name]["w"])
        # Truncated at two deviations of the normal distribution that it is cut from,
        # whose own is 1 / 0.8796 times that of what is left.
        assert np.abs(w).max() <= 2 / 0.8796 / np.sqrt(inputs)
        assert not np.array_equal(w, others[name]["w"])
        np.testing.assert_array_equal(params[name]["b"], 0)
    # Of 384 numbers, within four standard errors.
    deviation = np.std(params["layer_0"]["w"]) * np.sqrt(PIXELS)
    assert deviation == pytest.approx(1, abs=0.15)


def test_batches_are_of_the_size_of_the_data() -> None:
    for size in (3, 7):
        family = ImageMLPFamily(fashion_mnist(size, image_size=8), (4,))
        task = family.sample_task(key_of_seed(0))
        assert task.datasets is not None
        assert next(task.datasets.train)["label"].shape == (size,)
        assert f"bs{size}" in family.name


def test_names_tell_families_apart() -> None:
    assert FAMILY.name == "ImageMLP_6x5_bs16_relu_tanh_cross_entropy_mse"
    assert ImageMLPFamily(DATA).name == "ImageMLP_32_bs16_relu_cross_entropy"


@pytest.mark.slow
@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("loss", [0, 1])
def test_a_drawn_task_learns(activation: int, loss: int) -> None:
    task = FAMILY.task_fn({"activation": np.int32(activation), "loss": np.int32(loss)})
    batch = batch_of()

    @jax.jit
    def step(params: Any) -> Any:
        value, grad = jax.value_and_grad(task.loss)(params, key_of_seed(0), batch)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grad), value

    params, losses = task.init(key_of_seed(0)), []
    for _ in range(60):
        params, value = step(params)
        losses.append(float(value))
    assert losses[-1] < 0.9 * losses[0]


def test_normalized_losses_are_bounded() -> None:
    task = FAMILY.sample_task(key_of_seed(0))
    worst = 1.5 * np.log(10)
    for loss, expected in ((1.25, 1.25), (np.nan, worst), (np.inf, worst), (9, worst)):
        np.testing.assert_allclose(task.normalizer(jax.numpy.asarray(loss)), expected)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"activations": {"rleu": 1.0}},
            "unknown activation 'rleu': did you mean relu",
        ),
        ({"losses": {"mes": 1.0}}, "unknown loss 'mes': did you mean mse"),
        ({"losses": {"mse": 0.0}}, "loss mse must have a chance above 0, got 0.0"),
    ],
)
def test_what_a_family_cannot_be_is_refused(settings: Any, says: str) -> None:
    with pytest.raises(LoptError, match=says) as error:
        ImageMLPFamily(DATA, **settings)
    assert isinstance(error.value, UnknownNameError) == says.startswith("unknown")


def test_a_family_needs_data() -> None:
    with pytest.raises(LoptError, match="needs datasets"):
        ImageMLPFamily()
