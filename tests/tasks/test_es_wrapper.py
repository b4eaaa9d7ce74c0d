"""The evolution-strategies estimate against numpy and closed forms."""

import functools
import pickle
import zlib
from dataclasses import dataclass
from typing import Any, cast

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.tasks.base import Task, get_task, get_task_from_name
from learned_optimization.tasks.es_wrapper import (
    ESTask,
    ESTaskFamily,
    antithetic_es_value_and_grad,
    multi_antithetic_es_value_and_grad,
)
from learned_optimization.tasks.quadratics import FixedDimQuadraticFamily, QuadraticTask
from tests.golden import golden_tasks
from tests.tiny import PlainSGD, StatefulTask, TinyTask, data_of

KEY = jax.random.PRNGKey(0)
KEYS = jax.random.split(KEY, 4000)


@dataclass(frozen=True)
class Line(Task):
    """`c.x`; the key of every call is recorded, and so is the state's history."""

    dim: int = 3

    def init_with_state(self, key):
        return jnp.ones(self.dim), {"mean": jnp.zeros(()), "calls": jnp.int32(0)}

    def loss_with_state_and_aux(self, params, state, key, data):
        loss = jnp.arange(1.0, self.dim + 1) @ params
        state = {"mean": loss, "calls": state["calls"] + 1}
        return loss, state, {"calls": state["calls"], "draw": jax.random.uniform(key)}

    def loss_with_state(self, params, state, key, data):
        return self.loss_with_state_and_aux(params, state, key, data)[:2]


def quartic(x, scale):
    return scale * jnp.sum(x["a"] ** 4) + x["b"] ** 2


