"""The task interface: what is derived, and what is said when it is misused."""

from dataclasses import dataclass
from typing import Any, cast

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks import base
from learned_optimization.tasks.base import (
    SampledTaskFamily,
    Task,
    TaskFamily,
    get_task,
    get_task_from_name,
    sample_single_task_family,
    sample_task_family_from_task_fns,
    single_task_to_family,
    softmax_cross_entropy,
)
from learned_optimization.tasks.quadratics import (
    BatchQuadraticTask,
    FixedDimQuadraticFamily,
    FixedDimQuadraticFamilyData,
    QuadraticTask,
)
from tests.tiny import StatefulTask, TinyTask, data_of

KEY = jax.random.PRNGKey(0)


class Distance(Task):
    """Init and loss only: all that a stateless task has to define."""

    def init(self, key):
        return jnp.arange(3.0)

    def loss(self, params, key, data):
        return jnp.sum(params**2)


class Empty(Task):
    pass


def test_stateless_task_gets_everything_from_init_and_loss():
    task = Distance()
    params, state = task.init_with_state(KEY)
    np.testing.assert_array_equal(params, [0, 1, 2])
    assert state is None
    assert task.datasets is None
    assert task.loss_with_state(params, None, KEY, None) == (5.0, None)
    assert task.loss_and_aux(params, KEY, None) == (5.0, {})
    assert task.loss_with_state_and_aux(params, None, KEY, None) == (5.0, None, {})
    assert task.normalizer(jnp.float32(7.5)) == 7.5
    assert task.name == "Distance"


def test_stateless_task_refuses_a_state():
    with pytest.raises(TypeError, match=r"Distance is stateless but was given"):
        Distance().loss_with_state(jnp.zeros(3), {"calls": 0}, KEY, None)


def test_auxiliary_values_reach_the_stateful_call():
    task = TinyTask()
    data = next(data_of(task).train)
    params, state = task.init_with_state(KEY)
    loss, aux = task.loss_and_aux(params, KEY, data)
    assert aux.keys() == {"norm"}
    assert task.loss_with_state_and_aux(params, state, KEY, data) == (loss, None, aux)


def test_stateful_task_carries_its_state():
    task = StatefulTask()
    data = next(data_of(task).train)
    params, state = task.init_with_state(KEY)
    for calls in (1, 2, 3):
        loss, state = task.loss_with_state(params, state, KEY, data)
        assert state["calls"] == calls
        assert np.isfinite(loss)


def test_loss_of_a_task_with_state_says_what_to_call():
    class OnlyStateful(Task):
        def loss_with_state(self, params, state, key, data):
            return params, state

    with pytest.raises(TypeError, match=r"call loss_with_state instead of loss"):
        OnlyStateful().loss(jnp.zeros(()), KEY, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Empty().init(KEY), r"Empty must define init\(key\)"),
        (lambda: Empty().loss(1, KEY, None), r"Empty must define loss\(params"),
        (lambda: TaskFamily().sample(KEY), r"TaskFamily must define sample"),
        (lambda: TaskFamily().task_fn(0), r"TaskFamily must define task_fn"),
    ],
)
def test_what_must_be_defined_is_named(call, message):
    with pytest.raises(NotImplementedError, match=message):
        call()


def test_single_task_family():
    train, evaluation = BatchQuadraticTask(4), BatchQuadraticTask(4, batch_size=7)
    family = single_task_to_family(train, eval_task=evaluation)
    assert family.name == "BatchQuadraticTask_dim4"
    assert single_task_to_family(train, "other").name == "other"
    assert family.eval_task_fn(family.sample(KEY)) is evaluation
    assert family.datasets == train.datasets
    assert family.eval_datasets == evaluation.datasets
    assert family.sample_task(KEY) is train
    assert get_task(family, task_family_seed=3) is train
    assert single_task_to_family(train).eval_datasets == train.datasets
    assert jax.vmap(family.sample)(jax.random.split(KEY, 5)).shape == (5,)


