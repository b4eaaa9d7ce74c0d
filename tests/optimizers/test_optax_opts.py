"""Each optax optimizer and schedule against float64 numpy written from its paper."""

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers import learning_rate_schedules as schedules
from learned_optimization.optimizers.base import get_optimizer
from tests.optimizers import reference, stepping

# The largest error allowed in any parameter after any step, as a share of how
# far its array has moved at most. A float32 parameter is rounded by 6e-8 of
# itself at each of 50 steps, and errors of one step are gradients of the next.
TOLERANCE = 1e-5
# rho is a difference of two numbers near 2,000, so optax has it in float32 to
# about 0.03 only: the first rectified steps, where rho is near 6, are too long or
# too short by half a percent. They are small beside the steps before them.
RADAM_TOLERANCE = 1e-4


# Learning rates under which the parameters cross a good part of the way in 50
# steps, for defaults that are too small or too large to show anything.
TIMES = {"times": (5, 20, 30), "lrs": (0.02, 0.06, 0.01)}
RATES = {"Lars": 5.0, "SGD": 0.3, "SGDM": 0.1, "AdaGrad": 0.2, "AdamSqrtDecayLR": 3.0}
ADAM_LIKE = {"beta1": 0.7, "beta2": 0.95, "epsilon": 0.03, "epsilon_root": 0.02}
B_LIKE = {"b1": 0.7, "b2": 0.95, "eps": 0.03, "eps_root": 0.02}
# Every hyper-parameter away from its default and large enough to matter, so that
# one that is dropped, or handed to another's place, shows.
UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.7}),
    ("SGDM", {"learning_rate": 0.2, "momentum": 0.6}),
    ("Adam", {"learning_rate": 0.05, **ADAM_LIKE}),
    ("AdamSqrtDecayLR", {"learning_rate": 7.0, **ADAM_LIKE}),
    ("AdamExpDecayLR", {"learning_rate": 0.05, **ADAM_LIKE}),
    ("PiecewiseLinearAdam", {**TIMES, **ADAM_LIKE}),
    ("RMSProp", {"learning_rate": 0.02, "decay": 0.7, "epsilon": 0.1}),
    ("RMSProp", {"learning_rate": 0.02, "momentum": 0.8, "epsilon": 0.1}),
    ("RMSProp", {"learning_rate": 0.02, "momentum": 0.8, "nesterov": True}),
    ("RMSProp", {"learning_rate": 0.02, "momentum": None, "nesterov": True}),
    ("AdaBelief", {"learning_rate": 0.05, **B_LIKE}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.3, **B_LIKE}),
    ("AdaGrad", {"initial_accumulator_value": 0.7, "eps": 0.2}),
    ("AdaGrad", {"initial_accumulator_value": 0.0, "eps": 0.0}),
    ("Fromage", {"learning_rate": 0.2, "min_norm": 0.8}),
    ("Lamb", {"learning_rate": 0.05, "weight_decay": 0.3, **B_LIKE}),
    (
        "Lars",
        {
            "learning_rate": 0.7,
            "weight_decay": 0.2,
            "trust_coefficient": 0.03,
            "eps": 0.5,
            "momentum": 0.6,
        },
    ),
    ("Lars", {"learning_rate": 0.7, "trust_coefficient": 0.03, "nesterov": True}),
    ("RAdam", {"learning_rate": 0.05, "threshold": 7.5, **B_LIKE}),
    ("SM3", {"learning_rate": 0.1, "momentum": 0.6, "eps": 0.2}),
    ("SM3", {"learning_rate": 0.01, "b2": 0.999}),
    ("Yogi", {"b1": 0.7, "b2": 0.95, "eps": 0.1}),
    ("Adafactor", {"factored": False}),
    ("Adafactor", {"multiply_by_parameter_scale": False}),
    ("Adafactor", {"clipping_threshold": None, "decay_rate": 0.5}),
    # optax counts from zero in a fresh run, so a positive offset would make the
    # first decay a root of a negative number.
    ("Adafactor", {"decay_offset": -3, "eps": 0.1, "clipping_threshold": 1.2}),
    ("Adafactor", {"momentum": 0.8, "weight_decay_rate": 0.01}),
]


