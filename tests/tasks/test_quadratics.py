"""Quadratics against their closed forms."""

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks import quadratics
from learned_optimization.tasks.datasets.base import SPLITS
from learned_optimization.tasks.quadratics import (
    BatchQuadraticTask,
    FixedDimQuadraticFamily,
    FixedDimQuadraticFamilyData,
    GaussianOffsets,
    LogQuadraticTask,
    NoisyMeanQuadraticTask,
    NoisyQuadraticFamily,
    QuadraticTask,
    SumQuadraticTask,
)

KEY = jax.random.PRNGKey(0)
TASKS = [
    QuadraticTask,
    NoisyMeanQuadraticTask,
    BatchQuadraticTask,
    LogQuadraticTask,
    SumQuadraticTask,
]
FAMILIES = [FixedDimQuadraticFamily, FixedDimQuadraticFamilyData, NoisyQuadraticFamily]


def closed_form(task, params, data):
    """The loss and its gradient in float64, without noise."""
    if isinstance(task, SumQuadraticTask):
        total = np.float64(params["a"]) + np.float64(params["b"])
        return (total**2).sum(), {"a": 2 * total, "b": 2 * total}
    x = np.float64(params)
    if isinstance(task, BatchQuadraticTask):
        offsets = np.float64(data["offset"])
        return ((x - offsets) ** 2).sum(1).mean(), 2 * (x - offsets.mean(0))
    if isinstance(task, LogQuadraticTask):
        square = (x**2).sum() + 1e-10
        return np.log(square), 2 * x / square
    return (x**2).sum(), 2 * x


def first_batch(task):
    return next(task.datasets.train) if task.datasets is not None else None


def assert_trees_close(got, want):
    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g, w, rtol=2e-6, atol=2e-6), got, want
    )


@pytest.mark.parametrize("make", TASKS)
@pytest.mark.parametrize("dim", [1, 10])
def test_loss_and_gradient_match_the_closed_form(make, dim):
    quiet = {"noise_std": 0.0} if make is NoisyMeanQuadraticTask else {}
    task = make(dim, **quiet)
    params, data = task.init(KEY), first_batch(task)
    got = jax.jit(jax.value_and_grad(task.loss))(params, KEY, data)
    assert got[0].shape == ()
    assert got[0].dtype == jnp.float32
    assert_trees_close(got, closed_form(task, params, data))


@pytest.mark.parametrize("make", TASKS)
def test_init_is_a_standard_normal(make):
    values = np.concatenate(jax.tree.leaves(make(20_000).init(KEY)))
    assert abs(values.mean()) < 0.03
    assert abs(values.std() - 1) < 0.02


@pytest.mark.parametrize("make", TASKS + FAMILIES)
def test_equal_settings_make_equal_tasks(make):
    assert make() == make(dim=10)
    assert hash(make()) == hash(make(dim=10))
    assert make() != make(dim=11)
    assert make().name == make.__name__
    assert (make().normalizer(1e30) == 1e30) if make in TASKS else True


@pytest.mark.parametrize("make", TASKS + FAMILIES)
def test_gin_sets_the_dimension(make):
    name = f"learned_optimization.tasks.quadratics.{make.__name__}"
    gin.parse_config(f"{name}.dim = 4")
    assert make().dim == 4


@pytest.mark.parametrize("dim", [0, -1, 2.5, True])
def test_impossible_dimension(dim):
    with pytest.raises(LoptError, match=r"dim must be a whole number of at least 1"):
        QuadraticTask(dim)


def test_sum_task_starts_from_two_different_draws():
    params = SumQuadraticTask(3).init(KEY)
    assert not np.allclose(params["a"], params["b"])


def test_log_task_is_finite_at_the_minimum():
    task = LogQuadraticTask(3)
    loss, grad = jax.value_and_grad(task.loss)(jnp.zeros(3), KEY, None)
    np.testing.assert_allclose(loss, np.log(1e-10), rtol=1e-6)
    np.testing.assert_array_equal(grad, 0)


def test_noise_has_the_mean_and_gradient_it_says():
    task = NoisyMeanQuadraticTask(3, noise_std=0.5)
    x = jnp.array([1.0, -2.0, 3.0])
    keys = jax.random.split(KEY, 20_000)
    losses, grads = jax.vmap(jax.value_and_grad(task.loss), in_axes=(None, 0, None))(
        x, keys, None
    )
    np.testing.assert_allclose(losses.mean(), 14 + 3 * 0.25, rtol=0.01)
    np.testing.assert_allclose(grads.mean(0), 2 * x, atol=0.03)
    np.testing.assert_allclose(grads.std(0), 2 * 0.5, rtol=0.03)