def test_get_task_is_decided_by_its_seed():
    family = FixedDimQuadraticFamily(3)
    x = jnp.zeros(3)
    losses = [
        get_task(family, task_family_seed=s).loss(x, KEY, None) for s in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
    by_key = get_task(family, key=jax.random.PRNGKey(1))
    assert by_key.loss(x, KEY, None) == losses[0]


def test_drawn_task_is_named_after_family_and_seed():
    task = get_task(FixedDimQuadraticFamilyData(3), task_family_seed=5)
    assert task.name == "FixedDimQuadraticFamilyData_seed5"
    old_name = get_task(FixedDimQuadraticFamilyData(3), sample_seed=5)
    assert old_name.name == task.name
    assert task.datasets == FixedDimQuadraticFamilyData(3).datasets
    params, state = task.init_with_state(KEY)
    data = next(data_of(task).train)
    loss, state, aux = task.loss_with_state_and_aux(params, state, KEY, data)
    assert loss == task.loss(params, KEY, data)
    assert (state, aux) == (None, {})


def test_get_task_draws_the_family_too():
    def draw_family(key):
        return FixedDimQuadraticFamily(int(jax.random.randint(key, (), 2, 50)))

    dims = [
        get_task(sample_task_family_fn=draw_family, sample_task_family_fn_seed=s)
        .init(KEY)
        .size
        for s in (0, 1, 1)
    ]
    assert dims[0] != dims[1] == dims[2]
    family = FixedDimQuadraticFamily(3)
    assert get_task(sample_task_family_fn=lambda key: family).name.endswith("_seed0")
    with pytest.raises(LoptError, match="either task_family or sample_task_family_fn"):
        get_task()
    with pytest.raises(LoptError, match="either task_family or sample_task_family_fn"):
        get_task(family, sample_task_family_fn=draw_family)
    with pytest.raises(LoptError, match="by key, by task_family_seed or by"):
        get_task(family, 3, key=KEY)


def test_families_are_drawn():
    made = [lambda: QuadraticTask(3), lambda: FixedDimQuadraticFamily(4)]
    families = [
        sample_task_family_from_task_fns(k, made) for k in jax.random.split(KEY, 20)
    ]
    assert {family.name for family in families} == {
        "QuadraticTask_dim3",
        "FixedDimQuadraticFamily",
    }
    family = FixedDimQuadraticFamily(4)
    assert sample_single_task_family(KEY, family) is family
    with pytest.raises(LoptError, match=r"must be a TaskFamily, got QuadraticTask"):
        sample_single_task_family(KEY, cast(Any, QuadraticTask(3)))
    with pytest.raises(LoptError, match="at least one function, got none"):
        sample_task_family_from_task_fns(KEY, [])
    assert issubclass(SampledTaskFamily, TaskFamily)


def test_a_family_evaluates_the_task_it_trains_unless_it_says_otherwise():
    family = FixedDimQuadraticFamily(3)
    cfg = family.sample(KEY)
    x = jnp.ones(3)
    losses = [
        make(cfg).loss(x, KEY, None) for make in (family.task_fn, family.eval_task_fn)
    ]
    assert losses[0] == losses[1]


def test_get_task_is_configured_by_gin():
    gin.parse_config("get_task.task_family_seed = 9")
    assert get_task(FixedDimQuadraticFamily()).name.endswith("_seed9")


def test_get_task_from_name():
    task = get_task_from_name("ImageMLP_FashionMnist8_Relu32")
    assert task.name == "ImageMLP_FashionMnist8_Relu32"


def test_a_name_of_its_own_does_not_change_equality():
    @dataclass(frozen=True)
    class Named(QuadraticTask):
        _name = "something_else"

    assert Named().name == "something_else"
    assert Named() == Named()
    assert base.SingleTaskFamily(Named()).name == "something_else"


@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
def test_softmax_cross_entropy_matches_float64(scale):
    rng = np.random.default_rng(0)
    logits = scale * rng.standard_normal((6, 5))
    labels = np.eye(5)[rng.integers(0, 5, 6)]
    shifted = logits - logits.max(-1, keepdims=True)
    want = np.log(np.exp(shifted).sum(-1)) - (labels * shifted).sum(-1)
    got = softmax_cross_entropy(logits=jnp.float32(logits), labels=jnp.float32(labels))
    assert got.shape == (6,)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6 * scale)


def test_softmax_cross_entropy_takes_soft_labels():
    labels = jnp.full((2, 4), 0.25)
    got = softmax_cross_entropy(logits=jnp.zeros((2, 4)), labels=labels)
    np.testing.assert_allclose(got, np.log(4), rtol=1e-6)
