"""What every registered optimizer must do; a new one is covered with no edit."""

import copy
import dataclasses
import functools
import itertools
import re
from pathlib import Path
from typing import Any, TypeGuard

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers import learning_rate_schedules as schedules
from learned_optimization.optimizers.base import (
    NEEDS,
    Optimizer,
    all_optimizers,
    get_optimizer,
    summary,
)
from tests.optimizers import reference
from tests.optimizers import reference_recent as recent

NAMES = list(all_optimizers())
SHAPES = {
    "scalar": (),
    "one": (1,),
    "vector": (3,),
    "matrix": (4, 3),
    "kernel": (3, 3, 2, 4),
}
RATES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
NUM_STEPS = 200


@functools.cache
def initial() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    params = {
        k: np.asarray(1 + 0.3 * draw(size=s), np.float32) for k, s in SHAPES.items()
    }
    # To be told from `scalar` by its shape alone.
    params["one"] = params["scalar"].reshape(1)
    return params


def loss(params: Any) -> jax.Array:
    terms = [jnp.sum((leaf - 0.5) ** 2) for leaf in jax.tree.leaves(params)]
    return sum(terms, jnp.zeros([]))


def make(name: str, rate: float | None = None) -> Any:
    """Return the optimizer, with that learning rate wherever it has one."""
    opt = get_optimizer(name)()
    return opt if rate is None else with_rate(opt, rate)


def with_rate(opt: Any, rate: float) -> Any:
    fields = {f.name: getattr(opt, f.name) for f in dataclasses.fields(opt)}
    inside = {k: with_rate(v, rate) for k, v in fields.items() if is_optimizer(v)}
    if "learning_rate" in fields:
        return dataclasses.replace(opt, learning_rate=rate)
    if "lrs" in fields:
        return dataclasses.replace(opt, lrs=(rate, 2 * rate))
    if inside:
        return dataclasses.replace(opt, **inside)
    # No rate to set, but another number: one of a list of settings, say.
    assert "idx" in fields
    return dataclasses.replace(opt, idx=round(100 * rate) % 1000)


def is_optimizer(value: Any) -> TypeGuard[Any]:
    return isinstance(value, Optimizer)


def start(opt: Optimizer, params: Any, **kwargs: Any) -> Any:
    """`opt.init`, given everything an optimizer may need."""
    key = jax.random.PRNGKey(1)
    return opt.init(params, num_steps=NUM_STEPS, key=key, **kwargs)


def step(opt: Optimizer, state: Any, key: jax.Array, **kwargs: Any) -> Any:
    """Return one `opt.update` on `loss`, given what the optimizer says it needs."""
    value, grad = jax.value_and_grad(loss)(opt.get_params(state))
    if "loss_fn" in opt.needs:
        kwargs["loss_fn"] = loss
    return opt.update(state, grad, loss=value, key=key, **kwargs)


def curve(opt: Optimizer, params: Any, keys: jax.Array) -> Any:
    """Return the parameters after each step on `loss`."""

    def body(state: Any, key: jax.Array) -> tuple[Any, Any]:
        state = step(opt, state, key)
        return state, opt.get_params(state)

    return jax.lax.scan(body, start(opt, params), keys)[1]


def step_keys() -> jax.Array:
    return jax.random.split(jax.random.PRNGKey(2), NUM_STEPS)


def stack(name: str, rates: tuple[float, ...]) -> Any:
    opts = [make(name, rate) for rate in rates]
    return jax.tree.map(lambda *x: jnp.stack(jnp.asarray(x)), *opts)


def curves_together(name: str) -> Any:
    """Return the curves of all rates, from one program that is then used again."""
    traces = []

    def run(opt: Optimizer, params: Any, keys: jax.Array) -> Any:
        traces.append(opt)
        return curve(opt, params, keys)

    program = jax.jit(jax.vmap(run, in_axes=(0, None, None)))
    curves = program(stack(name, RATES), initial(), step_keys())
    program(stack(name, tuple(3 * rate for rate in RATES)), initial(), step_keys())
    assert len(traces) == 1
    return jax.tree.map(np.asarray, curves)


