"""Wrapped tasks against numpy; what holds for one wrapper holds for their nests."""

import functools
import math
import pickle
from dataclasses import dataclass
from typing import Any, cast

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.base import Task, get_task, single_task_to_family
from learned_optimization.tasks.es_wrapper import ESTask, ESTaskFamily
from learned_optimization.tasks.quadratics import (
    FixedDimQuadraticFamily,
    FixedDimQuadraticFamilyData,
    NoisyQuadraticFamily,
    QuadraticTask,
)
from learned_optimization.tasks.task_augmentation import (
    AsyncDelayedGradients,
    AsyncDelayedGradientsTaskFamily,
    ConvertFloatDType,
    ConvertFloatDTypeTaskFamily,
    ModifyTaskGradient,
    NormalizeTaskGradient,
    NormalizeTaskGradientTaskFamily,
    ReducedBatchsizeFamily,
    ReducedBatchsizeTask,
    ReparamWeights,
    ReparamWeightsFamily,
    SubsampleDirectionsTaskGradient,
    SubsampleDirectionsTaskGradientTaskFamily,
    WrappedTaskFamilyWithTaskWrapper,
)
from tests.tiny import PlainSGD, StatefulTask, TinyTask, data_of

KEY = jax.random.PRNGKey(0)
TINY = TinyTask(noise=0.0)
DATA = next(data_of(TINY).train)


def doubled(grad, key):
    return jax.tree.map(lambda g: 2 * g, grad)


WRAPPERS = {
    "reparam": lambda t: ReparamWeights(t, 0.5),
    "reduced": lambda t: ReducedBatchsizeTask(t, 0.5),
    "bfloat16": lambda t: ConvertFloatDType(t),
    "normalized": lambda t: NormalizeTaskGradient(t),
    "modified": lambda t: ModifyTaskGradient(t, doubled),
    "subsampled": lambda t: SubsampleDirectionsTaskGradient(t, 6),
    "delayed": lambda t: AsyncDelayedGradients(t, 2),
    "nested": lambda t: AsyncDelayedGradients(
        ReparamWeights(NormalizeTaskGradient(ESTask(t, n_pairs=4)), 2.0), 1
    ),
}
FAMILIES = {
    "es": lambda f: ESTaskFamily(f),
    "global": lambda f: ReparamWeightsFamily(f, "global"),
    "tensor": lambda f: ReparamWeightsFamily(f),
    "parameter": lambda f: ReparamWeightsFamily(f, "parameter", cast(Any, [0.1, 10])),
    "reduced": lambda f: ReducedBatchsizeFamily(f, 0.25),
    "fractions": lambda f: ReducedBatchsizeFamily(f),
    "bfloat16": lambda f: ConvertFloatDTypeTaskFamily(f, jnp.bfloat16),
    "normalized": lambda f: NormalizeTaskGradientTaskFamily(f),
    "subsampled": lambda f: SubsampleDirectionsTaskGradientTaskFamily(f, 3),
    "delayed": lambda f: AsyncDelayedGradientsTaskFamily(f, 2),
    "nested": lambda f: ReducedBatchsizeFamily(
        SubsampleDirectionsTaskGradientTaskFamily(
            ReparamWeightsFamily(f, "parameter"), 2
        )
    ),
}
every_wrapper = pytest.mark.parametrize("name", WRAPPERS)
every_family = pytest.mark.parametrize("name", FAMILIES)


def tiny_closed_form(params, data):
    """Loss and gradient of TinyTask without noise, in float64."""
    x, y, w, b = (
        np.asarray(a, np.float64)
        for a in (data["x"], data["y"], params["w"], params["b"])
    )
    error = x @ w + b - y
    n = len(y)
    return (error**2).mean(), {"w": 2 * x.T @ error / n, "b": 2 * error.sum() / n}


def flat(tree):
    return np.concatenate([np.ravel(np.float64(a)) for a in jax.tree.leaves(tree)])


def assert_trees_close(got, want, rtol=1e-5, atol=1e-5):
    def one(g, w):
        np.testing.assert_allclose(np.float64(g), w, rtol=rtol, atol=atol)

    jax.tree.map(one, got, want)