def _check(
    name: str,
    hparams: dict[str, Any],
    shape: tuple[int, int] = (4, 3),
    schedule: Callable[[int], float] | None = None,
) -> None:
    opt = get_optimizer(name)(**hparams)
    problem = stepping.problem(shape)
    state, got, _ = stepping.train(opt, *problem)
    want = stepping.train_reference(
        stepping.on_each_array(reference.STEPS[name]),
        SimpleNamespace(**vars(opt)),
        problem,
        schedule,
    )
    rounded_rho = name == "RAdam" and "b2" not in hparams
    allowed = RADAM_TOLERANCE if rounded_rho else TOLERANCE
    assert stepping.largest_error(got, want, problem[0]) < allowed
    assert int(state.iteration) == stepping.STEPS


@pytest.mark.parametrize("name", reference.STEPS)
def test_defaults_step_as_the_paper_says(name: str) -> None:
    rates = {"learning_rate": RATES[name]} if name in RATES else {}
    _check(name, TIMES if name == "PiecewiseLinearAdam" else rates)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "hparams"), UNUSUAL)
def test_every_hyper_parameter_has_its_place(
    name: str, hparams: dict[str, Any]
) -> None:
    _check(name, hparams)


# Not square, so that rows taken for columns show.
@pytest.mark.parametrize(
    ("hparams", "shape"),
    [
        ({}, (128, 144)),
        ({"momentum": 0.8, "weight_decay_rate": 0.01}, (144, 128)),
        ({}, (127, 144)),
        ({"min_dim_size_to_factor": 3, "eps": 0.1}, (4, 3)),
    ],
)
def test_adafactor_factors_large_matrices(
    hparams: dict[str, Any], shape: tuple[int, int]
) -> None:
    _check("Adafactor", hparams, shape)


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
B = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGDM": {"momentum": 0.9},
    "Adam": {**ADAM, "epsilon_root": 1e-8},
    "AdamSqrtDecayLR": {**ADAM, "epsilon_root": 1e-8},
    "AdamExpDecayLR": {**ADAM, "epsilon_root": 1e-8},
    "RMSProp": {"decay": 0.9, "epsilon": 1e-8, "momentum": 0.0, "nesterov": False},
    "AdaBelief": {**B, "eps": 1e-16, "eps_root": 1e-16},
    "AdamW": {**B, "eps_root": 0.0, "weight_decay": 1e-4},
    "Adafactor": {
        "min_dim_size_to_factor": 128,
        "decay_rate": 0.8,
        "decay_offset": 0,
        "multiply_by_parameter_scale": True,
        "clipping_threshold": 1.0,
        "momentum": None,
        "weight_decay_rate": None,
        "eps": 1e-30,
        "factored": True,
    },
    "AdaGrad": {"initial_accumulator_value": 0.1, "eps": 1e-7},
    "Fromage": {"min_norm": 1e-6},
    "Lamb": {**B, "eps": 1e-6, "eps_root": 0.0, "weight_decay": 0.0},
    "Lars": {
        "weight_decay": 0.0,
        "trust_coefficient": 0.001,
        "eps": 0.0,
        "momentum": 0.9,
        "nesterov": False,
    },
    "RAdam": {**B, "eps_root": 0.0, "threshold": 5.0},
    "SM3": {"momentum": 0.9, "b2": 1.0, "eps": 1e-8},
    "Yogi": {**B, "eps": 1e-3},
}


@pytest.mark.parametrize(("name", "defaults"), DEFAULTS.items())
def test_defaults_are_the_documented_ones(name: str, defaults: dict[str, Any]) -> None:
    assert vars(get_optimizer(name)()) == {"learning_rate": 0.01, **defaults}


def test_defaults_of_piecewise_linear_adam() -> None:
    points = {"times": (10_000, 20_000), "lrs": (1e-4, 1e-5)}
    opt = get_optimizer("PiecewiseLinearAdam")()
    assert vars(opt) == {**points, **ADAM, "epsilon_root": 1e-8}
    assert opt.name.startswith("PiecewiseLinearAdam_times10000,20000_lrs0.0001,1e-05_")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"times": (1, 2, 3)}, "as many lrs as times, .* got 2 and 3"),
        ({"times": (), "lrs": ()}, "at least one"),
        ({"times": 3}, "times must be a list of numbers, got 3"),
    ],
)
def test_points_that_make_no_line_are_refused(
    points: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoptError, match=message):
        get_optimizer("PiecewiseLinearAdam")(**points)


def _up_then(left: Callable[[float], float], step: int) -> float:
    if step < 10:
        return 0.05 * (step + 1) / 10
    return 0.05 * (0.2 + 0.8 * left(min((step - 10) / 30, 1.0)))