curve_alone = jax.jit(curve)


# Muon's iteration magnifies float32 rounding a hundredfold in one step.
TOLERANCE = 2e-5
# As do inverse roots of matrices of a low rank, a thousandfold: all gradients of this
# loss are parallel, and what rounding adds across them is what the roots magnify.
TOLERANCES = {"Shampoo": 1e-4}
STEPS_ALIKE = {"Shampoo": 7}


def assert_close(
    got: np.ndarray, want: np.ndarray, tolerance: float = TOLERANCE
) -> None:
    assert np.max(np.abs(got - want)) <= tolerance * np.max(np.abs(want))


def check_lowers_the_loss_for_some_rate(curves: Any) -> None:
    final = {k: v[:, -1] for k, v in curves.items()}
    losses = [
        float(loss({k: v[i] for k, v in final.items()})) for i in range(len(RATES))
    ]
    assert np.nanmin(losses) < 0.05 * float(loss(initial()))


def check_rates_step_as_they_do_alone(name: str, together: Any) -> None:
    for i, rate in enumerate(RATES):
        opt = make(name, rate)
        alone = curve_alone(opt, initial(), step_keys())
        for k, shape in SHAPES.items():
            assert alone[k].dtype == np.float32
            assert alone[k].shape == (NUM_STEPS, *shape)
            # Where a rate is too large every step makes rounding errors grow.
            steps = STEPS_ALIKE.get(name, 10) if rate < 1 else 1
            tolerance = TOLERANCES.get(name, TOLERANCE)
            assert_close(together[k][i, :steps], alone[k][:steps], tolerance)


def check_repeats_itself(name: str) -> None:
    opt = make(name)
    runs = [curve_alone(opt, initial(), step_keys()) for _ in range(2)]
    jax.tree.map(np.testing.assert_array_equal, *runs)


def check_a_scalar_steps_like_a_vector_of_one(curves: Any) -> None:
    for scalar, vector in zip(curves["scalar"], curves["one"], strict=True):
        assert_close(scalar[:10], vector[:10, 0])


@pytest.mark.parametrize(
    "name",
    # Roots, bases and searches compile for long.
    [
        pytest.param(n, marks=pytest.mark.slow)
        if n in ("LBFGS", "SOAP", "Shampoo", "Sophia")
        else n
        for n in NAMES
    ],
)
def test_trains_on_a_quadratic(name: str) -> None:
    # One test, because compiling is what takes the time.
    curves = curves_together(name)
    check_lowers_the_loss_for_some_rate(curves)
    check_a_scalar_steps_like_a_vector_of_one(curves)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trains_together_as_alone_and_again_the_same(name: str) -> None:
    check_rates_step_as_they_do_alone(name, curves_together(name))
    check_repeats_itself(name)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_model_state(name: str) -> None:
    opt = make(name)
    params = {k: jnp.asarray(initial()[k]) for k in ("scalar", "vector")}
    model_state = {"mean": jnp.arange(3.0)}
    state = start(opt, params, model_state=model_state)
    before = jax.tree.map(np.array, state)
    got_params, got_state = opt.get_params_state(state)
    assert jax.tree.structure(got_params) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, got_params, params)
    np.testing.assert_array_equal(got_state["mean"], model_state["mean"])

    other = jax.tree.map(lambda x: x + 1, params)
    moved = opt.set_params(state, other)
    jax.tree.map(np.testing.assert_array_equal, opt.get_params(moved), other)
    back = opt.set_params(moved, params)
    jax.tree.map(np.testing.assert_array_equal, back, state)

    after = step(opt, state, jax.random.PRNGKey(3), model_state={"mean": jnp.ones(3)})
    np.testing.assert_array_equal(opt.get_state(after)["mean"], np.ones(3))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for key, value in opt.get_params(after).items():
        assert np.isfinite(value).all()
        assert not np.array_equal(value, params[key])
    evaluated = opt.get_eval_params(after)
    assert jax.tree.map(jnp.shape, evaluated) == jax.tree.map(jnp.shape, params)
    jax.tree.map(np.testing.assert_array_equal, state, before)