def value_and_grad(task, params, data=DATA, key=KEY):
    return jax.jit(jax.value_and_grad(task.loss))(params, key, data)


# What every wrapper does.


# With model state the engine runs all of them, below.
@pytest.mark.parametrize(
    ("name", "inner"),
    [*((name, TINY) for name in WRAPPERS), ("nested", StatefulTask())],
)
def test_losses_agree_and_the_rest_is_forwarded(name, inner):
    task = WRAPPERS[name](inner)

    @jax.jit
    def everything(key):
        params, state = task.init_with_state(key)
        trained = task.loss_with_state(params, state, key, DATA)
        *evaluated, aux = task.loss_with_state_and_aux(params, state, key, DATA)
        stateless = ()
        if state is None:
            plain, plain_aux = task.loss_and_aux(params, key, DATA)
            stateless = (task.loss(params, key, DATA), plain, plain_aux["norm"])
        return (params, task.init(key)), state, trained, evaluated, aux, stateless

    starts, state, (loss, after), (evaluated, same), aux, stateless = everything(KEY)
    assert_trees_close(starts[0], jax.tree.map(np.float64, starts[1]))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, evaluated, rtol=1e-6)
    assert_trees_close(after, jax.tree.map(np.float64, same))
    specs = [jax.tree.map(lambda a: (a.shape, a.dtype), s) for s in (state, after)]
    assert specs[0] == specs[1]
    assert aux.keys() == ({"norm"} if inner == TINY else {"calls"})
    if stateless:
        np.testing.assert_allclose(stateless, (loss, loss, aux["norm"]), rtol=1e-6)
    assert task.datasets is inner.datasets
    assert task.normalizer(jnp.float32(99.0)) == 10
    assert task.name.endswith(f"_{inner.name}")


@pytest.mark.slow
@every_wrapper
def test_engine_learns(name):
    task = WRAPPERS[name](StatefulTask())
    opt = PlainSGD(0.03)
    curves = single_task_training_curves(task, opt, 60, KEY, 30, eval_batches=2)
    loss = curves["eval/test/loss"]
    assert np.isfinite(curves["train/loss"]).all()
    assert loss[-1] < 0.6 * loss[0]
    # An evaluation counts itself, and leaves no trace.
    assert curves["eval/test/calls"].tolist() == [1, 31, 61]


@every_wrapper
def test_equal_settings_make_equal_tasks(name):
    one, same = WRAPPERS[name](TINY), WRAPPERS[name](TinyTask(noise=0.0))
    assert one == same
    assert hash(one) == hash(same)
    assert one not in (WRAPPERS[name](TinyTask()), TINY)
    assert pickle.loads(pickle.dumps(one)) == one


@every_family
def test_equal_settings_make_equal_families(name):
    family = FAMILIES[name](FixedDimQuadraticFamilyData(3))
    assert family == FAMILIES[name](FixedDimQuadraticFamilyData(3))
    assert hash(family) == hash(FAMILIES[name](FixedDimQuadraticFamilyData(3)))
    assert family != FAMILIES[name](FixedDimQuadraticFamilyData(4))
    assert pickle.loads(pickle.dumps(family)) == family
    assert family.name.endswith("_FixedDimQuadraticFamilyData")
    assert family.datasets == family.eval_datasets == family.task_family.datasets


# Families that draw nothing of their own share their code: one of them is enough.
@pytest.mark.parametrize(
    "name", ["global", "reduced", "fractions", "delayed", "nested"]
)
def test_family_of_many_traced_tasks(name):
    family = FAMILIES[name](FixedDimQuadraticFamilyData(3))
    data = next(family.datasets.train)
    keys = jax.random.split(KEY, 4)

    def start(key):
        task = family.task_fn(family.sample(key))
        params, state = task.init_with_state(key)
        step = jax.value_and_grad(task.loss_with_state, has_aux=True)
        (loss, _), grad = step(params, state, key, data)
        return loss, grad

    losses, grads = jax.jit(jax.vmap(start))(keys)
    assert grads.shape == (4, 3)
    assert len(np.unique(losses)) == 4
    task = family.task_fn(family.sample(keys[0]))
    params, state = task.init_with_state(keys[0])
    loss, _ = jax.jit(task.loss_with_state)(params, state, keys[0], data)
    np.testing.assert_allclose(loss, losses[0], rtol=1e-2)
    assert task.datasets == family.datasets