@pytest.mark.parametrize("vmap", [True, False])
@pytest.mark.parametrize("pairs", [None, 1, 3])
def test_one_estimate_matches_numpy_from_its_own_noise(pairs, vmap):
    """The noise is read off the points at which the function is evaluated."""
    x = {"a": jnp.array([0.5, -1.0]), "b": jnp.float32(2.0)}
    points, std = [], 0.1

    def fun(x, scale, *, power=1):
        jax.debug.callback(lambda a, b: points.append((a, b)), x["a"], x["b"])
        return quartic(x, scale) ** power, x

    if pairs is None:
        make = functools.partial(antithetic_es_value_and_grad, fun)
    else:
        make = functools.partial(multi_antithetic_es_value_and_grad, fun, n_pairs=pairs)
    pairs = pairs or 1
    estimate = jax.jit(make(has_aux=True, std=std, vmap=vmap))
    (value, first_point), grad = estimate(x, 3.0, power=1, es_key=KEY)
    jax.effects_barrier()

    assert len(points) == 2 * pairs
    a = np.array([p[0] for p in points], np.float64)
    b = np.array([p[1] for p in points], np.float64)
    losses = 3.0 * (a**4).sum(1) + b**2
    np.testing.assert_allclose(value, losses.mean(), rtol=1e-5)
    # With its antithetic partner each evaluation counts e L(x + e) / (2 std^2).
    want_a = ((a - np.float64(x["a"])) * losses[:, None]).sum(0) / (2 * std**2)
    want_b = ((b - 2.0) * losses).sum() / (2 * std**2)
    np.testing.assert_allclose(grad["a"], want_a / pairs, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(grad["b"], want_b / pairs, rtol=1e-3, atol=1e-3)
    assert np.isclose(a, first_point["a"], atol=1e-6).all(1).sum() == 1


def test_auxiliary_values_of_the_first_evaluation_or_of_both():
    x = jnp.array([1.0, -2.0])
    both = antithetic_es_value_and_grad(
        lambda x: (x @ x, x), has_aux=True, std=0.1, vec_aux=True
    )
    (_, points), _ = both(x, es_key=KEY)
    np.testing.assert_allclose(points.mean(0), x, rtol=1e-6)
    first = antithetic_es_value_and_grad(lambda x: (x @ x, x), True, 0.1)
    (_, point), grad = first(x, es_key=KEY)
    np.testing.assert_array_equal(point, points[0])
    # The gradient is along the perturbation of the first, which goes up or down.
    x64 = np.asarray(x, np.float64)
    e = np.asarray(point, np.float64) - x64
    np.testing.assert_allclose(grad, e * 2 * (e @ x64) / 0.01, rtol=1e-3)


@pytest.mark.parametrize("pairs", [1, 5])
def test_linear_loss_on_average_has_its_gradient(pairs):
    """`e (c.e) / std^2` has mean c and variance `c_i^2 + |c|^2` a pair."""
    c = np.array([1.0, -2.0, 0.5])
    estimate = multi_antithetic_es_value_and_grad(
        lambda x: x @ jnp.array(c), n_pairs=pairs
    )
    x = jnp.array([0.3, 0.2, -0.1])
    values, grads = jax.jit(jax.vmap(lambda k: estimate(x, es_key=k)))(KEYS)
    np.testing.assert_allclose(values, np.float64(x) @ c, atol=1e-5)
    variance = (c**2 + (c**2).sum()) / pairs
    error = np.sqrt(variance / len(KEYS))
    assert (np.abs(np.mean(grads, 0) - c) < 5 * error).all()
    np.testing.assert_allclose(np.var(grads, 0), variance, rtol=0.2)


def test_quadratic_has_its_closed_form():
    """E estimated value = `sum x^2 + dim std^2`, E gradient = 2x."""
    dim, std = 4, 0.5
    x = jnp.array([1.0, -1.0, 0.5, 2.0])
    task = ESTask(QuadraticTask(dim), std=std, n_pairs=2)
    value_and_grad = jax.jit(
        jax.vmap(jax.value_and_grad(task.loss), in_axes=(None, 0, None))
    )
    losses, grads = value_and_grad(x, KEYS, None)
    # The task reports the loss of its parameters; the estimate is another value.
    np.testing.assert_allclose(losses, (np.float64(x) ** 2).sum(), rtol=1e-6)
    g = 2 * np.float64(x)
    error = np.sqrt((g**2 + (g**2).sum()) / 2 / len(KEYS))
    assert (np.abs(grads.mean(0) - g) < 5 * error).all()
    estimate = multi_antithetic_es_value_and_grad(lambda x: x @ x, std=std)
    values, _ = jax.jit(jax.vmap(lambda k: estimate(x, es_key=k)))(KEYS)
    want = (np.float64(x) ** 2).sum() + dim * std**2
    # Pairs cancel the linear term: each value is sum x^2 + mean of |e|^2.
    error = std**2 * np.sqrt(2 * dim / 2 / len(KEYS))
    assert abs(values.mean() - want) < 5 * error
    np.testing.assert_allclose(values.std(), std**2 * np.sqrt(dim), rtol=0.1)


@pytest.mark.slow
def test_the_same_under_jit_vmap_and_scan():
    task = ESTask(TinyTask(), n_pairs=2)
    data = next(data_of(task).train)
    keys = KEYS[:3]
    params = jax.vmap(task.init)(keys)
    step = jax.value_and_grad(task.loss_with_state, has_aux=True)

    def one(params, key):
        (loss, state), grad = step(params, None, key, data)
        assert state is None
        return loss, grad

    one_by_one = [
        jax.jit(one)(jax.tree.map(lambda a, i=i: a[i], params), keys[i])
        for i in range(3)
    ]
    want = jax.tree.map(lambda *a: jnp.stack(a), *one_by_one)
    _, scanned = jax.jit(
        lambda p, k: jax.lax.scan(lambda c, pk: (c, one(*pk)), 0, (p, k))
    )(params, keys)
    for got in (jax.jit(jax.vmap(one))(params, keys), scanned):
        # Loss differences are divided by std: rounding grows accordingly.
        jax.tree.map(
            lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-3, atol=1e-2),
            got,
            want,
        )


