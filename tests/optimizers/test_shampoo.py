"""Shampoo against float64 numpy that loops over blocks and axes."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.learning_rate_schedules import ExpDecay
from learned_optimization.optimizers.shampoo import GRAFT_TYPES, Shampoo
from learned_optimization.optimizers.tensor_blocks import merge_small_axes

Array = np.ndarray
STEPS = 24
SHAPES = {"scalar": (), "vector": (5,), "matrix": (7, 5), "kernel": (2, 3, 1, 6)}
# What an axis limit of 4 leaves of them, by hand.
MERGED = {"scalar": (), "vector": (5,), "matrix": (7, 5), "kernel": (2, 3, 6)}


def _draw(seed: int) -> dict[str, Array]:
    draw = np.random.default_rng(seed).normal
    return {k: draw(size=(STEPS, *s)).astype(np.float32) for k, s in SHAPES.items()}


PARAMS = {k: v[0] for k, v in _draw(0).items()}
NOISE = _draw(1)
# An input that is always zero.
NOISE["matrix"][:, 1] = 0.0
PULL = {k: np.full(s, 0.3, np.float32) for k, s in SHAPES.items()}
PULL["matrix"][1] = 0.0


@jax.jit
def _train(opt: Any) -> Any:
    def step(state: Any, noise: Any) -> tuple[Any, Any]:
        params = opt.get_params(state)
        grad = jax.tree.map(lambda p, n, pull: pull * p + n, params, noise, PULL)
        state = opt.update(state, grad)
        return state, opt.get_params(state)

    return jax.lax.scan(step, opt.init(PARAMS), NOISE)[1]


def _inverse_root(matrix: Array, p: int, ridge: float) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    if values[-1] <= 0:
        return np.eye(len(matrix))
    values = np.maximum(values, 0) + ridge * values[-1]
    return (vectors * values ** (-1 / p)) @ vectors.T


def _block_slices(shape: tuple[int, ...], axes: list[int], size: int) -> Any:
    def cuts(axis: int) -> list[slice]:
        if axis not in axes:
            return [slice(None)]
        return [
            slice(i, min(i + size, shape[axis])) for i in range(0, shape[axis], size)
        ]

    return itertools.product(*map(cuts, range(len(shape))))


def _weight(decay: float) -> float:
    return 1.0 if decay == 1.0 else 1.0 - decay


def _graft(g: Array, s: dict, h: Any) -> Array:
    if h.graft_type == "SGD":
        return g
    if h.graft_type == "SQRT_N":
        return np.sign(g)
    if h.graft_type.endswith("NORMALIZED"):
        g = g / np.linalg.norm(g)
    if h.graft_type.startswith("ADAGRAD"):
        s["acc"] = s.get("acc", 0.0) + g * g
    else:
        s["acc"] = h.beta2 * s.get("acc", 0.0) + _weight(h.beta2) * g * g
    return g / np.sqrt(s["acc"] + h.diagonal_epsilon)


def _reference(h: Any, name: str, merged: tuple[int, ...], rate: Any) -> Array:
    p, s, momentum = np.float64(PARAMS[name]), {}, 0.0
    axes = [i for i, n in enumerate(merged) if n <= h.max_preconditioner_dim]
    stats: dict = {}
    roots: dict = {}
    curve = []
    for t in range(STEPS):
        g = PULL[name] * p + np.float64(NOISE[name][t])
        tensor = g.reshape(merged)
        start, every = h.start_preconditioning_step, h.preconditioning_compute_steps
        direction = np.array(tensor)
        for b, where in enumerate(_block_slices(merged, axes, h.block_size)):
            block = tensor[where]
            out = block
            for axis in axes:
                flat = np.moveaxis(block, axis, 0).reshape(block.shape[axis], -1)
                stats[b, axis] = (
                    h.beta2 * stats.get((b, axis), 0.0)
                    + _weight(h.beta2) * flat @ flat.T
                )
                if t >= start and (t - start) % every == 0:
                    power = h.exponent_override or 2 * len(axes)
                    roots[b, axis] = _inverse_root(
                        stats[b, axis], power, h.matrix_epsilon
                    )
                if t >= start:
                    out = np.moveaxis(
                        np.tensordot(roots[b, axis], out, (1, axis)), 0, axis
                    )
            direction[where] = out
        step = _graft(g, s, h)
        if t >= start:
            direction = direction.reshape(g.shape)
            step = direction * np.linalg.norm(step) / np.linalg.norm(direction)
        step = step + h.weight_decay * p
        momentum = h.beta1 * momentum + step
        p = p - rate(t) * (step + h.beta1 * momentum if h.nesterov else momentum)
        curve.append(p)
    return np.stack(curve)


def _error(hparams: dict[str, Any], merged: Any = MERGED, rate: Any = None) -> float:
    """The largest error, as a share of how far its array moves."""
    opt = Shampoo(**hparams)
    got = _train(opt)
    h = SimpleNamespace(**vars(opt))
    rate = rate or (lambda t: h.learning_rate)
    errors = []
    for name, shape in merged.items():
        want = _reference(h, name, shape, rate)
        moved = np.max(np.abs(want - PARAMS[name]))
        errors.append(np.max(np.abs(got[name] - want)) / moved)
    return float(max(errors))


# A ridge that float32 roots are exact for, and more than one block an axis.
CUT = {"block_size": 4, "matrix_epsilon": 1e-2}
UNUSUAL: list[dict[str, Any]] = [
    {},
    {"beta1": 0.6},
    {"beta1": 0.0, "learning_rate": 0.05},
    {"beta2": 0.7},
    {"beta2": 1.0},
    {"weight_decay": 0.4},
    {"matrix_epsilon": 0.3},
    {"start_preconditioning_step": 0, "preconditioning_compute_steps": 1},
    {"start_preconditioning_step": 3, "preconditioning_compute_steps": 4},
    {"start_preconditioning_step": 100},
    {"exponent_override": 3, "max_preconditioner_dim": 5},
    {"block_size": 3, "preconditioning_compute_steps": 2, "nesterov": False},
]


@pytest.mark.slow
@pytest.mark.parametrize("hparams", UNUSUAL)
def test_every_hyper_parameter_has_its_place(hparams: dict[str, Any]) -> None:
    assert _error({**CUT, **hparams}) < 1e-4


@pytest.mark.parametrize(
    "graft_type",
    [
        pytest.param(g, marks=() if g.startswith("RMSPROP") else pytest.mark.slow)
        for g in GRAFT_TYPES
    ],
)
def test_graft_types(graft_type: str) -> None:
    settings = {**CUT, "graft_type": graft_type, "beta2": 0.9}
    assert _error({**settings, "diagonal_epsilon": 0.1}) < 1e-4
    assert _error({**settings, "start_preconditioning_step": 2}) < 1e-4


# All in one block; the matrix and the kernel, of 35 and 36 elements, are vectors.
def test_defaults_merge_what_fits_into_a_block() -> None:
    merged = {"scalar": (), "vector": (5,), "matrix": (35,), "kernel": (36,)}
    assert _error({"matrix_epsilon": 1e-2}, merged) < 1e-4
    # At the published ridge, float32 knows the largest roots to a percent or two.
    assert _error({}, merged) < 2e-2


def test_medium_blocks() -> None:
    merged = {"scalar": (), "vector": (5,), "matrix": (7, 5), "kernel": (6, 6)}
    assert _error({"block_size": 7, "matrix_epsilon": 1e-2}, merged) < 1e-4


def test_learning_rate_schedule() -> None:
    schedule = ExpDecay(0.05, rate=0.05)
    rate = lambda t: 0.05 * math.exp(-0.05 * (t + 1))  # noqa: E731
    assert _error({**CUT, "learning_rate": schedule}, rate=rate) < 1e-4


@pytest.mark.slow
def test_one_program_trains_with_many_settings() -> None:
    settings = [
        {"learning_rate": 0.1, "start_preconditioning_step": 2},
        {"beta2": 1.0, "preconditioning_compute_steps": 3},
        {"matrix_epsilon": 0.1, "beta1": 0.5, "weight_decay": 0.1},
    ]
    opts = [Shampoo(**CUT | s) for s in settings]
    together = jax.jit(jax.vmap(_train))(
        jax.tree.map(lambda *x: jnp.stack(jnp.asarray(x)), *opts)
    )
    for i, opt in enumerate(opts):
        alone = _train(opt)
        for k in SHAPES:
            np.testing.assert_allclose(together[k][i], alone[k], atol=2e-5)


def test_roots_are_skipped_between_their_steps() -> None:
    opt = Shampoo(**CUT, start_preconditioning_step=2, preconditioning_compute_steps=3)
    many = jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * 2), opt)
    params = {"matrix": PARAMS["matrix"]}
    state = jax.vmap(lambda o: o.init(params))(many)
    update = jax.jit(jax.vmap(lambda o, s, g: o.update(s, g), in_axes=(0, 0, None)))
    changes = []
    for t in range(9):
        before = state.optax_opt_state[0].roots[0][0]
        state = update(many, state, {"matrix": NOISE["matrix"][t]})
        changes.append(not np.array_equal(state.optax_opt_state[0].roots[0][0], before))
    assert changes == [False, False, True, False, False, True, False, False, True]
    # That it is a branch, and not a selection between two results.
    assert "cond[" in str(jax.make_jaxpr(update)(many, state, params))


@pytest.mark.parametrize("graft_type", ["SGD", "ADAGRAD_NORMALIZED"])
def test_zero_gradients_do_not_move(graft_type: str) -> None:
    opt = Shampoo(
        block_size=4,
        graft_type=graft_type,
        diagonal_epsilon=0.0,
        start_preconditioning_step=1,
    )
    params = {k: PARAMS[k] for k in ("scalar", "matrix")}
    update, state = jax.jit(opt.update), opt.init(params)
    for _ in range(3):
        state = update(state, jax.tree.map(jnp.zeros_like, params))
    jax.tree.map(np.testing.assert_array_equal, opt.get_params(state), params)


@pytest.mark.parametrize(
    ("shape", "limit", "want"),
    [
        ((), 8, ()),
        ((1, 1), 8, ()),
        ((3, 3, 2, 40), 128, (18, 40)),
        ((64, 32), 128, (64, 32)),
        ((1, 5, 1, 200, 1), 128, (5, 200)),
        ((200, 1, 3, 2), 128, (200, 6)),
        ((0, 3), 8, (0,)),
    ],
)
def test_merged_axes(shape: Any, limit: int, want: Any) -> None:
    assert merge_small_axes(shape, limit) == want


def test_refuses_what_makes_no_program() -> None:
    with pytest.raises(UnknownNameError, match="'RMSPROPP': did you mean RMSPROP"):
        Shampoo(graft_type="RMSPROPP")
    with pytest.raises(LoptError, match=r"block_size must be .* at least 1, got 0"):
        Shampoo(block_size=0)
    with pytest.raises(LoptError, match="exponent_override"):
        Shampoo(exponent_override=-1)
    with pytest.raises(LoptError, match="max_preconditioner_dim"):
        Shampoo(max_preconditioner_dim=-1)