def test_names():
    for made, want in (
        (ReparamWeights(TINY, 0.5), "ReparamWeights_param_scale0.5_TinyTask"),
        (
            ReparamWeights(TINY, {"w": 2.0, "b": 1.0}),
            "ReparamWeights_param_scale{'w':2.0,'b':1.0}_TinyTask",
        ),
        (
            ReducedBatchsizeTask(TINY, 0.5),
            "ReducedBatchsizeTask_fraction_of_batchsize0.5_TinyTask",
        ),
        (ConvertFloatDType(TINY), "ConvertFloatDType_TinyTask"),
        (ConvertFloatDType(TINY, "f4"), "ConvertFloatDType_dtypefloat32_TinyTask"),
        (
            SubsampleDirectionsTaskGradientTaskFamily(
                FixedDimQuadraticFamily(), 3, True
            ),
            "SubsampleDirectionsTaskGradientTaskFamily_directions3_"
            "sign_directionTrue_FixedDimQuadraticFamily",
        ),
    ):
        assert made.name == want
    by_array = [ReparamWeights(TINY, jnp.float32(s)).name for s in (2, 2, 3)]
    assert by_array[0] == by_array[1] != by_array[2]
    family = NormalizeTaskGradientTaskFamily(FixedDimQuadraticFamily())
    assert get_task(family).name == f"{family.name}_seed0"


def test_gin_configures_wrappers():
    gin.parse_config("task_augmentation.AsyncDelayedGradients.delay_steps = 4")
    gin.parse_config(
        "learned_optimization.tasks.task_augmentation."
        "ReparamWeightsFamily.level = 'global'"
    )
    assert AsyncDelayedGradients(TINY).delay_steps == 4
    assert ReparamWeightsFamily(FixedDimQuadraticFamily()).level == "global"


# What each of them does.


@pytest.mark.parametrize(
    "scale",
    [4.0, {"w": np.array([1.0, 2.0, 4.0, 8.0, 0.5], np.float32), "b": 0.25}],
)
def test_reparam_divides_parameters_and_multiplies_gradients(scale):
    task = ReparamWeights(TINY, scale)
    w_scale, b_scale = (scale["w"], scale["b"]) if isinstance(scale, dict) else (4, 4)
    original = TINY.init(KEY)
    params = task.init(KEY)
    np.testing.assert_allclose(params["w"], original["w"] / w_scale, rtol=1e-6)
    loss, grad = value_and_grad(task, params)
    want, g = tiny_closed_form(original, DATA)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    assert_trees_close(grad, {"w": g["w"] * w_scale, "b": g["b"] * b_scale})


@pytest.mark.parametrize("level", ["global", "tensor", "parameter"])
def test_reparam_family_draws_log_uniform_scales(level):
    family = ReparamWeightsFamily(single_task_to_family(TINY), level, (0.1, 1000.0))
    cfgs = jax.jit(jax.vmap(family.sample))(jax.random.split(KEY, 2000))
    scale = cfgs["param_scale"]
    if level == "global":
        assert scale.shape == (2000,)
    else:
        assert scale["b"].shape == (2000,)
        assert scale["w"].shape == ((2000,) if level == "tensor" else (2000, 5))
        assert abs(
            np.corrcoef(scale["b"], scale["w"].reshape(2000, -1)[:, 0])[0, 1]
        ) < (0.1)
    logs = np.log10(np.concatenate([np.ravel(a) for a in jax.tree.leaves(scale)]))
    assert -1 - 1e-5 <= logs.min() < -0.95
    assert 2.95 < logs.max() <= 3 + 1e-5
    # Uniform on [-1, 3]: mean 1, standard deviation 4 / sqrt(12).
    np.testing.assert_allclose(logs.mean(), 1.0, atol=0.1)
    np.testing.assert_allclose(logs.std(), 4 / np.sqrt(12), rtol=0.05)