@pytest.mark.slow
def test_the_loss_is_that_of_the_unperturbed_parameters():
    inner = TinyTask()
    task = ESTask(inner, std=0.3, n_pairs=2)
    data, params = next(data_of(task).train), inner.init(KEY)
    want, want_aux = inner.loss_and_aux(params, KEY, data)
    losses = [
        task.loss(params, KEY, data),
        task.loss_with_state(params, None, KEY, data)[0],
        jax.value_and_grad(task.loss)(params, KEY, data)[0],
    ]
    np.testing.assert_allclose(losses, [want] * 3, rtol=1e-6)
    evaluated, state, aux = task.loss_with_state_and_aux(params, None, KEY, data)
    assert state is None
    np.testing.assert_allclose(evaluated, want, rtol=1e-6)
    np.testing.assert_allclose(aux["norm"], want_aux["norm"], rtol=1e-6)
    assert task.loss_and_aux(params, KEY, data)[1].keys() == aux.keys() == {"norm"}
    assert task.normalizer(jnp.float32(99.0)) == 10
    assert task.datasets == TinyTask().datasets
    # Scaled, the gradient is scaled.
    grad = jax.grad(lambda p: 3 * task.loss(p, KEY, data))(params)
    once = jax.grad(task.loss)(params, KEY, data)
    np.testing.assert_allclose(grad["w"], 3 * once["w"], rtol=1e-5)


def test_state_and_scalars_are_those_of_the_unperturbed_parameters():
    task = ESTask(Line(), std=0.1, n_pairs=4)
    params, state = task.init_with_state(KEY)

    @functools.partial(jax.value_and_grad, has_aux=True)
    def step(*args):
        loss, *rest = task.loss_with_state_and_aux(*args)
        return loss, rest

    for calls in (1, 2):
        (loss, (state, aux)), grad = step(params, state, KEY, None)
        assert (state["calls"], state["calls"].dtype) == (calls, jnp.int32)
        assert state["mean"] == loss == 6.0
        assert aux["calls"] == calls
        # The loss draws from the key of the call.
        assert aux["draw"] == jax.random.uniform(KEY)
        assert np.abs(grad).min() > 0


@pytest.mark.parametrize(
    "name",
    [
        "ESWrapped_1pair_ImageMLP_Cifar10BW8_Relu32",
        "ESWrapped_1pair_ImageMLP_Cifar10_128x128x128_Relu",
        "ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32",
        "ESWrapped_1pair_ImageMLP_Mnist_128x128x128_Relu",
        "ESWrapped_8pair_ImageMLP_Cifar10_128x128x128_Relu",
        "ESWrapped_8pair_ImageMLP_Mnist_128x128x128_Relu",
    ],
)
def test_published_tasks_have_the_published_loss_at_init(name):
    """Within the sampling error of initializations, both theirs and ours."""
    golden = golden_tasks()[name]
    task = get_task_from_name(name)
    assert isinstance(task, ESTask)
    leaves = jax.tree.leaves(jax.eval_shape(task.init, KEY))
    assert sum(leaf.size for leaf in leaves) == golden["parameters"]
    # Some are measured on the task alone that is wrapped: the loss is the same.
    name = name if "loss_at_init_on_random_batch" in golden else name[16:]
    losses = golden_tasks()[name].get("loss_at_init_on_random_batch")
    batch = random_batch(name, task, golden["parameters"])

    @jax.jit
    def at_init(key):
        params = task.init(key)
        return task.loss(params, key, batch), task.task.loss(params, key, batch)

    wrapped, plain = zip(*map(at_init, KEYS[:20]), strict=True)
    np.testing.assert_allclose(wrapped, plain, rtol=1e-6)
    if losses is not None:
        error = np.std(wrapped, ddof=1) * np.sqrt(1 / len(losses) + 1 / len(wrapped))
        assert abs(np.mean(losses) - np.mean(wrapped)) < 4 * error


def random_batch(name, task, parameters):
    """The batch of uniform noise the golden losses were measured on."""
    r = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    n = 32 if parameters <= 300_000 else 8
    image = task.datasets.abstract_batch["image"]
    return {
        "image": np.float32(r.rand(n, *image.shape[1:])),
        "label": r.randint(0, task.datasets.extra_info["num_classes"], n),
    }


