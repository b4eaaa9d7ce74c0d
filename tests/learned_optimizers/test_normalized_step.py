"""NormalizedStepLOpt against plain arithmetic, and what its form promises."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.normalized_step import NormalizedStepLOpt
from tests.learned_optimizers.golden import shaken
from tests.learned_optimizers.reference_networks import float64, network
from tests.tasks.conftest import quick_compilation  # noqa: F401

Arrays = dict[str, np.ndarray]

NUM_STEPS = 12
DECAYS = (0.5, 0.9, 0.99)
SHAPES: dict[str, tuple[int, ...]] = {
    "conv": (3, 3, 2, 4),
    "linear": (4, 7),
    "bias": (7,),
    "token": (1, 1, 6),
    "scale": (),
}


def rms(x: np.ndarray) -> Any:
    return np.sqrt(np.mean(x**2))


def schedule(t: int, length: int) -> float:
    """Return the share of the largest step: up over 5% of the run, then a cosine."""
    warm = 0.05 * length
    if t < warm:
        return (t + 1) / max(warm, 1)
    return 0.5 * (1 + np.cos(np.pi * min(1, (t - warm) / (length - warm))))


def law(theta: Any, shape: tuple[int, ...]) -> float:
    """Return what widths and depths multiply: two of the tensors are matrices."""
    fan_in = {"conv": 18, "linear": 4}
    (name,) = [name for name, other in SHAPES.items() if other == shape]
    width = (fan_in[name] / 32) ** -theta["fan_in_exponent"] if name in fan_in else 1
    return width * (2 / 2) ** -theta["matrices_exponent"]


def farther(theta: Any, param: np.ndarray, agreement: float) -> float:
    """Return what the statistics of a tensor multiply."""
    kind = 0 if np.prod(param.shape[:-1]) > 1 else 1
    bounded = np.clip(np.log([max(rms(param), 1e-12) / 0.1, agreement]), -3, 3)
    exponents = [theta["rms_exponents"][kind], theta["agreement_exponents"][kind]]
    # Of the tensors here one is a convolution, of 3x3 positions with two inputs each.
    positions = (2 if param.ndim == 4 else 1) ** theta["positions_exponent"]
    return positions * np.exp(bounded @ exponents + 3 * kind * theta["vector_size"])


def plain(
    theta: Any,
    params: Arrays,
    grads: Sequence[Arrays],
    length: int = NUM_STEPS,
    gradient_weight: float = 0.0,
) -> Iterator[Arrays]:
    """Yield the parameters after each update, in float64, features in a row."""
    theta, params = float64(theta), float64(params)
    m = {name: [np.zeros(p.shape) for _ in DECAYS] for name, p in params.items()}
    v = {name: np.zeros(p.shape) for name, p in params.items()}
    for t, grad in enumerate(grads):
        time = [np.tanh(10 * (t / length - s)) for s in (0.03, 0.1, 0.2, 0.4)]
        time += [np.tanh(10 * (t / length - s)) for s in (0.6, 0.8, 0.9, 1.0)]
        time += [np.tanh(np.log((t + 1) / c)) for c in (1, 10, 100, 1000)]
        for name, p in params.items():
            g = float64(grad[name])
            m[name] = [
                d * x + (1 - d) * g for d, x in zip(DECAYS, m[name], strict=True)
            ]
            v[name] = 0.99 * v[name] + 0.01 * g**2
            # Averages corrected for bias; of noise of unit mean square, their variance.
            square = v[name] / (1 - 0.99 ** (t + 1))
            means = [g] + [
                x / np.sqrt((1 - d) / (1 + d) * (1 - d ** (2 * t + 2)))
                for d, x in zip(DECAYS, m[name], strict=True)
            ]
            square_plus = square + 1e-8 * square.mean()
            each = [x / np.sqrt(square_plus) for x in means]
            whole = [np.clip(x / np.sqrt(square.mean()), -10, 10) for x in means]
            own = np.clip(p / rms(p), -10, 10) if p.any() else p
            share = np.tanh(0.25 * np.log(square_plus / square.mean()))
            read = np.stack([share, own, *each, *whole], -1).reshape(-1, 10)
            read = np.concatenate([read, np.tile(time, (len(read), 1))], 1)
            d = each[2] + gradient_weight * each[0]
            d += network(theta["network"], read).reshape(p.shape)
            size = 5e-3 * schedule(t, length) * np.exp(3 * theta["size"])
            if "vector_size" in theta:
                size *= farther(theta, p, rms(means[1]) / np.sqrt(square.mean()))
            params[name] = p - size * law(theta, p.shape) * d / rms(d)
        yield dict(params)


def drawn(seed: int, scale: float = 1.0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(scale * rng.normal(size=shape), np.float32)
        for name, shape in SHAPES.items()
    }


@jax.jit
def update(opt: Any, state: Any, grad: Any) -> Any:
    return opt.update(state, grad)


def run(
    lopt: NormalizedStepLOpt,
    theta: Any,
    params: Any,
    grads: Sequence[Any],
    length: int = NUM_STEPS,
) -> list[Any]:
    """Return the parameters after each update."""
    opt = lopt.opt_fn(theta)
    state, after = opt.init(params, num_steps=length), []
    for grad in grads:
        state = update(opt, state, grad)
        after.append(opt.get_params(state))
    return after


GRADS = [drawn(i, 10.0 ** (i % 3 - 1)) for i in range(NUM_STEPS)]


@pytest.fixture(scope="module")
def theta() -> Any:
    made = NormalizedStepLOpt(initial_output_scale=1.0).init(jax.random.PRNGKey(1))
    return shaken(made, 0.1, 0)


@pytest.mark.parametrize(
    ("tensor_lengths", "gradient_weight"), [(False, 0.0), (True, 0.7)]
)
def test_steps_are_those_of_plain_arithmetic(
    theta: Any, tensor_lengths: bool, gradient_weight: float
) -> None:
    lopt = NormalizedStepLOpt(
        tensor_lengths=tensor_lengths, gradient_weight=gradient_weight
    )
    # Exponents of zero would say nothing.
    others = shaken(lopt.init(jax.random.PRNGKey(1)), 0.1, 2)
    theta = {**others, **theta}
    assert ("vector_size" in theta) == tensor_lengths
    before = params = drawn(100, 0.1)
    # The least that the logarithm can be is of a tensor of zeros.
    params["bias"] = before["bias"] = np.zeros(7, np.float32)
    ours = run(lopt, theta, params, GRADS)
    exact = plain(theta, params, GRADS, gradient_weight=gradient_weight)
    for got, want in zip(ours, exact, strict=True):
        for name, value in want.items():
            # Of parameters near 0.1, and in float32.
            bound = 1e-3 * rms(value - before[name]) + 1e-6
            np.testing.assert_allclose(got[name], value, 0, bound, err_msg=name)
        before = want


def test_without_learning_it_is_normalized_adam() -> None:
    lopt = NormalizedStepLOpt(initial_output_scale=0.0, step_mult=0.009)
    params, m, v = drawn(100), 0.0, 0.0
    after = run(lopt, lopt.init(jax.random.PRNGKey(0)), params, GRADS)
    before = params["linear"]
    for t, (grad, now) in enumerate(zip(GRADS, after, strict=True)):
        g = np.float64(grad["linear"])
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        adam = m / (1 - 0.9 ** (t + 1)) / np.sqrt(v / (1 - 0.99 ** (t + 1)))
        length = 0.009 * schedule(t, NUM_STEPS) * np.sqrt(32 / 4)
        np.testing.assert_allclose(
            before - now["linear"], length * adam / rms(adam), 1e-3, 1e-6
        )
        before = now["linear"]


def test_with_some_of_the_gradient_it_is_nadam_beyond_the_start() -> None:
    lopt = NormalizedStepLOpt(initial_output_scale=0.0, gradient_weight=0.485)
    params, grads = drawn(100), [drawn(i) for i in range(60)]
    after = run(lopt, lopt.init(jax.random.PRNGKey(0)), params, grads, 600)
    g = m = v = np.zeros((4, 7))
    for grad in grads:
        g = np.float64(grad["linear"])
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
    nadam = (0.9 * m + 0.1 * g) / np.sqrt(v)
    moved = after[-2]["linear"] - after[-1]["linear"]
    np.testing.assert_allclose(moved / rms(moved), nadam / rms(nadam), 0, 5e-3)


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_no_unit_of_gradients_or_parameters_matters(theta: Any, scale: float) -> None:
    lopt, zeros = (
        NormalizedStepLOpt(),
        {k: np.float32(0 * v) for k, v in GRADS[0].items()},
    )
    scaled = [{k: np.float32(scale * v) for k, v in grad.items()} for grad in GRADS]
    want = run(lopt, theta, zeros, GRADS[:3])[-1]
    got = run(lopt, theta, zeros, scaled[:3])[-1]
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, 1e-3, 1e-6, err_msg=name)
    # Parameters of the second's size would swallow a step in float32.
    small = drawn(100, 1e-3)
    moved = {
        factor: jax.tree.map(
            lambda now, old: now - old,
            run(lopt, theta, start, GRADS[:1])[0],
            start,
        )
        for factor in (1.0, 8.0)
        for start in [{k: np.float32(factor * v) for k, v in small.items()}]
    }
    for name, value in moved[1.0].items():
        np.testing.assert_allclose(moved[8.0][name], value, 1e-3, 1e-6, err_msg=name)


def test_what_never_had_a_gradient_does_not_move(theta: Any) -> None:
    params = drawn(100)
    grads = [{**grad, "linear": np.zeros((4, 7), np.float32)} for grad in GRADS[:3]]
    after = run(NormalizedStepLOpt(), theta, params, grads)[-1]
    np.testing.assert_array_equal(after["linear"], params["linear"])
    assert np.abs(after["bias"] - params["bias"]).min() > 0


def test_it_is_still_beyond_the_length_of_the_run(theta: Any) -> None:
    *_, before, end, beyond = run(
        NormalizedStepLOpt(), theta, drawn(100), GRADS[:6], length=4
    )
    assert rms(end["conv"] - before["conv"]) < 1e-6
    np.testing.assert_array_equal(beyond["conv"], end["conv"])


@pytest.mark.parametrize(("correlation", "ratio"), [(1.0, 3**0.5), (-1.0, 3**-0.5)])
def test_gradients_that_agree_carry_farther(correlation: float, ratio: float) -> None:
    """Of one sign their average is sqrt(3) times that of noise, to and fro a third."""
    settings = {"tensor_lengths": True, "initial_output_scale": 0.0}
    lopt = NormalizedStepLOpt(initial_agreement_exponent=1.0, **settings)
    grad = np.random.default_rng(0).choice([-1.0, 1.0], size=(8, 6)).astype(np.float32)
    grads = [{"x": correlation**t * grad} for t in range(40)]
    start = {"x": np.ones((8, 6), np.float32)}
    moved = []
    for each in (lopt, NormalizedStepLOpt(**settings)):
        theta = each.init(jax.random.PRNGKey(0))
        *_, before, after = run(each, theta, start, grads, 400)
        moved.append(rms(after["x"] - before["x"]))
    assert moved[0] / moved[1] == pytest.approx(ratio, rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "ratio"),
    [
        ((3, 3, 16, 8), 9.0),
        ((3, 3, 4, 8), 4.0),
        ((4, 4, 1, 8), 1.0),
        ((16, 2, 8), 1.0),
        ((16, 8), 1.0),
    ],
)
def test_kernels_move_farther_by_their_positions(
    shape: tuple[int, ...], ratio: float
) -> None:
    grad = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    start, moved = {"x": np.zeros(shape, np.float32)}, []
    for exponent in (0.0, 1.0):
        lopt = NormalizedStepLOpt(
            tensor_lengths=True, initial_positions_exponent=exponent
        )
        moved.append(
            rms(run(lopt, lopt.init(jax.random.PRNGKey(0)), start, [grad])[0]["x"])
        )
    assert moved[1] / moved[0] == pytest.approx(ratio, rel=1e-4)


@pytest.mark.slow
def test_steps_shrink_with_widths_and_depths_as_the_exponents_say(theta: Any) -> None:
    theta = {**theta, "fan_in_exponent": 0.7, "matrices_exponent": 1.3, "size": 0.0}

    def size_of_step(fan_in: int, matrices: int) -> float:
        rng = np.random.default_rng(0)
        grad = {str(i): rng.normal(size=(fan_in, 3)) for i in range(matrices)}
        zeros = {name: np.zeros(g.shape, np.float32) for name, g in grad.items()}
        return rms(np.asarray(run(NormalizedStepLOpt(), theta, zeros, [grad])[0]["0"]))

    assert size_of_step(32, 2) == pytest.approx(5e-3, rel=1e-4)
    assert size_of_step(128, 4) == pytest.approx(5e-3 * 4**-0.7 * 2**-1.3, rel=1e-4)


@pytest.mark.slow
def test_backpropagation_through_steps_is_finite(theta: Any) -> None:
    """Also where a gradient is zero, and where a tensor is."""
    params = {k: np.zeros_like(v) for k, v in drawn(100).items()}
    grads = [{**grad, "linear": np.zeros((4, 7), np.float32)} for grad in GRADS[:2]]

    def end(theta: Any) -> jax.Array:
        opt = NormalizedStepLOpt().opt_fn(theta)
        state = opt.init(params, num_steps=NUM_STEPS)
        for grad in grads:
            state = opt.update(state, grad)
        return sum(
            (jnp.sum(p**2) for p in opt.get_params(state).values()), jnp.zeros([])
        )

    slopes = jax.jit(jax.grad(end))(theta)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    assert float(jnp.abs(slopes["size"])) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum_decays": ()}, "one or more numbers from 0 to below 1"),
        ({"momentum_decays": (0.9, 1.0)}, "from 0 to below 1, got"),
        ({"nominal_momentum": 3}, "0 to 2, got 3"),
    ],
)
def test_settings_that_make_no_program_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoptError, match=message):
        NormalizedStepLOpt(**settings)