@pytest.mark.parametrize(
    ("fraction", "count"), [(1, 8), (0.5, 4), (0.25, 2), (0.45, 3), (0.01, 1)]
)
def test_reduced_batch_is_the_first_examples(fraction, count):
    params = TINY.init(KEY)
    got = value_and_grad(ReducedBatchsizeTask(TINY, fraction), params)
    first = {field: a[:count] for field, a in DATA.items()}
    assert_trees_close(got, tiny_closed_form(params, first))


def test_traced_fraction_repeats_the_first_examples():
    params = TINY.init(KEY)

    @jax.jit
    def traced(fraction):
        task = ReducedBatchsizeTask(TINY, fraction)
        return jax.value_and_grad(task.loss)(params, KEY, DATA)

    for fraction, count in ((1.0, 8), (0.5, 4), (0.25, 2), (0.0, 1), (0.45, 3)):
        # 3 does not divide 8: the first two examples count three times, as stated.
        rows = np.arange(8) % count
        repeated = {field: a[rows] for field, a in DATA.items()}
        assert_trees_close(traced(fraction), tiny_closed_form(params, repeated))
        if 8 % count == 0:
            first = {field: a[:count] for field, a in DATA.items()}
            assert_trees_close(traced(fraction), tiny_closed_form(params, first))


def test_reduced_family_draws_every_fraction():
    inner = single_task_to_family(TINY)
    family = ReducedBatchsizeFamily(inner, [0.5, 1.0])
    cfgs = jax.vmap(family.sample)(jax.random.split(KEY, 400))
    assert set(np.asarray(cfgs["fraction"])) == {0.5, 1.0}
    assert abs(np.mean(cfgs["fraction"]) - 0.75) < 0.05
    # One fraction really shrinks the batch; no batch, or a scalar, stays as it is.
    task = ReducedBatchsizeFamily(inner, 0.25).sample_task(KEY)
    assert task == ReducedBatchsizeTask(TINY, 0.25)
    task = ReducedBatchsizeTask(QuadraticTask(2), 0.5)
    assert task.loss(jnp.ones(2), KEY, None) == 2
    assert task._reduce(jnp.float32(3)) == 3


def test_floats_are_converted_and_whole_numbers_are_not():
    seen = {}

    @dataclass(frozen=True)
    class Spy(StatefulTask):
        def loss_with_state(self, params, state, key, data):
            trees = {"params": params, "state": state, "data": data}
            seen.update(jax.tree.map(lambda a: a.dtype.name, trees))
            loss, state = super().loss_with_state(params, state, key, data)
            return loss, {"calls": state["calls"], "mean": jnp.float32(loss)}

        def init_with_state(self, key):
            params, state = super().init_with_state(key)
            return params, {**state, "mean": jnp.zeros(())}

    task = ConvertFloatDType(Spy(noise=0.0), jnp.bfloat16)
    params, state = task.init_with_state(KEY)
    assert {a.dtype.name for a in jax.tree.leaves(params)} == {"bfloat16"}
    step = jax.value_and_grad(task.loss_with_state, has_aux=True)
    (loss, state), grad = step(params, state, KEY, DATA)
    assert seen["params"] == {"w": "bfloat16", "b": "bfloat16"}
    assert seen["state"] == {"calls": "int32", "mean": "bfloat16"}
    assert seen["data"] == {"x": "bfloat16", "y": "bfloat16"}
    assert jax.tree.map(lambda a: a.dtype.name, state) == seen["state"]
    assert {a.dtype.name for a in jax.tree.leaves(grad)} == {"bfloat16"}
    assert loss.dtype == jnp.float32
    want, g = tiny_closed_form(params, DATA)
    np.testing.assert_allclose(loss, want, rtol=0.03)
    assert_trees_close(grad, g, rtol=0.05, atol=0.05)
    # Parameters of another type are converted, and get gradients of their own.
    grad = jax.grad(ConvertFloatDType(TINY).loss)(TINY.init(KEY), KEY, DATA)
    assert grad["w"].dtype == jnp.float32


@pytest.mark.slow
def test_converted_task_trains_with_adam():
    curves = single_task_training_curves(
        ConvertFloatDType(TINY), Adam(learning_rate=0.1), 60, KEY, 30, eval_batches=2
    )
    loss = curves["eval/test/loss"]
    assert loss[-1] < 0.6 * loss[0]