def test_noise_is_decided_by_the_key():
    task = NoisyMeanQuadraticTask()
    x = task.init(KEY)
    losses = [task.loss(x, jax.random.PRNGKey(s), None) for s in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_offsets_are_a_data_set():
    datasets = GaussianOffsets(dim=3, batch_size=7)
    data = datasets.load()
    assert datasets == GaussianOffsets(3, 7)
    assert datasets.is_available()
    assert datasets.load() is data
    assert GaussianOffsets(3, 8).load() is data
    assert data.splits == {
        "train": (0, 800),
        "inner_valid": (800, 900),
        "outer_valid": (900, 1000),
        "test": (1000, 1200),
    }
    for split in SPLITS:
        batch = next(datasets.split(split))
        want = datasets.abstract_batch["offset"]
        assert batch["offset"].shape == want.shape == (7, 3)
        assert batch["offset"].dtype == want.dtype == np.float32


def test_offsets_are_standard_normal_and_the_same_when_drawn_again():
    points = GaussianOffsets(50, 7).load().arrays["offset"]
    assert abs(points.mean()) < 0.02
    assert abs(points.std() - 1) < 0.02
    quadratics._gaussian_offsets.cache_clear()
    np.testing.assert_array_equal(
        points, GaussianOffsets(50, 7).load().arrays["offset"]
    )


@pytest.mark.parametrize("make", FAMILIES)
def test_family_of_many_tasks_under_vmap(make):
    family = make(4)
    keys = jax.random.split(KEY, 6)
    data = next(family.datasets.train) if family.datasets is not None else None

    def start(key):
        task = family.sample_task(key)
        params = task.init(key)
        return params, task.loss(params, key, data)

    cfgs = jax.vmap(family.sample)(keys)
    assert {a.shape for a in jax.tree.leaves(cfgs)} == {(6, 4)}
    many = jax.jit(jax.vmap(start))(keys)
    one_by_one = jax.tree.map(lambda *a: jnp.stack(a), *map(jax.jit(start), keys))
    assert_trees_close(many, one_by_one)
    assert len(np.unique(many[1])) == 6
    # Drawn and started with one key, and yet not at the minimum.
    assert (np.asarray(many[1]) > 0.1).all()
    assert family.eval_datasets == family.datasets == family.sample_task(KEY).datasets


def test_family_losses_match_the_closed_form():
    x = jnp.array([1.0, 2.0, -1.0])
    for family in (FixedDimQuadraticFamily(3), FixedDimQuadraticFamilyData(3)):
        cfg = family.sample(KEY)
        task = family.task_fn(cfg)
        data = first_batch(task)
        moved = np.float64(x) - np.float64(cfg["center"])
        want, _ = closed_form(family.base, moved, data)
        np.testing.assert_allclose(task.loss(x, KEY, data), want, rtol=2e-6)


def test_noisy_family_matches_its_moments():
    family = NoisyQuadraticFamily(3, 0.25)
    cfg = family.sample(KEY)
    x = jnp.array([1.0, 2.0, -1.0])
    keys = jax.random.split(KEY, 20_000)
    losses, grads = jax.vmap(
        jax.value_and_grad(family.task_fn(cfg).loss), in_axes=(None, 0, None)
    )(x, keys, None)
    stretch, center = np.float64(cfg["stretch"]), np.float64(cfg["center"])
    want = (stretch**2 * (np.float64(x) - center) ** 2).sum() + 3 * 0.25
    np.testing.assert_allclose(losses.mean(), want, rtol=0.02)
    np.testing.assert_allclose(grads.std(0), 2 * stretch * 0.5, rtol=0.03)


def test_noisy_family_draws_positive_curvature_of_median_one():
    cfgs = jax.vmap(NoisyQuadraticFamily(50).sample)(jax.random.split(KEY, 200))
    assert (np.asarray(cfgs["stretch"]) > 0).all()
    np.testing.assert_allclose(np.log(cfgs["stretch"] ** 2).std(), 1, rtol=0.03)
    np.testing.assert_allclose(np.median(cfgs["stretch"]), 1, rtol=0.03)
    correlation = np.corrcoef(np.ravel(cfgs["stretch"]), np.ravel(cfgs["center"]))
    assert abs(correlation[0, 1]) < 0.05


def test_other_settings_have_other_names():
    assert quadratics.QuadraticTask().name == "QuadraticTask"
    assert quadratics.QuadraticTask(dim=100).name == "QuadraticTask_dim100"
    noisy = quadratics.NoisyMeanQuadraticTask(dim=3, noise_std=0.5)
    assert noisy.name == "NoisyMeanQuadraticTask_dim3_noise_std0.5"


@pytest.mark.parametrize(
    ("make", "shape"),
    [(quadratics.batch_datasets, (4, 2)), (quadratics.noise_datasets, ())],
)
def test_data_sets_of_normal_draws(make, shape):
    data = make()
    assert data is make()
    assert data.abstract_batch == jax.ShapeDtypeStruct(shape, np.float32)
    splits = []
    for split in SPLITS:
        batches = data.split(split, seed=1)
        drawn = np.array([next(batches) for _ in range(2000)])
        assert drawn.shape == (2000, *shape)
        assert abs(drawn.mean()) < 5 / np.sqrt(drawn.size)
        assert abs(drawn.std() - 1) < 5 / np.sqrt(2 * drawn.size)
        splits.append(drawn)
    assert not np.allclose(splits[0], splits[1])
    again = next(data.split("train", seed=1))
    np.testing.assert_array_equal(again, splits[0][0])
