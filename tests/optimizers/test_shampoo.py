"""Shampoo against float64 numpy that loops over blocks and axes."""

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
from tests.optimizers import reference_shampoo as reference

Array = np.ndarray
STEPS = 24
SHAPES = {
    "scalar": (),
    "one": (1, 1),
    "vector": (5,),
    "matrix": (7, 5),
    "kernel": (2, 3, 1, 6),
}


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


def _error(hparams: dict[str, Any], rate: Any = None) -> float:
    """Return the largest error, as a share of how far its array moves."""
    opt = Shampoo(**hparams)
    got = _train(opt)
    h = SimpleNamespace(**vars(opt))
    rate = rate or (lambda t: h.learning_rate)
    errors = []
    for name in SHAPES:
        one = reference.Shampoo(h, PARAMS[name])
        param = np.asarray(PARAMS[name], np.float64)
        curve = []
        for t in range(STEPS):
            param = one.step(param, PULL[name] * param + NOISE[name][t], rate(t))
            curve.append(param)
        errors.append(reference.error(got[name], np.stack(curve), PARAMS[name]))
    return max(errors)


# A ridge that float32 roots are exact for, and more than one block per axis.
CUT = {"block_size": 4, "matrix_epsilon": 1e-2}
UNMERGED = {**CUT, "best_effort_shape_interpretation": False}
UNUSUAL: list[dict[str, Any]] = [
    {},
    {"beta1": 0.6},
    {"beta1": 0.0, "learning_rate": 0.05},
    {"beta2": 0.7},
    {"beta2": 1.0},
    {"weight_decay": 0.4},
    # Not more: the largest eigenvalue is known to a few percent where all are alike.
    {"matrix_epsilon": 5e-3},
    {"matrix_epsilon": 5e-3, "start_preconditioning_step": 0, "nesterov": False},
    {"start_preconditioning_step": 0},
    {"start_preconditioning_step": 3, "preconditioning_compute_steps": 4},
    {"start_preconditioning_step": 100},
    {"statistics_compute_steps": 3},
    {"exponent_override": 3, "skip_preconditioning_dim_size_gt": 5},
    {"block_size": 3, "preconditioning_compute_steps": 2, "nesterov": False},
    {"moving_average_for_momentum": True},
]


@pytest.mark.slow
@pytest.mark.parametrize("hparams", UNUSUAL)
@pytest.mark.parametrize("basis", [CUT, UNMERGED])
def test_every_hyper_parameter_has_its_place(
    basis: dict[str, Any], hparams: dict[str, Any]
) -> None:
    assert _error({**basis, **hparams}) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("graft_type", GRAFT_TYPES)
def test_graft_types(graft_type: str) -> None:
    settings = {**CUT, "graft_type": graft_type, "beta2": 0.9}
    assert _error({**settings, "diagonal_epsilon": 0.1}) < 1e-4
    assert _error({**settings, "start_preconditioning_step": 2}) < 1e-4


@pytest.mark.slow
def test_defaults() -> None:
    assert _error({"matrix_epsilon": 1e-2}) < 1e-4
    # At the published ridge, float32 knows the largest roots to a percent or two.
    assert _error({}) < 2e-3


@pytest.mark.slow
def test_matrices_in_medium_blocks() -> None:
    assert _error({**UNMERGED, "block_size": 7}) < 1e-4


@pytest.mark.parametrize("scale", [1e-4, 1e-6])
def test_small_gradients(scale: float) -> None:
    # Their matrices have eigenvalues below what the largest is taken for.
    param = PARAMS["matrix"]
    opt = Shampoo(matrix_epsilon=1e-2, beta2=0.5, start_preconditioning_step=0)
    state, update = opt.init({"matrix": param}), jax.jit(opt.update)
    one = reference.Shampoo(SimpleNamespace(**vars(opt)), param)
    for noise in NOISE["matrix"]:
        grad = np.float32(scale) * noise
        state = update(state, {"matrix": grad})
        one.step(param, grad, 1.0)
    # Parameters would hide steps so small.
    momentum = state.optax_opt_state[0].momentum[0]
    assert reference.error(momentum, one.velocities[1], np.zeros((7, 5))) < 1e-4


@pytest.mark.slow
def test_learning_rate_schedule() -> None:
    schedule = ExpDecay(0.05, rate=0.05)
    rate = lambda t: 0.05 * math.exp(-0.05 * t)  # noqa: E731
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
    opt = Shampoo(**CUT, preconditioning_compute_steps=3)
    many = jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * 2), opt)
    params = {"matrix": PARAMS["matrix"]}
    state = jax.vmap(lambda o: o.init(params))(many)
    update = jax.jit(jax.vmap(lambda o, s, g: o.update(s, g), in_axes=(0, 0, None)))
    changes = []
    for t in range(7):
        before = state.optax_opt_state[0].roots[0][0]
        state = update(many, state, {"matrix": NOISE["matrix"][t]})
        changes.append(not np.array_equal(state.optax_opt_state[0].roots[0][0], before))
    assert changes == [True, False, False, True, False, False, True]
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


def test_a_root_that_is_none_keeps_the_one_before() -> None:
    opt = Shampoo(block_size=4)
    params = {"matrix": PARAMS["matrix"]}
    update, state = jax.jit(opt.update), opt.init(params)
    state = update(state, {"matrix": NOISE["matrix"][0]})
    before = state.optax_opt_state[0].roots
    state = update(state, {"matrix": np.full((7, 5), np.inf, np.float32)})
    jax.tree.map(np.testing.assert_array_equal, state.optax_opt_state[0].roots, before)


def test_a_long_axis_takes_all_matrices() -> None:
    opt = Shampoo(skip_preconditioning_dim_size_gt=6)
    statistics = opt.init(PARAMS).optax_opt_state[0].statistics
    # In the order of names: the kernel as a vector, the matrix, one, the scalar ...
    assert [[m.shape for m in matrices] for matrices in statistics] == [
        [(1, 36, 36)],
        [],
        [(1, 1, 1)],
        [],
        [(1, 5, 5)],
    ]


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
    with pytest.raises(LoptError, match="skip_preconditioning_dim_size_gt"):
        Shampoo(skip_preconditioning_dim_size_gt=-1)