def test_normalized_gradient_has_norm_one():
    params = TINY.init(KEY)
    loss, grad = value_and_grad(NormalizeTaskGradient(TINY), params)
    want, g = tiny_closed_form(params, DATA)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(flat(grad)), 1, rtol=1e-5)
    np.testing.assert_allclose(flat(grad), flat(g) / np.linalg.norm(flat(g)), rtol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e15])
def test_normalized_gradient_at_the_edges(scale):
    task = NormalizeTaskGradient(QuadraticTask(3))
    x = np.array([3.0, 0.0, -4.0])
    _, grad = value_and_grad(task, jnp.float32(x * scale), None)
    np.testing.assert_allclose(grad, x / 5 * (scale > 0), rtol=1e-5)


@pytest.mark.parametrize("sign", [False, True])
def test_subsampled_gradient_has_the_moments_of_the_sphere(sign):
    """Of a uniform unit vector in n dimensions, by its closed forms."""
    directions, n = 3, 6
    task = SubsampleDirectionsTaskGradient(TINY, directions, sign_direction=sign)
    params = TINY.init(KEY)
    keys = jax.random.split(KEY, 4000)
    losses, grads = jax.jit(
        jax.vmap(jax.value_and_grad(task.loss), in_axes=(None, 0, None))
    )(params, keys, DATA)
    loss, g = tiny_closed_form(params, DATA)
    np.testing.assert_allclose(losses, loss, rtol=1e-5)
    g, norm = flat(g), np.linalg.norm(flat(g))
    got = np.concatenate([np.reshape(grads[k], (4000, -1)) for k in ("b", "w")], 1)
    if sign:
        # E|d_1|, and E d_i^2 = 1 / n.
        mean_abs = math.gamma(n / 2) / (math.sqrt(math.pi) * math.gamma((n + 1) / 2))
        mean = mean_abs * g / norm
        variance = 1 / n - mean**2
    else:
        # E d_i d_j d_k d_l = (sum of the three pairings) / (n (n + 2)).
        mean = g / n
        variance = (norm**2 + 2 * g**2) / (n * (n + 2)) - mean**2
    error = np.sqrt(directions * variance / 4000)
    assert (np.abs(got.mean(0) - directions * mean) < 5 * error).all()
    np.testing.assert_allclose(got.var(0), directions * variance, rtol=0.2)


def test_subsampled_gradient_of_one_direction_is_a_projection():
    """`(d.g) d` is along d, which has norm 1: the signed form is d up to its sign."""
    x = jnp.array([1.0, 2.0, -2.0])
    task, signed = (
        SubsampleDirectionsTaskGradient(QuadraticTask(3), 1, sign)
        for sign in (False, True)
    )
    _, grad = value_and_grad(task, x, None)
    d = np.asarray(value_and_grad(signed, x, None)[1], np.float64)
    np.testing.assert_allclose(np.linalg.norm(d), 1, rtol=1e-6)
    np.testing.assert_allclose(
        grad, d * (d @ (2 * np.asarray(x, np.float64))), rtol=1e-5
    )


def negated(grad, key):
    assert key.shape == KEY.shape
    return jax.tree.map(jnp.negative, grad)


def test_any_function_modifies_a_gradient():
    task = ModifyTaskGradient(TINY, negated)
    params = TINY.init(KEY)
    loss, grad = value_and_grad(task, params)
    want, g = tiny_closed_form(params, DATA)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    np.testing.assert_allclose(flat(grad), -flat(g), rtol=1e-4)
    assert task.name == "ModifyTaskGradient_fnnegated_TinyTask"

    def noise(grad, key):
        return jax.tree.map(lambda g: jax.random.normal(key, g.shape), grad)

    noisy = ModifyTaskGradient(TINY, noise)
    draws = [value_and_grad(noisy, params, key=k)[1] for k in jax.random.split(KEY)]
    assert not np.allclose(draws[0]["w"], draws[1]["w"])
    # The key of the loss is the call's own: the noise of TinyTask is the same.
    quiet = ModifyTaskGradient(TinyTask(), negated)
    got = jax.jit(quiet.loss)(params, KEY, DATA)
    np.testing.assert_allclose(got, jax.jit(TinyTask().loss)(params, KEY, DATA))