@pytest.mark.parametrize("inner", [TinyTask(), StatefulTask()])
def test_engine_learns(inner):
    task = ESTask(inner, n_pairs=8)
    curves = single_task_training_curves(task, PlainSGD(0.05), 40, KEY, eval_batches=2)
    loss = curves["eval/test/loss"]
    assert np.isfinite(loss).all()
    assert loss[-1] < 0.5 * loss[0]
    if inner == StatefulTask():
        # Recorded before the update, and the evaluation itself is a call.
        assert curves["eval/test/calls"].tolist() == [1, 11, 21, 31, 41]


def test_family_of_traced_tasks():
    family = ESTaskFamily(FixedDimQuadraticFamily(3), std=0.1, n_pairs=2)

    @jax.jit
    @jax.vmap
    def start(key):
        task = family.task_fn(family.sample(key))
        params = task.init(key)
        return params, *jax.value_and_grad(task.loss)(params, key, None)

    params, losses, grads = start(KEYS[:5])
    assert params.shape == grads.shape == (5, 3)
    assert len(np.unique(losses)) == 5
    centers = jax.vmap(family.sample)(KEYS[:5])["center"]
    distance = ((np.float64(params) - np.float64(centers)) ** 2).sum(1)
    np.testing.assert_allclose(losses, distance, rtol=1e-5)
    # The estimate points uphill: e (g.e) times g is never negative.
    assert ((2 * (params - centers) * grads).sum(1) > 0).all()
    assert family.eval_datasets is family.datasets is None
    assert get_task(family, task_family_seed=4).name.endswith("_seed4")


def test_equal_settings_make_equal_tasks():
    for one, same, other in (
        (ESTask(TinyTask()), ESTask(TinyTask(), 0.01, 8), ESTask(TinyTask(), 0.1)),
        (
            ESTaskFamily(FixedDimQuadraticFamily(3)),
            ESTaskFamily(FixedDimQuadraticFamily(3), 0.01, 8),
            ESTaskFamily(FixedDimQuadraticFamily(4)),
        ),
    ):
        assert one == same
        assert hash(one) == hash(same)
        assert one != other
        assert pickle.loads(pickle.dumps(one)) == one
    assert ESTask(TinyTask()).name == "ESTask_TinyTask"
    named = ESTask(QuadraticTask(3), std=0.1, n_pairs=2)
    assert named.name == "ESTask_std0.1_n_pairs2_QuadraticTask_dim3"


def test_gin_configures_both():
    gin.parse_config("learned_optimization.tasks.es_wrapper.ESTask.n_pairs = 7")
    gin.parse_config("learned_optimization.tasks.es_wrapper.ESTaskFamily.std = 0.5")
    assert ESTask(TinyTask()).n_pairs == 7
    assert ESTaskFamily(FixedDimQuadraticFamily()).std == 0.5


@pytest.mark.parametrize("std", [0, -0.1, float("nan"), float("inf"), "a", True])
@pytest.mark.parametrize(
    "make",
    [
        lambda std: ESTask(TinyTask(), std=std),
        lambda std: ESTaskFamily(FixedDimQuadraticFamily(), std=std),
        lambda std: antithetic_es_value_and_grad(jnp.sum, std=std),
        lambda std: multi_antithetic_es_value_and_grad(jnp.sum, std=std),
    ],
)
def test_impossible_std(make, std):
    with pytest.raises(LoptError, match=r"std must be a number above 0, got"):
        make(std)


def test_impossible_n_pairs():
    with pytest.raises(LoptError, match=r"n_pairs must be .* at least 1, got 0"):
        ESTask(TinyTask(), n_pairs=0)
    with pytest.raises(LoptError, match=r"n_pairs must be .* at least 1, got 1.5"):
        multi_antithetic_es_value_and_grad(jnp.sum, n_pairs=cast(Any, 1.5))


def test_an_estimate_needs_a_key():
    for make in (antithetic_es_value_and_grad, multi_antithetic_es_value_and_grad):
        with pytest.raises(LoptError, match=r"call it with es_key="):
            make(jnp.sum)(jnp.ones(2))
