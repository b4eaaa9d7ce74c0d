"""Each optax optimizer and schedule against float64 numpy written from its paper."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.optimizers.base import Optimizer, get_optimizer
from tests.optimizers import reference

Tree = dict[str, Any]

# The largest error allowed in any parameter after any step, as a share of how
# far its array has moved at most. A float32 parameter is rounded by 6e-8 of
# itself at each of 50 steps, and errors of one step are gradients of the next.
TOLERANCE = 1e-5
# rho is a difference of two numbers near 2,000 in float32, so optax has it to
# about 0.03: the first rectified steps, where rho is near 6, are that wrong.
RADAM_TOLERANCE = 1e-2
STEPS = 50


def _draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def _problem(shape: tuple[int, int], num_steps: int = STEPS) -> tuple[Tree, ...]:
    """Initial parameters, curvatures, minima and the noise of each step."""
    shapes = {"zeros": (5,), "weights": shape}
    params = {"zeros": np.zeros(5, np.float32), "weights": _draw(0, *shape)}
    curvature = {k: 0.2 + 0.1 * np.abs(_draw(1, *s)) for k, s in shapes.items()}
    minimum = {k: _draw(2, *s) for k, s in shapes.items()}
    noise = {k: 0.3 * _draw(3, num_steps, *s) for k, s in shapes.items()}
    # An input that is always zero: its weight has no gradient, ever.
    curvature["weights"][1, 2] = noise["weights"][:, 1, 2] = 0.0
    return params, curvature, minimum, noise


def _gradient(params: Tree, curvature: Tree, minimum: Tree, noise: Tree) -> Tree:
    return jax.tree.map(
        lambda p, c, m, n: c * (p - m) + n, params, curvature, minimum, noise
    )


@jax.jit
def _train(opt: Optimizer, params: Tree, curvature: Tree, minimum: Tree, noise: Tree):
    def step(state: Any, noise_now: Tree) -> tuple[Any, Tree]:
        grad = _gradient(opt.get_params(state), curvature, minimum, noise_now)
        state = opt.update(state, grad)
        return state, opt.get_params(state)

    return jax.lax.scan(step, opt.init(params), noise)


def _train_reference(
    step: Callable[..., Any],
    hparams: SimpleNamespace,
    problem: tuple[Tree, ...],
    schedule: Callable[[int], float] | None = None,
) -> Tree:
    params, curvature, minimum, noise = jax.tree.map(np.float64, problem)
    curves = {}
    for k, p in params.items():
        state: dict[str, Any] = {}
        curves[k] = np.empty_like(noise[k])
        for t, noise_now in enumerate(noise[k], 1):
            if schedule is not None:
                hparams = reference.with_rate(hparams, schedule(t - 1))
            grad = curvature[k] * (p - minimum[k]) + noise_now
            p, state = step(p, grad, state, t, hparams)
            curves[k][t - 1] = p
    return curves


def _largest_error(got: Tree, want: Tree, initial: Tree) -> float:
    return max(
        float(np.max(np.abs(got[k] - want[k])) / np.max(np.abs(want[k] - initial[k])))
        for k in want
    )


# Learning rates under which the parameters cross a good part of the way in 50
# steps, for defaults that are too small or too large to show anything.
RATES = {"Lars": 5.0, "SGD": 0.3, "SGDM": 0.1, "AdaGrad": 0.2, "AdamSqrtDecayLR": 3.0}
ADAM_LIKE = {"beta1": 0.7, "beta2": 0.95, "epsilon": 0.03, "epsilon_root": 0.02}
# Every hyper-parameter away from its default and large enough to matter, so that
# one that is dropped, or handed to another's place, shows.
UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.7}),
    ("SGDM", {"learning_rate": 0.2, "momentum": 0.6}),
    ("Adam", {"learning_rate": 0.05, **ADAM_LIKE}),
    ("AdamSqrtDecayLR", {"learning_rate": 7.0, **ADAM_LIKE}),
    ("AdamExpDecayLR", {"learning_rate": 0.05, **ADAM_LIKE}),
    ("RMSProp", {"learning_rate": 0.02, "decay": 0.7, "epsilon": 0.1}),
    ("RMSProp", {"learning_rate": 0.02, "momentum": 0.8, "epsilon": 0.1}),
    ("AdaBelief", {"learning_rate": 0.05, **ADAM_LIKE}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.3, **ADAM_LIKE}),
    ("AdaGrad", {"initial_accumulator_value": 0.7, "epsilon": 0.2}),
    ("AdaGrad", {"initial_accumulator_value": 0.0, "epsilon": 0.0}),
    ("Fromage", {"learning_rate": 0.2, "min_norm": 0.8}),
    ("Lamb", {"learning_rate": 0.05, "weight_decay": 0.3, **ADAM_LIKE}),
    (
        "Lars",
        {
            "learning_rate": 0.7,
            "weight_decay": 0.2,
            "trust_coefficient": 0.03,
            "epsilon": 0.5,
            "momentum": 0.6,
        },
    ),
    ("RAdam", {"learning_rate": 0.05, "threshold": 7.5, **ADAM_LIKE}),
    ("SM3", {"learning_rate": 0.1, "momentum": 0.6, "epsilon": 0.2}),
    ("SM3", {"learning_rate": 0.01, "beta2": 0.999}),
    ("Yogi", {"beta1": 0.7, "beta2": 0.95, "epsilon": 0.1}),
    ("Adafactor", {"factored": False}),
    ("Adafactor", {"multiply_by_parameter_scale": False}),
    ("Adafactor", {"clipping_threshold": None, "decay_rate": 0.5}),
    # optax counts from zero in a fresh run, so a positive offset would make the
    # first decay a root of a negative number.
    ("Adafactor", {"decay_offset": -3, "epsilon": 0.1, "clipping_threshold": 1.2}),
    ("Adafactor", {"momentum": 0.8, "weight_decay_rate": 0.01}),
]


def _check(name: str, hparams: dict[str, Any], shape: tuple[int, int]) -> None:
    opt = get_optimizer(name)(**hparams)
    problem = _problem(shape)
    state, got = _train(opt, *problem)
    want = _train_reference(
        reference.STEPS[name], SimpleNamespace(**vars(opt)), problem
    )
    tolerance = TOLERANCE
    if name == "RAdam" and "beta2" not in hparams:
        tolerance = RADAM_TOLERANCE
    err = _largest_error(got, want, problem[0])
    print(
        "ERR",
        name,
        hparams,
        shape,
        err,
        {k: np.abs(v - problem[0][k]).max() for k, v in want.items()},
    )
    assert err < tolerance
    assert int(state.iteration) == STEPS


@pytest.mark.parametrize("name", reference.STEPS)
def test_defaults_step_as_the_paper_says(name: str) -> None:
    rate = {"learning_rate": RATES[name]} if name in RATES else {}
    _check(name, rate, (4, 3))


@pytest.mark.parametrize(("name", "hparams"), UNUSUAL)
def test_every_hyper_parameter_has_its_place(
    name: str, hparams: dict[str, Any]
) -> None:
    _check(name, hparams, (4, 3))


# Not square, so that rows taken for columns show.
@pytest.mark.parametrize(
    ("hparams", "shape"),
    [
        ({}, (128, 144)),
        ({"momentum": 0.8, "weight_decay_rate": 0.01}, (144, 128)),
        ({"min_dim_size_to_factor": 3, "epsilon": 0.1}, (4, 3)),
    ],
)
def test_adafactor_factors_large_matrices(
    hparams: dict[str, Any], shape: tuple[int, int]
) -> None:
    _check("Adafactor", hparams, shape)