def test_a_family_of_any_wrapper():
    inner = single_task_to_family(TINY, eval_task=TinyTask(noise=0.5))
    family = WrappedTaskFamilyWithTaskWrapper(
        inner, functools.partial(ReparamWeights, param_scale=2.0), name="doubled"
    )
    assert family.name == "doubled"
    assert family.sample_task(KEY) == ReparamWeights(TINY, 2.0)
    evaluated = family.eval_task_fn(family.sample(KEY))
    assert evaluated == ReparamWeights(TinyTask(noise=0.5), 2.0)
    assert family.datasets == family.eval_datasets == TINY.datasets
    unnamed = WrappedTaskFamilyWithTaskWrapper(inner, NormalizeTaskGradient)
    assert unnamed.name == "WrappedTaskFamilyWithTaskWrapper"


@pytest.mark.parametrize(
    "make",
    [
        lambda f: ReparamWeightsFamily(f, "global"),
        lambda f: ReducedBatchsizeFamily(f, 0.5),
        lambda f: NormalizeTaskGradientTaskFamily(f),
    ],
)
def test_families_wrap_the_evaluation_task(make):
    evaluated = TinyTask(noise=0.5)
    family = make(single_task_to_family(TINY, eval_task=evaluated))
    cfg = family.sample(KEY)
    task, eval_task = family.task_fn(cfg), family.eval_task_fn(cfg)
    assert type(task) is type(eval_task)
    assert (task.task, eval_task.task) == (TINY, evaluated)


@pytest.mark.slow
def test_without_a_gradient_the_loss_alone_is_computed():
    """Each computation of the loss calls back, whether its value is used or not."""
    for make in (ESTask, NormalizeTaskGradient, SubsampleDirectionsTaskGradient):
        calls = []
        task = make(Counted(calls))
        for loss in (task.loss, jax.jit(task.loss)):
            calls.clear()
            loss(jnp.ones(3), KEY, None).block_until_ready()
            jax.effects_barrier()
            assert len(calls) == 1, make
        curves = single_task_training_curves(task, PlainSGD(0.01), 1, KEY)
        assert np.isfinite(curves["train/loss"]).all()


@dataclass(frozen=True, eq=False)
class Counted(Task):
    """`x.x`; every computation appends to a list."""

    calls: list

    def init(self, key):
        return jnp.ones(3)

    def loss(self, params, key, data):
        loss = params @ params
        jax.debug.callback(lambda x: self.calls.append(float(x)), loss)
        return loss


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_delayed_gradients_follow_a_delayed_sgd(delay):
    task = AsyncDelayedGradients(StatefulTask(noise=0.0), delay)
    stream = data_of(TINY).train
    batches = [next(stream) for _ in range(8)]
    params, state = task.init_with_state(KEY)
    lr = 0.05

    def step(carry, batch):
        params, state = carry
        grad_fn = jax.value_and_grad(task.loss_with_state, has_aux=True)
        (loss, state), grad = grad_fn(params, state, KEY, batch)
        params = jax.tree.map(lambda p, g: p - lr * g, params, grad)
        return (params, state), loss

    stacked = jax.tree.map(lambda *a: jnp.stack(a), *batches)
    (last, state), losses = jax.jit(lambda c, b: jax.lax.scan(step, c, b))(
        (params, state), stacked
    )

    history = [jax.tree.map(np.float64, params)]
    want = []
    for t, batch in enumerate(batches):
        want.append(tiny_closed_form(history[t], batch)[0])
        _, g = tiny_closed_form(history[max(t - delay, 0)], batch)
        history.append({k: history[t][k] - lr * g[k] for k in g})
    np.testing.assert_allclose(losses, want, rtol=1e-4)
    assert_trees_close(last, history[-1])
    assert state.inner["calls"] == 8


