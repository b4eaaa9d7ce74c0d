"""Schedules: the one of OptList, names, gin, and many at once."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization import configuration
from learned_optimization.errors import LoptError
from learned_optimization.optimizers import learning_rate_schedules as schedules
from learned_optimization.optimizers.base import check_hparams
from learned_optimization.optimizers.nadamw import NAdamW
from learned_optimization.optimizers.optax_opts import Adam
from tests.optimizers import stepping

FAST: dict[str, Any] = {"learning_rate": "fast"}
SCHEDULES = {
    "Constant": schedules.Constant,
    "SqrtDecay": schedules.SqrtDecay,
    "ExpDecay": schedules.ExpDecay,
    "CosineDecay": schedules.CosineDecay,
    "LinearDecay": schedules.LinearDecay,
    "WarmupConstantCosine": schedules.WarmupConstantCosine,
    "CosineLearningRateSchedule": schedules.CosineLearningRateSchedule,
    "LinearRampupSqrtDecay": schedules.LinearRampupSqrtDecay,
    "ExponentialDecay": schedules.ExponentialDecay,
    "PiecewiseLinear": schedules.PiecewiseLinear,
}
# What the published names call the learning rate.
RATES = {
    "LinearRampupSqrtDecay": "peak_lr",
    "ExponentialDecay": "base_lr",
    "PiecewiseLinear": "vals",
}


def _warmup_constant_cosine(
    step: float, steps: float, rate: float, warmup: float, constant: float, final: float
) -> float:
    # A warm-up ends at the larger of the two shares.
    step, end = min(step, steps), max(warmup, constant)
    if warmup > 0 and step < end * steps:
        return rate * step / (end * steps)
    if step <= constant * steps:
        return rate
    progress = (step - constant * steps) / (steps - constant * steps)
    return rate * (final + (1 - final) * math.cos(math.pi * progress / 2) ** 2)


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"num_steps": 40.0, "learning_rate": 0.3, "final_fraction": 0.2},
        {"num_steps": 40.0, "warmup_fraction": 0.25, "constant_fraction": 0.6},
        # The constant stretch ends before the warm-up, and the cosine has begun.
        {"num_steps": 40.0, "warmup_fraction": 0.6, "constant_fraction": 0.25},
        {"num_steps": 40.0, "warmup_fraction": 0.0, "constant_fraction": 0.6},
        {"num_steps": 40.0, "warmup_fraction": 0.0, "constant_fraction": 0.0},
        # No decay, and a run whose warm-up is over before its second step.
        {"num_steps": 40.0, "constant_fraction": 1.0},
        {"num_steps": 3.0, "warmup_fraction": 0.2},
    ],
)
def test_warmup_constant_cosine_follows_its_closed_form(
    setting: dict[str, float],
) -> None:
    schedule = schedules.WarmupConstantCosine(**setting)
    steps = [*range(60), 99, 100, 101, 4999, 5000, 5001, 9999, 10_000, 20_000]
    got = jax.jit(jax.vmap(schedule))(jnp.array(steps))
    assert got.dtype == jnp.float32
    published = schedules.CosineLearningRateSchedule(
        learning_rate=schedule.learning_rate,
        min_learning_rate_mult=schedule.final_fraction,
        constant_fraction=schedule.constant_fraction,
        warmup_fraction=schedule.warmup_fraction,
    )
    told = jax.jit(jax.vmap(published, in_axes=(0, None)))
    same = told(jnp.array(steps), schedule.num_steps)
    np.testing.assert_allclose(same, got, rtol=1e-6, atol=2e-9)
    want = [
        _warmup_constant_cosine(
            step,
            setting.get("num_steps", 10_000.0),
            setting.get("learning_rate", 0.01),
            setting.get("warmup_fraction", 0.01),
            setting.get("constant_fraction", 0.5),
            setting.get("final_fraction", 0.0),
        )
        for step in steps
    ]
    # A few roundings; where the cosine ends in zero, what is left of one.
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-9)


def test_warmup_constant_cosine_starts_at_zero_and_ends_at_its_share() -> None:
    schedule = schedules.WarmupConstantCosine(learning_rate=0.5, final_fraction=0.1)
    assert float(schedule(0)) == 0.0
    assert float(schedule(100)) == pytest.approx(0.01)
    assert float(schedule(5000)) == 0.5
    assert float(schedule(10_000)) == float(schedule(10**6)) == pytest.approx(0.05)


def test_the_length_of_the_run_comes_from_nadamw() -> None:
    schedule = schedules.CosineLearningRateSchedule(learning_rate=0.05)
    planned, fixed = (
        NAdamW(learning_rate=rate)
        for rate in (schedule, schedules.WarmupConstantCosine(40.0, 0.05))
    )
    assert (planned.needs, fixed.needs) == ({"num_steps"}, frozenset())
    problem = stepping.problem((4, 3))
    got, want = (
        stepping.train(opt, *problem, num_steps=40)[1] for opt in (planned, fixed)
    )
    assert stepping.largest_error(got, want, problem[0]) < 1e-6
    with pytest.raises(LoptError, match=r"only NAdamW tells .* WarmupConstantCosine"):
        stepping.train(Adam(learning_rate=schedule), *problem)


@pytest.mark.parametrize("name", SCHEDULES)
def test_gin_configures_a_schedule(name: str) -> None:
    rate = RATES.get(name, "learning_rate")
    value = (0.5, 0.125) if rate == "vals" else 0.125
    bindings = [f"Adam.learning_rate = @{name}()", f"{name}.{rate} = {value}"]
    configuration.load(bindings=bindings)
    opt: Any = Adam()
    assert type(opt.learning_rate).__name__ == name
    assert getattr(opt.learning_rate, rate) == value
    check_hparams(opt)
    configuration.load()
    assert vars(Adam())["learning_rate"] == 0.01


def test_a_bound_schedule_is_the_one_stepped_by() -> None:
    problem = stepping.problem((4, 3))
    with configuration.bound(
        {
            "Adam.learning_rate": "@CosineDecay()",
            "CosineDecay.learning_rate": 0.1,
            "CosineDecay.num_steps": 30.0,
        }
    ):
        bound: Any = Adam()
    schedule = schedules.CosineDecay(num_steps=30.0, learning_rate=0.1)
    assert bound.name == Adam(learning_rate=schedule).name
    got = stepping.train(bound, *problem)[1]
    # The 30th step is the last, of those not too small to count.
    by_hand = Adam(learning_rate=schedule)
    want = stepping.train(by_hand, *problem)[1]
    constant = stepping.train(Adam(learning_rate=0.1), *problem)[1]
    for k in want:
        np.testing.assert_array_equal(got[k], want[k])
        np.testing.assert_array_equal(got[k][30:], got[k][30:31].repeat(20, axis=0))
        assert np.max(np.abs(got[k] - constant[k])) > 0.1
    # Nothing is left of the bindings.
    assert vars(Adam())["learning_rate"] == 0.01
    assert schedules.CosineDecay().learning_rate == 0.01


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        (["Adam.learning_rate = @CosinDecay()"], "did you mean .*CosineDecay"),
        (["CosineDecay.learning_rat = 0.1"], "did you mean .*learning_rate"),
    ],
)
def test_a_misspelt_schedule_is_explained(bindings: list[str], message: str) -> None:
    with pytest.raises(LoptError, match=message):
        configuration.load(bindings=bindings)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        (
            {"learning_rate": schedules.CosineDecay(**FAST)},
            "CosineDecay.learning_rate must be a number, got 'fast'",
        ),
        ({"beta1": schedules.CosineDecay()}, "Adam.beta1 must be a number, got"),
    ],
)
def test_a_schedule_out_of_place_is_refused(
    hparams: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoptError, match=message):
        check_hparams(Adam(**hparams))


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_program_serves_many_schedules(name: str) -> None:
    traces = []

    @jax.jit
    def run(schedule: Any) -> Any:
        traces.append(schedule)
        length = (3000.0,) if schedule.needs_num_steps else ()
        return jax.vmap(lambda step: schedule(step, *length))(jnp.arange(0, 3000, 100))

    field = RATES.get(name, "learning_rate")
    one, two = (
        run(SCHEDULES[name](**{field: (rate, rate / 2) if field == "vals" else rate}))
        for rate in (0.1, 0.2)
    )
    assert len(traces) == 1
    # One multiplication by the rate, at the end.
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert np.max(one) > 0


def test_names_tell_schedules_apart() -> None:
    names = [make().name for make in SCHEDULES.values()]
    assert names == [
        "Constant_lr0.01",
        "SqrtDecay_lr0.01_warmup1000.0",
        "ExpDecay_lr0.01_rate7e-05",
        "CosineDecay_steps10000.0_lr0.01_warmup0.0_final0.0",
        "LinearDecay_steps10000.0_lr0.01_warmup0.0_final0.0",
        "WarmupConstantCosine_steps10000.0_lr0.01_warmup0.01_constant0.5_final0.0",
        "CosineLearningRateSchedule_lr0.01_final0.0_constant0.5_warmup0.01",
        "LinearRampupSqrtDecay_lr0.001_warmup1000.0",
        "ExponentialDecay_lr0.01_decay7e-05",
        "PiecewiseLinear_times10000.0,20000.0_vals0.0001,1e-05",
    ]
    adam: Any = Adam(learning_rate=schedules.ExpDecay(rate=0.5))
    assert adam.name.startswith("Adam_lr(ExpDecay_lr0.01_rate0.5)_b10.9")


def test_every_schedule_is_here() -> None:
    there = {
        name
        for name, value in vars(schedules).items()
        if isinstance(value, type)
        and issubclass(value, schedules.Schedule)
        and value is not schedules.Schedule
        and not name.startswith("_")
    }
    assert there == set(SCHEDULES)
