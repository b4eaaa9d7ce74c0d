"""Each recent optimizer against float64 numpy written from its paper."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.optimizers.base import get_optimizer
from learned_optimization.optimizers.learning_rate_schedules import CosineDecay
from learned_optimization.optimizers.schedule_free import ScheduleFreeSGD
from tests.optimizers import reference_recent as recent
from tests.optimizers import stepping

# The largest error allowed in any parameter after any step, as a share of how far
# its array has moved at most. Both sides count in float64: some of these measure
# how far they have come, a difference of nearly equal numbers, and Muon's iteration
# magnifies what float32 rounds away a hundredfold at every step. What is left is
# rounding by 1e-16, magnified by at most a million in 50 steps.
TOLERANCE = 1e-9
# The compiler's cube root is right to about eight digits only.
MADGRAD_TOLERANCE = 1e-6
# Schedules count in float32.
SCHEDULE_TOLERANCE = 1e-5
NAMES = sorted({**recent.ARRAY_STEPS, **recent.TREE_STEPS})
# More outputs than inputs (where Muon's steps are longer), fewer, and a kernel of a
# convolution, which is a matrix of 18 rows for Muon.
SHAPES = [(4, 3), (3, 7), (3, 3, 2, 4)]


def _problem(name: str, shape: tuple[int, ...]) -> stepping.Problem:
    params, curvature, minimum, noise = jax.tree.map(
        np.float64, stepping.problem(shape)
    )
    if name == "LBFGS":
        # It takes two gradients at two points for a curvature.
        noise = jax.tree.map(np.zeros_like, noise)
    return params, curvature, minimum, noise


def _train(opt: Any, problem: stepping.Problem) -> tuple[Any, Any, Any]:
    with jax.enable_x64(True):
        state, *curves = stepping.train(opt, *problem)
    params, averages = jax.tree.map(np.asarray, curves)
    assert {p.dtype for p in params.values()} == {np.dtype(np.float64)}
    return state, params, averages


def _reference(name: str, opt: Any, problem: stepping.Problem) -> tuple[Any, Any]:
    hparams = SimpleNamespace(**vars(opt), hessian=problem[1])
    if name in recent.TREE_STEPS:
        return recent.TREE_STEPS[name], hparams
    return stepping.on_each_array(recent.ARRAY_STEPS[name]), hparams


def _check(
    name: str,
    hparams: dict[str, Any],
    shape: tuple[int, ...] = (4, 3),
    schedule: Callable[[int], float] | None = None,
) -> None:
    opt = get_optimizer(name)(**hparams)
    problem = _problem(name, shape)
    state, got, _ = _train(opt, problem)
    step, h = _reference(name, opt, problem)
    want = stepping.train_reference(step, h, problem, schedule)
    allowed = MADGRAD_TOLERANCE if name == "MADGRAD" else TOLERANCE
    allowed = allowed if schedule is None else SCHEDULE_TOLERANCE
    assert stepping.largest_error(got, want, problem[0]) < allowed
    assert int(state.iteration) == stepping.STEPS


# Where the default is none at all, or too small to show anything.
RATES = {"LBFGS": 0.1, "NAdamW": 0.01}


@pytest.mark.parametrize("name", NAMES)
def test_defaults_step_as_the_paper_says(name: str) -> None:
    _check(name, {"learning_rate": RATES[name]} if name in RATES else {})


ADAM_LIKE = {"learning_rate": 0.05, "beta1": 0.7, "beta2": 0.95, "epsilon": 0.03}
DECAY = {"weight_decay": 0.3}
ROOT = {"epsilon_root": 0.02}
MUON = {
    "learning_rate": 0.05,
    "momentum": 0.7,
    "newton_schulz_steps": 3,
    "epsilon": 0.2,
    "weight_decay": 0.3,
    "adam_beta1": 0.6,
    "adam_beta2": 0.95,
    "adam_epsilon_root": 0.02,
    "adam_weight_decay": 0.2,
}
SOPHIA = {
    "learning_rate": 0.05,
    "beta1": 0.7,
    "beta2": 0.8,
    "epsilon": 0.1,
    "gamma": 3.0,
    "clip_threshold": 0.7,
    "update_interval": 3,
    "weight_decay": 0.3,
}
# Every hyper-parameter away from its default and large enough to matter, so that
# one that is dropped, or handed to another's place, shows.
UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("AMSGrad", {**ADAM_LIKE, **ROOT}),
    ("Adamax", ADAM_LIKE),
    ("Adan", {**ADAM_LIKE, **ROOT, **DECAY, "beta2": 0.6, "beta3": 0.8}),
    ("AdEMAMix", {**ADAM_LIKE, **ROOT, **DECAY, "beta3": 0.9, "alpha": 2.0}),
    (
        "MADGRAD",
        {"learning_rate": 0.05, "momentum": 0.6, "weight_decay": 0.3, "epsilon": 0.2},
    ),
    ("NovoGrad", {**ADAM_LIKE, **ROOT, **DECAY, "beta2": 0.6}),
    ("Signum", {"learning_rate": 0.05, "momentum": 0.6}),
    ("Lion", {"learning_rate": 0.05, "beta1": 0.6, "beta2": 0.8, **DECAY}),
    ("NAdamW", {**ADAM_LIKE, "adamw_weight_decay": 0.3, "l2_weight_decay": 0.2}),
    ("NAdamW", {**ADAM_LIKE, "adamw_weight_decay": 0.3, "use_nesterov": False}),
    ("NAdamW", {**ADAM_LIKE, "l2_weight_decay": -0.1, "use_nesterov": False}),
    ("Muon", MUON),
    ("Muon", {**MUON, "nesterov": False}),
    ("Muon", {**MUON, "consistent_rms": 0.3}),
    (
        "ScheduleFreeSGD",
        {"learning_rate": 0.3, "beta1": 0.6, "weight_lr_power": 1.0, **DECAY},
    ),
    ("ScheduleFreeAdamW", {**ADAM_LIKE, "weight_lr_power": 1.0, **DECAY}),
    (
        "Prodigy",
        {
            **ADAM_LIKE,
            **DECAY,
            "learning_rate": 0.5,
            "initial_estimate": 0.02,
            "estimate_coefficient": 0.5,
        },
    ),
    ("Prodigy", {"safeguard_warmup": True, "learning_rate": 0.5}),
    ("DAdaptAdamW", {**ADAM_LIKE, **DECAY, "learning_rate": 0.5}),
    ("DAdaptAdamW", {"initial_estimate": 0.02, "weight_decay": 0.3, "epsilon": 0.1}),
    ("DoG", {"learning_rate": 0.5, "initial_distance": 0.1, "epsilon": 3.0, **DECAY}),
    ("DoWG", {"learning_rate": 0.5, "epsilon": 0.3, **DECAY}),
    ("DoWG", {"initial_squared_distance": 0.2, "epsilon": 0.03}),
    ("Sophia", SOPHIA),
    ("Sophia", {**SOPHIA, "clip_threshold": None}),
    ("LBFGS", {"learning_rate": 0.2, "memory_size": 3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "hparams"), UNUSUAL)
def test_every_hyper_parameter_has_its_place(
    name: str, hparams: dict[str, Any]
) -> None:
    _check(name, hparams)


def test_every_hyper_parameter_is_tried_away_from_its_default() -> None:
    tried = {(name, k) for name, hparams in UNUSUAL for k in hparams}
    there = {(name, k) for name in NAMES for k in vars(get_optimizer(name)())}
    # The line search has tests of its own.
    assert there - tried == {("LBFGS", "max_linesearch_steps")}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize(
    "hparams", [{}, {"consistent_rms": 0.2}, {"weight_decay": 0.3, "nesterov": False}]
)
def test_muon_steps_wide_matrices_and_kernels(
    hparams: dict[str, Any], shape: tuple[int, ...]
) -> None:
    _check("Muon", hparams, shape)


# All of it falls within the 50 steps, from a start above the rates used so far.
PEAK = {"learning_rate": 0.05, "num_steps": 40.0, "warmup_steps": 10.0}


def _up_then_down(step: int) -> float:
    if step < 10:
        return 0.05 * (step + 1) / 10
    return 0.05 * math.cos(math.pi * min((step - 10) / 30, 1.0) / 2) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_stands_for_a_learning_rate(name: str) -> None:
    _check(name, {"learning_rate": CosineDecay(**PEAK)}, schedule=_up_then_down)


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("ScheduleFreeSGD", {}),
        ("ScheduleFreeAdamW", {}),
        # The power of the weights shows where the rate rises.
        ("ScheduleFreeSGD", {"beta1": 0.6, "weight_lr_power": 1.0, **DECAY}),
        ("ScheduleFreeAdamW", {**ADAM_LIKE, "weight_lr_power": 1.0, **DECAY}),
    ],
)
@pytest.mark.parametrize("schedule", [None, _up_then_down])
def test_schedule_free_evaluates_the_average(
    name: str, hparams: dict[str, Any], schedule: Callable[[int], float] | None
) -> None:
    if schedule is not None:
        hparams = {**hparams, "learning_rate": CosineDecay(**PEAK)}
    opt = get_optimizer(name)(**hparams)
    problem = _problem(name, (4, 3))
    _, params, got = _train(opt, problem)
    step, h = _reference(name, opt, problem)

    def average(params: Any, states: Any) -> Any:
        return {k: states[k]["average"] for k in params}

    want = stepping.train_reference(step, h, problem, schedule, average)
    allowed = TOLERANCE if schedule is None else SCHEDULE_TOLERANCE
    assert stepping.largest_error(got, want, problem[0]) < allowed
    # Not where gradients are taken.
    assert stepping.largest_error(params, want, problem[0]) > 1e-3


def test_the_average_of_equal_rates_is_the_plain_mean() -> None:
    opt = ScheduleFreeSGD(learning_rate=0.3)
    problem = _problem("ScheduleFreeSGD", (4, 3))
    _, params, averages = _train(opt, problem)
    for k, initial in problem[0].items():
        # y = (1 - beta1) z + beta1 x gives the iterates z back.
        iterates = (params[k] - 0.9 * averages[k]) / (1 - 0.9)
        assert np.max(np.abs(iterates - initial)) > 0.1
        counts = np.arange(1, stepping.STEPS + 1).reshape(-1, *[1] * initial.ndim)
        means = np.cumsum(iterates, axis=0) / counts
        np.testing.assert_allclose(averages[k], means, rtol=0, atol=1e-12)


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
# From the papers, or optax where a paper names none; the rates are the package's.
DEFAULTS: dict[str, dict[str, Any]] = {
    "AMSGrad": {**ADAM, "epsilon_root": 0.0},
    "Adamax": ADAM,
    "Adan": {
        "beta1": 0.98,
        "beta2": 0.92,
        "beta3": 0.99,
        "epsilon": 1e-8,
        "epsilon_root": 1e-8,
        "weight_decay": 0.0,
    },
    "AdEMAMix": {
        **ADAM,
        "beta3": 0.9999,
        "alpha": 5.0,
        "epsilon_root": 0.0,
        "weight_decay": 0.0,
    },
    "MADGRAD": {"momentum": 0.9, "weight_decay": 0.0, "epsilon": 1e-6},
    "NovoGrad": {
        "beta1": 0.9,
        "beta2": 0.25,
        "epsilon": 1e-6,
        "epsilon_root": 0.0,
        "weight_decay": 0.0,
    },
    "Signum": {"momentum": 0.9},
    "Lion": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 1e-3},
    "NAdamW": {
        **ADAM,
        "learning_rate": 1e-4,
        "adamw_weight_decay": 0.0,
        "l2_weight_decay": 0.0,
        "use_nesterov": True,
    },
    "Muon": {
        "momentum": 0.95,
        "newton_schulz_steps": 5,
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "nesterov": True,
        "consistent_rms": None,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon_root": 0.0,
        "adam_weight_decay": 0.0,
    },
    "ScheduleFreeSGD": {"beta1": 0.9, "weight_decay": 0.0, "weight_lr_power": 2.0},
    "ScheduleFreeAdamW": {**ADAM, "weight_decay": 0.0, "weight_lr_power": 2.0},
    "Prodigy": {
        **ADAM,
        "learning_rate": 1.0,
        "initial_estimate": 1e-6,
        "estimate_coefficient": 1.0,
        "weight_decay": 0.0,
        "safeguard_warmup": False,
    },
    "DAdaptAdamW": {
        **ADAM,
        "learning_rate": 1.0,
        "initial_estimate": 1e-6,
        "weight_decay": 0.0,
    },
    "DoG": {
        "learning_rate": 1.0,
        "initial_distance": 1e-6,
        "epsilon": 1e-8,
        "weight_decay": None,
    },
    "DoWG": {
        "learning_rate": 1.0,
        "initial_squared_distance": None,
        "epsilon": 1e-4,
        "weight_decay": None,
    },
    "Sophia": {
        "beta1": 0.965,
        "beta2": 0.99,
        "epsilon": 1e-8,
        "gamma": 0.01,
        "clip_threshold": 1.0,
        "update_interval": 10,
        "weight_decay": 1e-4,
    },
    "LBFGS": {"learning_rate": None, "memory_size": 10, "max_linesearch_steps": 20},
}


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_the_documented_ones(name: str) -> None:
    assert vars(get_optimizer(name)()) == {"learning_rate": 0.01, **DEFAULTS[name]}