def test_gradients_of_a_nest_are_those_of_its_parts():
    """Normalized in the inner parameters, scaled by the outer ones, then delayed."""
    inner = NormalizeTaskGradient(QuadraticTask(2))
    task = AsyncDelayedGradients(ReparamWeights(inner, 2.0), 1)
    _, state = task.init_with_state(KEY)
    step = jax.jit(jax.value_and_grad(task.loss_with_state, has_aux=True))
    points = jnp.array([[3.0, 4.0], [0.0, 1.0], [5.0, 5.0]])
    (_, state), _ = step(points[0], state, KEY, None)
    (loss, state), grad = step(points[1], state, KEY, None)
    assert loss == 4.0
    np.testing.assert_allclose(grad, [1.2, 1.6], rtol=1e-6)
    (_, state), grad = step(points[2], state, KEY, None)
    np.testing.assert_allclose(grad, [0.0, 2.0], atol=1e-6)


def test_second_derivative_is_zero_and_data_keep_their_gradient():
    task = NormalizeTaskGradient(TINY)
    params = TINY.init(KEY)
    hessian = jax.grad(lambda p: jnp.sum(jax.grad(task.loss)(p, KEY, DATA)["w"]))
    assert not np.any(flat(hessian(params)))
    for t in (task, TINY):
        grad = jax.grad(lambda y, t=t: t.loss(params, KEY, {**DATA, "y": y}))(DATA["y"])
        assert np.any(grad)


# What is refused.

FAMILY = NoisyQuadraticFamily()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReparamWeights(TINY, 0.0), r"param_scale must be .* above 0, got 0.0"),
        (lambda: ReparamWeights(TINY, np.zeros(2)), r"param_scale must be above 0"),
        (lambda: ReparamWeights(TINY, {"w": -1.0}), r"above 0, got -1.0"),
        (
            lambda: ReparamWeights(TINY, {"w": 1.0}).init(KEY),
            r"must be one number or have the structure of the parameters of TinyTask",
        ),
        (
            lambda: ReparamWeightsFamily(FAMILY, param_scale_range=(2.0, 1.0)),
            r"the least param_scale must be a number above 0 and at most 1, got 2.0",
        ),
        (
            lambda: ReparamWeightsFamily(FAMILY, param_scale_range=cast(Any, (1.0,))),
            r"the least and the largest scale, got \(1.0,\)",
        ),
        (lambda: ReducedBatchsizeTask(TINY, 1.5), r"above 0 and at most 1, got 1.5"),
        (
            lambda: ReducedBatchsizeTask(TINY, jnp.float32(0)),
            r"fraction_of_batchsize must be .* got 0",
        ),
        (
            lambda: ReducedBatchsizeFamily(FAMILY, ()),
            r"one to draw from, got none",
        ),
        (
            lambda: ReducedBatchsizeFamily(FAMILY, (0.5, 2)),
            r"_batchsize .* got 2",
        ),
        (lambda: ConvertFloatDType(TINY, "float64"), r"needs jax's 64-bit mode"),
        (
            lambda: SubsampleDirectionsTaskGradient(TINY, 0),
            r"directions must be .* got 0",
        ),
        (
            lambda: SubsampleDirectionsTaskGradientTaskFamily(FAMILY, cast(Any, 1.5)),
            r"directions must be .* 1.5",
        ),
        (lambda: AsyncDelayedGradients(TINY, -1), r"delay_steps must be .* got -1"),
        (
            lambda: AsyncDelayedGradientsTaskFamily(FAMILY, cast(Any, "2")),
            r"delay_steps must be .* got '2'",
        ),
    ],
)
def test_impossible_settings(make, message):
    with pytest.raises(LoptError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReparamWeightsFamily(FAMILY, "tensors"), r"did you mean tensor\?"),
        (lambda: ConvertFloatDType(TINY, "int32"), r"unknown float dtype 'int32'"),
        (
            lambda: ConvertFloatDTypeTaskFamily(FAMILY, "float31"),
            r"did you mean float3",
        ),
    ],
)
def test_unknown_names(make, message):
    with pytest.raises(UnknownNameError, match=message):
        make()


def test_delayed_task_needs_its_state():
    task = AsyncDelayedGradients(TINY, 1)
    with pytest.raises(TypeError, match=r"has model state: pass the one init_with"):
        task.loss(task.init(KEY), KEY, DATA)


def test_single_task_family_is_wrapped_too():
    family = NormalizeTaskGradientTaskFamily(single_task_to_family(TINY))
    task = family.sample_task(KEY)
    assert isinstance(task, Task)
    assert task == NormalizeTaskGradient(TINY)
