"""SOAP against float64 numpy, by explicit matrix products.

The bases are compared with an eigendecomposition and with a QR decomposition of
what the iteration before left. The steps are compared in the bases that jax
found: eigenvectors whose eigenvalues rounding cannot tell apart differ at will.
"""

import math
import re
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.learning_rate_schedules import ExpDecay
from learned_optimization.optimizers.soap import SOAP

Array = np.ndarray
STEPS = 24
SHAPES = {
    "kernel": (2, 3, 1, 4),
    "matrix": (7, 5),
    "row": (1, 6),
    "scalar": (),
    "vector": (5,),
}
# Seen as these, by hand.
SEEN = {**SHAPES, "kernel": (6, 4), "row": (6,)}
PULL = 0.3


def _draw(seed: int) -> dict[str, Array]:
    draw = np.random.default_rng(seed).normal
    return {k: draw(size=(STEPS, *s)).astype(np.float32) for k, s in SHAPES.items()}


PARAMS = {k: v[0] for k, v in _draw(0).items()}
NOISE = _draw(1)


@jax.jit
def _train(opt: Any) -> Any:
    """Return parameters, and the state they were stepped from, at every step."""

    def step(state: Any, noise: Any) -> tuple[Any, Any]:
        params = opt.get_params(state)
        grad = jax.tree.map(lambda p, n: PULL * p + n, params, noise)
        new = opt.update(state, grad)
        return new, (opt.get_params(new), state.optax_opt_state[0])

    return jax.lax.scan(step, opt.init(PARAMS), NOISE)[1]


def _order(old: Array, statistics: Array) -> Array:
    return np.argsort(-np.einsum("ij,jk,ik->i", old, statistics, old))


def _reference(h: Any, name: str, bases: Any, rate: Any) -> tuple[Array, list[Any]]:
    """Return the parameters after each step, and each step's statistics."""
    p = np.asarray(PARAMS[name], np.float64)
    seen = SEEN[name]
    has = [
        i
        for i, n in enumerate(seen)
        if len(seen) == 2 and n <= h.max_preconditioner_dim
    ]
    statistics = [np.zeros((seen[i], seen[i])) for i in has]
    m, v = np.zeros(seen), np.zeros(seen)
    curve, all_statistics, moves = [], [], 0
    for t in range(STEPS):
        g = (PULL * p + np.asarray(NOISE[name][t], np.float64)).reshape(seen)
        left = right = np.eye(1)
        if has:
            left, right = np.eye(seen[0]), np.eye(seen[1])
            for axis, basis in zip(has, bases, strict=True):
                if axis == 0:
                    left = np.asarray(basis[t, 0], np.float64)
                else:
                    right = np.asarray(basis[t, 0], np.float64)
        if t or not has:
            moves += 1
            m = h.beta1 * m + (1 - h.beta1) * g
            turned = left @ g @ right.T if has else g
            v = h.beta2 * v + (1 - h.beta2) * turned**2
            m_hat = (left @ m @ right.T if has else m) / (1 - h.beta1**moves)
            step = m_hat / (np.sqrt(v / (1 - h.beta2**moves)) + h.epsilon)
            step = left.T @ step @ right if has else step
            p = p - rate(t) * (step.reshape(p.shape) + h.weight_decay * p)
        for i, axis in enumerate(has):
            gram = g @ g.T if axis == 0 else g.T @ g
            statistics[i] = h.shampoo_beta * statistics[i] + (1 - h.shampoo_beta) * gram
        if has and t and t % h.precondition_frequency == 0:
            # The squares follow their eigenvectors.
            for i, axis in enumerate(has):
                old = left if axis == 0 else right
                v = np.take(v, _order(old, statistics[i]), axis)
        all_statistics.append([s.copy() for s in statistics])
        curve.append(p)
    return np.stack(curve), all_statistics


def _check(hparams: dict[str, Any], rate: Any = None) -> None:
    opt = SOAP(**hparams)
    got, states = _train(opt)
    h = SimpleNamespace(**vars(opt))
    rate = rate or (lambda t: h.learning_rate)
    for i, name in enumerate(sorted(SHAPES)):
        want, statistics = _reference(h, name, states.bases[i], rate)
        moved = np.max(np.abs(want - PARAMS[name]))
        assert np.max(np.abs(got[name] - want)) < 1e-4 * moved
        for axis, bases in enumerate(states.bases[i]):
            rows = np.asarray(bases[:, 0], np.float64)
            _check_bases(h, rows, [s[axis] for s in statistics])


