"""Sophia's random estimate of curvature, and L-BFGS with its line search."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.optimizers.second_order import LBFGS, Sophia

# Two arrays of one shape, coupled to each other: signs shared between them, or
# along one of them, would show as a bias.
_ROOT = np.random.default_rng(0).normal(size=(6, 6))
HESSIAN = np.float32(_ROOT @ _ROOT.T)
START = {
    "a": np.array([1.0, -0.5, 0.3], np.float32),
    "b": np.array([0.2, 0.7, -1.0], np.float32),
}


def _coupled(params: Any) -> jax.Array:
    x = jnp.concatenate([params["a"], params["b"]])
    return 0.5 * x @ (HESSIAN @ x)


def _flat(params: Any) -> np.ndarray:
    return np.concatenate([params["a"], params["b"]], axis=-1)


def _sophia_curve(opt: Optimizer, keys: jax.Array) -> Any:
    """Return the parameters after each step, and the last average of diagonals."""

    def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
        params = opt.get_params(state)
        grad = jax.grad(_coupled)(params)
        state = opt.update(state, grad, key=key, loss_fn=_coupled)
        return state, opt.get_params(state)

    state, curve = jax.lax.scan(step, opt.init(START), keys)
    return curve, state.optax_opt_state[0].nu


def _estimates(count: int) -> np.ndarray:
    """Hutchinson's estimate of the diagonal, for as many keys."""
    keys = jax.random.split(jax.random.PRNGKey(0), count)
    opt = Sophia(beta2=0.75)
    run = jax.jit(jax.vmap(lambda key: _sophia_curve(opt, key[None])[1]))
    # The average starts at zero.
    return _flat(jax.tree.map(np.asarray, run(keys))) / (1 - 0.75)


def test_sophia_estimates_the_diagonal_with_random_signs() -> None:
    signs = np.array([*itertools.product((-1.0, 1.0), repeat=6)])
    possible = signs * (signs @ HESSIAN)
    estimates = _estimates(400)
    distances = np.max(np.abs(estimates[:, None] - possible), axis=-1)
    # Sums of six float32 numbers of size ten.
    assert np.max(np.min(distances, axis=1)) < 1e-4
    # A choice of signs and its opposite give the same estimate: there are 32, and
    # 400 fair draws leave one out with probability 1e-4.
    assert len({min(i, 63 - i) for i in distances.argmin(axis=1)}) == 32
    # Unbiased: within five times what a mean of 400 strays.
    off = HESSIAN - np.diag(np.diag(HESSIAN))
    spread = np.sqrt(np.sum(off**2, axis=1) / 400)
    assert np.all(np.abs(estimates.mean(axis=0) - np.diag(HESSIAN)) < 5 * spread)


@pytest.mark.parametrize("interval", [1, 3])
def test_the_key_matters_where_sophia_estimates(interval: int) -> None:
    # Not clipped, so that every estimate shows in the step after.
    opt = Sophia(
        learning_rate=0.1,
        beta2=0.3,
        gamma=1.0,
        epsilon=0.5,
        clip_threshold=None,
        update_interval=interval,
    )
    run = jax.jit(lambda keys: _flat_curve(opt, keys))
    keys = jax.random.split(jax.random.PRNGKey(0), 7)
    curve = run(keys)
    other = jax.random.split(jax.random.PRNGKey(1), 7)
    for t in range(7):
        changed = run(keys.at[t].set(other[t]))
        first = t + 1 if t % interval == 0 else 7
        np.testing.assert_array_equal(changed[:first], curve[:first])
        assert np.all(np.any(changed[first:] != curve[first:], axis=1))


def _flat_curve(opt: Optimizer, keys: jax.Array) -> Any:
    curve = _sophia_curve(opt, keys)[0]
    return jnp.concatenate([curve["a"], curve["b"]], axis=-1)


def _rosenbrock(x: Any) -> Any:
    # Rosenbrock 1960, chained: a curved valley, the minimum of 0 at ones.
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def _rosenbrock_gradient(x: np.ndarray) -> np.ndarray:
    bend = x[1:] - x[:-1] ** 2
    grad = np.zeros_like(x)
    grad[:-1] = -400 * bend * x[:-1] - 2 * (1 - x[:-1])
    grad[1:] += 200 * bend
    return grad


_SCALES = 10 ** np.linspace(-1, 1, 10)


def _quadratic(x: Any) -> Any:
    return 0.5 * (_SCALES.astype(x.dtype) * (x - 1) ** 2).sum()