# jax tells programs apart by the structure of their arguments: of two classes
# with equal structures, one would now and then run the other's program.
def test_no_two_classes_share_a_structure() -> None:
    kinds: list[Any] = [cls() for cls in all_optimizers().values()]
    kinds += [
        cls()
        for cls in vars(schedules).values()
        if isinstance(cls, type) and dataclasses.is_dataclass(cls)
    ]
    assert len(kinds) > len(NAMES)
    for first, second in itertools.combinations(kinds, 2):
        assert jax.tree.structure(first) != jax.tree.structure(second)


@pytest.mark.parametrize("name", NAMES)
def test_is_a_pytree_of_its_hyper_parameters(name: str) -> None:
    opt = make(name)
    copied = jax.tree.map(lambda x: x, opt)
    assert type(copied) is type(opt)
    assert copied.name == opt.name
    leaves = jax.tree_util.tree_leaves_with_path(opt, is_leaf=lambda x: x is None)
    assert {jax.tree_util.keystr(path) for path, _ in leaves} == traced_fields(opt)
    for field in dataclasses.fields(opt):
        if field.metadata.get("static"):
            other = changed(opt, field.name)
            assert jax.tree.structure(other) != jax.tree.structure(opt)


def traced_fields(opt: Any, prefix: str = "") -> set[str]:
    names = set()
    for field in dataclasses.fields(opt):
        value, path = getattr(opt, field.name), f"{prefix}.{field.name}"
        if is_optimizer(value):
            names |= traced_fields(value, path)
        elif isinstance(value, tuple):
            names |= {f"{path}[{i}]" for i in range(len(value))}
        elif not field.metadata.get("static"):
            names.add(path)
    return names


def changed(opt: Any, field: str) -> Any:
    """Return the optimizer with another value in one field, valid or not."""
    value = getattr(opt, field)
    if isinstance(value, bool):
        other: Any = not value
    elif is_optimizer(value):
        other = with_rate(value, 0.125)
    elif isinstance(value, int):
        other = value + 1
    elif isinstance(value, str):
        other = value + "x"
    elif isinstance(value, tuple):
        other = (*value[:-1], float(np.nextafter(value[-1], np.inf)))
    else:
        # The nearest other number is another setting.
        other = 0.5 if value is None else float(np.nextafter(value, np.inf))
    result = copy.copy(opt)
    object.__setattr__(result, field, other)
    return result


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_name_of_its_own(name: str) -> None:
    opt = make(name)
    fields = [f.name for f in dataclasses.fields(opt)]
    assert opt.name.startswith(f"{name}_")
    assert len({opt.name, *(changed(opt, f).name for f in fields)}) == 1 + len(fields)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_needs(name: str) -> None:
    opt = make(name)
    assert opt.needs <= NEEDS.keys()
    params = {"vector": jnp.ones(3)}
    given = {
        "loss": jnp.ones([]),
        "key": jax.random.PRNGKey(0),
        "loss_fn": loss,
    }
    if "num_steps" in opt.needs:
        with pytest.raises(LoptError, match=r"needs .*num_steps="):
            opt.init(params)
    state = opt.init(params, num_steps=NUM_STEPS if "num_steps" in opt.needs else None)
    enough = {k: v for k, v in given.items() if k in opt.needs}
    opt.update(state, params, **enough)
    for need in enough:
        missing = {k: v for k, v in enough.items() if k != need}
        with pytest.raises(LoptError, match=f"needs .*{need}="):
            opt.update(state, params, **missing)


numbers = st.floats(0, 10, width=32)