def _check_bases(h: Any, bases: Array, statistics: list[Array]) -> None:
    identity = np.eye(bases.shape[-1])
    np.testing.assert_array_equal(bases[0], identity)
    np.testing.assert_allclose(
        bases @ bases.swapaxes(1, 2), np.broadcast_to(identity, bases.shape), atol=5e-6
    )
    # The basis of step `t + 1` is that of the statistics up to step `t`.
    turned = bases[1] @ statistics[0] @ bases[1].T
    values = np.linalg.eigvalsh(statistics[0])[::-1]
    np.testing.assert_allclose(turned, np.diag(values), atol=1e-5 * values[0])
    for t in range(1, STEPS - 1):
        if t % h.precondition_frequency:
            np.testing.assert_array_equal(bases[t + 1], bases[t])
            continue
        ordered = bases[t][_order(bases[t], statistics[t])]
        want = np.linalg.qr((ordered @ statistics[t]).T)[0].T
        # The sign of an eigenvector is free.
        cosines = np.abs(np.sum(want * bases[t + 1], axis=1))
        np.testing.assert_allclose(cosines, 1.0, atol=1e-4)


@pytest.mark.parametrize(
    "hparams",
    [
        {},
        {"learning_rate": 0.1, "beta1": 0.6},
        *(
            pytest.param(hparams, marks=pytest.mark.slow)
            for hparams in (
                {"beta2": 0.8, "epsilon": 0.1},
                {"shampoo_beta": 0.6, "precondition_frequency": 4},
                {"weight_decay": 0.4, "precondition_frequency": 7},
                {"max_preconditioner_dim": 6},
                {"max_preconditioner_dim": 0},
            )
        ),
    ],
)
def test_steps_as_the_paper_says(hparams: dict[str, Any]) -> None:
    if hparams.get("max_preconditioner_dim") == 0:
        # Nothing is merged either, and nothing is left but Adam.
        _check_adam(hparams)
    else:
        _check(hparams)


def _check_adam(hparams: dict[str, Any]) -> None:
    opt = SOAP(**hparams)
    got, _ = _train(opt)
    for name in SHAPES:
        p, m, v = np.float64(PARAMS[name]), 0.0, 0.0
        for t in range(STEPS):
            g = PULL * p + NOISE[name][t]
            m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g * g
            m_hat, v_hat = m / (1 - 0.95 ** (t + 1)), v / (1 - 0.95 ** (t + 1))
            p = p - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
            np.testing.assert_allclose(got[name][t], p, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_learning_rate_schedule() -> None:
    schedule = ExpDecay(0.05, rate=0.05)
    _check({"learning_rate": schedule}, lambda t: 0.05 * math.exp(-0.05 * t))


@pytest.mark.slow
def test_one_program_trains_with_many_settings() -> None:
    settings: list[dict[str, Any]] = [
        {"learning_rate": 0.1},
        {"beta1": 0.5, "weight_decay": 0.1},
        {"precondition_frequency": 5, "shampoo_beta": 0.9},
    ]
    opts = [SOAP(**s) for s in settings]
    together, _ = jax.jit(jax.vmap(_train))(
        jax.tree.map(lambda *x: jnp.stack(jnp.asarray(x)), *opts)
    )
    for i, opt in enumerate(opts):
        alone, _ = _train(opt)
        for k in SHAPES:
            np.testing.assert_allclose(together[k][i], alone[k], atol=1e-4)


# LAPACK calls of many matrices, several at once, now and then wait for ever.
def test_decompositions_are_of_one_matrix_at_a_time() -> None:
    opt, params = SOAP(), {"matrix": jnp.ones((4, 3))}
    states = jax.vmap(lambda _: opt.init(params))(jnp.arange(5))
    program = jax.make_jaxpr(jax.vmap(opt.update, in_axes=(0, None)))(states, params)
    calls = re.findall(
        r"f32\[([\d,]*)\] = (eigh|qr|geqrf|householder_product)\b", str(program)
    )
    assert {name for _, name in calls} >= {"eigh", "qr"}, str(program)
    for shape, _ in calls:
        *batch, _, _ = map(int, shape.split(","))
        assert math.prod(batch) == 1


@pytest.mark.parametrize("first", [0.0, np.nan, 1e-30, 1e30])
def test_first_gradients_of_any_size(first: float) -> None:
    opt = SOAP()
    params = {"matrix": jnp.ones((3, 2))}
    update, state = jax.jit(opt.update), opt.init(params)
    state = update(state, {"matrix": jnp.full((3, 2), first)})
    np.testing.assert_array_equal(opt.get_params(state)["matrix"], params["matrix"])
    for basis in state.optax_opt_state[0].bases[0]:
        np.testing.assert_allclose(
            basis @ basis.mT, [np.eye(basis.shape[-1])], atol=1e-6
        )


def test_refuses_a_negative_dimension() -> None:
    with pytest.raises(LoptError, match="max_preconditioner_dim"):
        SOAP(max_preconditioner_dim=-1)