def _quadratic_gradient(x: np.ndarray) -> np.ndarray:
    return _SCALES * (x - 1)


ROSENBROCK_START = np.array([-1.2, 1.0, -1.2, 1.0])
FUNCTIONS = [
    (_rosenbrock, _rosenbrock_gradient, ROSENBROCK_START),
    (_quadratic, _quadratic_gradient, np.linspace(-2, 2, 10)),
]


def _minimize(
    opt: Optimizer, function: Callable[[Any], Any], start: np.ndarray, steps: int
) -> np.ndarray:
    """Return all points, the start too."""

    def step(state: Any, _: None) -> tuple[Any, Any]:
        extra: dict[str, Any] = {"loss_fn": function} if "loss_fn" in opt.needs else {}
        loss, grad = jax.value_and_grad(function)(opt.get_params(state))
        state = opt.update(state, grad, loss=loss, **extra)
        return state, opt.get_params(state)

    run = jax.jit(lambda x: jax.lax.scan(step, opt.init(x), length=steps)[1])
    return np.concatenate([start[None], np.asarray(run(start))])


def _steps_to(points: np.ndarray, function: Callable[[Any], Any]) -> int:
    """Return steps until the function is below 1e-6, or one more than there are."""
    # Where a rate is too large there is no number in the end.
    with np.errstate(all="ignore"):
        below = [float(function(np.float64(x))) < 1e-6 for x in points]
    return below.index(True) if any(below) else len(points)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "_", "start"), FUNCTIONS)
def test_lbfgs_minimizes_in_far_fewer_steps_than_gradient_descent(
    function: Callable[[Any], Any], _: Any, start: np.ndarray
) -> None:
    start = start.astype(np.float32)
    quick = _steps_to(_minimize(LBFGS(), function, start, 80), function)
    assert quick <= 60
    for rate in (3e-4, 1e-3, 3e-3, 0.03, 0.19):
        slow = _minimize(SGD(learning_rate=rate), function, start, 5 * quick)
        assert _steps_to(slow, function) > 5 * quick


@pytest.mark.parametrize("memory_size", [2, 10])
@pytest.mark.parametrize(("function", "gradient", "start"), FUNCTIONS)
def test_every_step_satisfies_the_wolfe_conditions(
    function: Callable[[Any], Any],
    gradient: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    memory_size: int,
) -> None:
    with jax.enable_x64(True):
        points = _minimize(LBFGS(memory_size=memory_size), function, start, 40)
    tested = 0
    for old, new in itertools.pairwise(points):
        # Below, the search may take a step that is as low as can be told.
        if function(old) < 1e-10:
            break
        slope = gradient(old) @ (new - old)
        assert slope < 0
        # The constants of Nocedal & Wright, section 3.1.
        assert function(new) <= function(old) + 1e-4 * slope
        assert abs(gradient(new) @ (new - old)) <= 0.9 * abs(slope)
        tested += 1
    assert tested >= 10


def test_a_search_of_one_step_takes_it_as_it_is() -> None:
    # The first step has length one, past the minimum at zero and far up again.
    def bowl(x: Any) -> Any:
        return 50 * (x**2).sum()

    start = np.array([0.03, 0.04])
    with jax.enable_x64(True):
        tried, searched = (
            _minimize(LBFGS(max_linesearch_steps=n), bowl, start, 1)[1] for n in (1, 20)
        )
    np.testing.assert_allclose(tried, [0.03 - 0.6, 0.04 - 0.8], rtol=1e-12)
    assert bowl(searched) < 0.9 * bowl(start)


@pytest.mark.parametrize("opt", [LBFGS(), Sophia()])
@pytest.mark.parametrize("params", [{}, {"a": np.zeros((0, 3), np.float32)}])
def test_a_loss_of_nothing_is_a_typed_error(opt: Optimizer, params: Any) -> None:
    name = type(opt).__name__
    with pytest.raises(LoptError, match=rf"{name} has nothing to .* shapes \[.*\]"):
        opt.init(params)
    # One number is enough.
    opt.init(params | {"c": np.ones((), np.float32)})


def test_without_a_line_search_nothing_stays_nothing() -> None:
    params = {"a": jnp.zeros((0, 3))}
    opt = LBFGS(learning_rate=0.1)
    state = opt.update(opt.init(params), params, jnp.float32(0))
    assert opt.get_params(state)["a"].shape == (0, 3)
