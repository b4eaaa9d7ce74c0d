"""The evolution-strategies estimate against numpy and closed forms."""

import pickle
from dataclasses import dataclass

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.tasks.base import Task, get_task
from learned_optimization.tasks.es_wrapper import (
    ESTask,
    ESTaskFamily,
    antithetic_es_value_and_grad,
)
from learned_optimization.tasks.quadratics import FixedDimQuadraticFamily, QuadraticTask
from tests.tiny import PlainSGD, StatefulTask, TinyTask

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


def test_one_estimate_matches_numpy_from_its_own_noise():
    """The noise is read off a function that returns the point it was given."""
    x = {"a": jnp.array([0.5, -1.0]), "b": jnp.float32(2.0)}
    points = []

    def fun(x, scale):
        return quartic(x, scale), x

    std, pairs = 0.1, 3
    estimate = jax.jit(
        antithetic_es_value_and_grad(fun, has_aux=True, std=std, num_pairs=pairs)
    )

    def spy(x, scale):
        jax.debug.callback(lambda a, b: points.append((a, b)), x["a"], x["b"])
        return quartic(x, scale)

    (value, mean_point), grad = estimate(x, 3.0, key=KEY)
    spied = antithetic_es_value_and_grad(spy, std=std, num_pairs=pairs)
    spied_value, spied_grad = spied(x, 3.0, key=KEY)
    jax.effects_barrier()

    assert len(points) == 2 * pairs
    a = np.float64([p[0] for p in points])
    b = np.float64([p[1] for p in points])
    losses = 3.0 * (a**4).sum(1) + b**2
    np.testing.assert_allclose([value, spied_value], losses.mean(), rtol=1e-5)
    # With its antithetic partner each evaluation counts e L(x + e) / (2 std^2).
    want_a = ((a - np.float64(x["a"])) * losses[:, None]).sum(0) / (2 * std**2)
    want_b = ((b - 2.0) * losses).sum() / (2 * std**2)
    for got in (grad, spied_grad):
        np.testing.assert_allclose(got["a"], want_a / pairs, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(got["b"], want_b / pairs, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(mean_point["a"], x["a"], atol=1e-6)


@pytest.mark.parametrize("pairs", [1, 5])
def test_linear_loss_on_average_has_its_gradient(pairs):
    """`e (c.e) / std^2` has mean c and variance `c_i^2 + |c|^2` a pair."""
    c = np.array([1.0, -2.0, 0.5])
    estimate = antithetic_es_value_and_grad(lambda x: x @ jnp.array(c), num_pairs=pairs)
    x = jnp.array([0.3, 0.2, -0.1])
    values, grads = jax.jit(jax.vmap(lambda k: estimate(x, key=k)))(KEYS)
    np.testing.assert_allclose(values, np.float64(x) @ c, atol=1e-5)
    variance = (c**2 + (c**2).sum()) / pairs
    error = np.sqrt(variance / len(KEYS))
    assert (np.abs(np.mean(grads, 0) - c) < 5 * error).all()
    np.testing.assert_allclose(np.var(grads, 0), variance, rtol=0.2)


def test_quadratic_has_its_closed_form():
    """E value = `sum x^2 + dim std^2`, E gradient = 2x; pairs lessen the variance."""
    dim, std = 4, 0.5
    task = ESTask(QuadraticTask(dim), std=std, num_pairs=2)
    x = jnp.array([1.0, -1.0, 0.5, 2.0])
    value_and_grad = jax.jit(
        jax.vmap(jax.value_and_grad(task.loss), in_axes=(None, 0, None))
    )
    values, grads = value_and_grad(x, KEYS, None)
    want = (np.float64(x) ** 2).sum() + dim * std**2
    # Pairs cancel the linear term: each value is sum x^2 + mean of |e|^2.
    error = std**2 * np.sqrt(2 * dim / 2 / len(KEYS))
    assert abs(values.mean() - want) < 5 * error
    np.testing.assert_allclose(values.std(), std**2 * np.sqrt(dim), rtol=0.1)
    g = 2 * np.float64(x)
    error = np.sqrt((g**2 + (g**2).sum()) / 2 / len(KEYS))
    assert (np.abs(grads.mean(0) - g) < 5 * error).all()


def test_the_same_under_jit_vmap_and_scan():
    task = ESTask(TinyTask(), num_pairs=2)
    data = next(task.datasets.train)
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


def test_evaluation_records_the_loss_that_is_trained():
    task = ESTask(TinyTask(), std=0.3, num_pairs=2)
    data, params = next(task.datasets.train), task.init(KEY)
    loss, state = task.loss_with_state(params, None, KEY, data)
    evaluated, _, aux = task.loss_with_state_and_aux(params, None, KEY, data)
    assert state is None
    assert loss == evaluated == task.loss(params, KEY, data)
    assert task.loss_and_aux(params, KEY, data)[1].keys() == aux.keys() == {"norm"}
    assert task.normalizer(jnp.float32(99.0)) == 10
    assert task.datasets == TinyTask().datasets
    # Scaled, the gradient is scaled.
    grad = jax.grad(lambda p: 3 * task.loss(p, KEY, data))(params)
    once = jax.grad(task.loss)(params, KEY, data)
    np.testing.assert_allclose(grad["w"], 3 * once["w"], rtol=1e-5)


def test_state_is_averaged_where_it_is_float_and_counts_calls_once():
    task = ESTask(Line(), std=0.1, num_pairs=4)
    params, state = task.init_with_state(KEY)
    for calls in (1, 2):
        loss, state, aux = task.loss_with_state_and_aux(params, state, KEY, None)
        assert (state["calls"], state["calls"].dtype) == (calls, jnp.int32)
        np.testing.assert_allclose(state["mean"], loss, rtol=1e-6)
        np.testing.assert_allclose(loss, 6.0, rtol=1e-5)
        assert aux["calls"] == calls
    # A mean of eight equal draws: every evaluation saw the same key.
    draw = jax.random.uniform(jax.random.split(KEY)[0])
    np.testing.assert_allclose(aux["draw"], draw, rtol=1e-6)


@pytest.mark.parametrize("inner", [TinyTask(), StatefulTask()])
def test_engine_learns(inner):
    task = ESTask(inner, num_pairs=8)
    curves = single_task_training_curves(task, PlainSGD(0.05), 40, KEY, eval_batches=2)
    loss = curves["eval/test/loss"]
    assert np.isfinite(loss).all()
    assert loss[-1] < 0.5 * loss[0]
    if inner == StatefulTask():
        # Recorded before the update, and the evaluation itself is a call.
        assert curves["eval/test/calls"].tolist() == [1, 11, 21, 31, 41]


def test_family_of_traced_tasks():
    family = ESTaskFamily(FixedDimQuadraticFamily(3), std=0.1, num_pairs=2)

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
    np.testing.assert_allclose(losses, distance, atol=0.2)
    # The estimate points uphill: e (g.e) times g is never negative.
    assert ((2 * (params - centers) * grads).sum(1) > 0).all()
    assert family.eval_datasets is family.datasets is None
    assert get_task(family, sample_seed=4).name.endswith("_seed4")


def test_equal_settings_make_equal_tasks():
    for one, same, other in (
        (ESTask(TinyTask()), ESTask(TinyTask(), 0.01, 1), ESTask(TinyTask(), 0.1)),
        (
            ESTaskFamily(FixedDimQuadraticFamily(3)),
            ESTaskFamily(FixedDimQuadraticFamily(3), 0.01, 1),
            ESTaskFamily(FixedDimQuadraticFamily(4)),
        ),
    ):
        assert one == same
        assert hash(one) == hash(same)
        assert one != other
        assert pickle.loads(pickle.dumps(one)) == one
    assert ESTask(TinyTask()).name == "ESTask_TinyTask"
    named = ESTask(QuadraticTask(3), std=0.1, num_pairs=2)
    assert named.name == "ESTask_std0.1_num_pairs2_QuadraticTask_dim3"


def test_gin_configures_both():
    gin.parse_config("learned_optimization.tasks.ESTask.num_pairs = 7")
    gin.parse_config("learned_optimization.tasks.ESTaskFamily.std = 0.5")
    assert ESTask(TinyTask()).num_pairs == 7
    assert ESTaskFamily(FixedDimQuadraticFamily()).std == 0.5


@pytest.mark.parametrize("std", [0, -0.1, float("nan"), float("inf"), "a", True])
@pytest.mark.parametrize(
    "make",
    [
        lambda std: ESTask(TinyTask(), std=std),
        lambda std: ESTaskFamily(FixedDimQuadraticFamily(), std=std),
        lambda std: antithetic_es_value_and_grad(jnp.sum, std=std),
    ],
)
def test_impossible_std(make, std):
    with pytest.raises(LoptError, match=r"std must be a number above 0, got"):
        make(std)


def test_impossible_num_pairs():
    with pytest.raises(LoptError, match=r"num_pairs must be .* at least 1, got 0"):
        ESTask(TinyTask(), num_pairs=0)
    with pytest.raises(LoptError, match=r"num_pairs must be .* at least 1, got 1.5"):
        antithetic_es_value_and_grad(jnp.sum, num_pairs=1.5)