@given(st.tuples(*[numbers] * 5), st.tuples(*[numbers] * 5))
def test_names_differ_where_float32_settings_do(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    adam = get_optimizer("Adam")
    names = [adam(*map(np.float32, setting)).name for setting in (first, second)]
    assert (names[0] == names[1]) == (first == second)
    sgd = get_optimizer("SGD")(learning_rate=np.float32(first[0]))
    assert np.float32(sgd.name.removeprefix("SGD_lr")) == np.float32(first[0])


def test_documented_names() -> None:
    adam = get_optimizer("Adam")(learning_rate=0.001)
    assert adam.name == "Adam_lr0.001_b10.9_b20.999_eps1e-08_epsroot1e-08"
    assert get_optimizer("SGD")().name == "SGD_lr0.01"
    float32 = get_optimizer("SGD")(learning_rate=jnp.float32(1e-3))
    assert float32.name == "SGD_lr0.001"


def test_a_schedule_is_part_of_the_name() -> None:
    first, second = (
        get_optimizer("SGD")(
            learning_rate=schedules.CosineDecay(num_steps=n, learning_rate=0.1)
        )
        for n in (10.0, 20.0)
    )
    assert first.name == "SGD_lr(CosineDecay_steps10.0_lr0.1_warmup0.0_final0.0)"
    assert first.name != second.name


# What they do is all there is to say.
WITHOUT_A_PAPER = {
    "AdamExpDecayLR",
    "AdamSqrtDecayLR",
    "ExtendTimeWrapper",
    "GradientAccumulator",
    "GradientClipOptimizer",
    "WeightDecayWrapper",
}


@pytest.mark.parametrize("name", NAMES)
def test_is_documented_with_its_source(name: str) -> None:
    cls = get_optimizer(name)
    text = summary(cls)
    assert text.endswith(".")
    assert len(text) > 20
    has_source = re.search(r"\b(19|20)\d\d\b|arXiv:", cls.__doc__ or "")
    assert has_source or name in WITHOUT_A_PAPER


@pytest.mark.parametrize("name", NAMES)
def test_gin_binds_and_records(name: str) -> None:
    cls: Any = get_optimizer(name)
    numbers_in = [
        f.name
        for f in dataclasses.fields(cls)
        if not f.metadata.get("static") and not is_optimizer(f.default)
    ]
    if not numbers_in:
        # It is made of optimizers.
        numbers_in, name = ["learning_rate"], "SGD"
    field = numbers_in[0]
    value: Any = 0.125
    if isinstance(getattr(get_optimizer(name)(), field), tuple):
        value = (0.125, 0.25)
    binding = f"{name}.{field} = {value}"
    gin.parse_config([binding])
    assert binding not in gin.operative_config_str()
    assert getattr(get_optimizer(name)(), field) == value
    assert binding in gin.operative_config_str()
    # A program that is handed a number keeps it.
    twice = jax.tree.map(lambda x: 2 * x, value)
    opt = dataclasses.replace(make(name), **{field: twice})
    assert jax.tree.map(float, jax.jit(lambda opt: getattr(opt, field))(opt)) == twice


# Stepped against something independent in modules of their own.
STEPPED_ELSEWHERE = {
    "ExtendTimeWrapper": "test_wrappers",
    "WeightDecayWrapper": "test_wrappers",
    "GradientAccumulator": "test_wrappers",
    "GradientClipOptimizer": "test_wrappers",
    "GraftedOptimizer": "test_wrappers",
    "OptList": "test_opt_list",
    "ScaledSteps": "test_scaled_steps",
    "SOAP": "test_soap",
    "Shampoo": "test_shampoo",
    "Sophia": "test_curvature",
}


@pytest.mark.parametrize("name", NAMES)
def test_is_stepped_against_something_independent(name: str) -> None:
    references = {**reference.STEPS, **recent.ARRAY_STEPS, **recent.TREE_STEPS}
    module = STEPPED_ELSEWHERE.get(name)
    assert name in references or (Path(__file__).parent / f"{module}.py").exists(), (
        f"write {name} from its paper in tests/optimizers/reference_recent.py"
    )


def test_unknown_optimizer_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'AdmW': did you mean .*AdamW"):
        get_optimizer("AdmW")