def _sqrt(rate: float, warmup: int, step: int) -> float:
    step = max(step, 1)
    return rate * min(step / warmup, math.sqrt(warmup / step))


def _half_cosine(progress: float) -> float:
    return math.cos(math.pi * progress / 2) ** 2


PEAK = {"learning_rate": 0.05, "num_steps": 40.0, "warmup_steps": 10.0}
SCHEDULES: list[tuple[schedules.Schedule, Callable[[int], float]]] = [
    (schedules.Constant(0.05), lambda step: 0.05),
    (schedules.SqrtDecay(0.3, warmup=20.0), functools.partial(_sqrt, 0.3, 20)),
    (
        schedules.ExpDecay(0.05, rate=0.02),
        lambda step: 0.05 * math.exp(-0.02 * step),
    ),
    (
        schedules.LinearRampupSqrtDecay(0.3, warmup_steps=20.0),
        functools.partial(_sqrt, 0.3, 20),
    ),
    (schedules.ExponentialDecay(0.05, 0.02), lambda step: 0.05 * 0.98**step),
    (
        schedules.PiecewiseLinear(times=[10, 20, 40], vals=[0.02, 0.06, 0.01]),
        lambda step: float(np.interp(step, [10, 20, 40], [0.02, 0.06, 0.01])),
    ),
    (schedules.PiecewiseLinear(times=[30], vals=[0.05]), lambda step: 0.05),
    (
        schedules.CosineDecay(**PEAK, final_fraction=0.2),
        functools.partial(_up_then, _half_cosine),
    ),
    (
        schedules.LinearDecay(**PEAK, final_fraction=0.2),
        functools.partial(_up_then, lambda progress: 1 - progress),
    ),
]
DEFAULT_SCHEDULES: list[tuple[schedules.Schedule, Callable[[int], float]]] = [
    (schedules.Constant(), lambda step: 0.01),
    (schedules.SqrtDecay(), functools.partial(_sqrt, 0.01, 1000)),
    (schedules.ExpDecay(), lambda step: 0.01 * math.exp(-7e-5 * step)),
    (schedules.CosineDecay(), lambda step: 0.01 * _half_cosine(min(step / 1e4, 1.0))),
    (schedules.LinearDecay(), lambda step: 0.01 * (1 - min(step / 1e4, 1.0))),
]


@pytest.mark.parametrize(("schedule", "closed_form"), SCHEDULES + DEFAULT_SCHEDULES)
def test_schedules_follow_their_closed_forms(
    schedule: schedules.Schedule, closed_form: Callable[[int], float]
) -> None:
    steps = [*range(60), 998, 999, 1000, 1001, 5000, 9999, 10_000, 20_000]
    got = jax.jit(jax.vmap(schedule))(jnp.array(steps))
    assert got.dtype == jnp.float32
    # Where a cosine or a straight line ends in zero, what is left is rounding.
    np.testing.assert_allclose(got, [*map(closed_form, steps)], rtol=2e-6, atol=2e-9)


@pytest.mark.parametrize(("schedule", "closed_form"), SCHEDULES)
def test_adam_follows_a_schedule(
    schedule: schedules.Schedule, closed_form: Callable[[int], float]
) -> None:
    _check("Adam", {"learning_rate": schedule}, schedule=closed_form)


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("SGDM", {}),
        ("Adafactor", {}),
        ("Fromage", {}),
        ("Lars", {"trust_coefficient": 0.1}),
        ("SM3", {}),
    ],
)
def test_a_schedule_stands_for_a_learning_rate(
    name: str, hparams: dict[str, Any]
) -> None:
    schedule, closed_form = SCHEDULES[-1]
    _check(name, {**hparams, "learning_rate": schedule}, schedule=closed_form)


# Fifty steps see only the start of these two.
@pytest.mark.parametrize("step", [0, 499, 999, 1999, 49_999])
def test_built_in_schedules_later_on(step: int) -> None:
    sqrt, exp = (
        cast("Any", get_optimizer(name)(learning_rate=0.3)).schedule()
        for name in ("AdamSqrtDecayLR", "AdamExpDecayLR")
    )
    assert float(sqrt(step)) == pytest.approx(_sqrt(0.3, 1000, step), rel=1e-6)
    want = 0.3 * (1 - 7e-5) ** step
    assert float(exp(step)) == pytest.approx(want, rel=1e-6)
