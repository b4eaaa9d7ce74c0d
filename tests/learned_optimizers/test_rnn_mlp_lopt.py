"""RNNMLPLOpt against the published steps, and against plain arithmetic."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.rnn_mlp_lopt import RNNMLPLOpt
from tests.learned_optimizers import reference_networks as plain
from tests.learned_optimizers.golden import (
    TOLERANCE,
    difference,
    final_state,
    first_way,
    golden_run,
    made_run,
    scanned,
    shaken,
    step_by_step,
    worst_difference,
)

SMALL: dict[str, Any] = {
    "hidden_size": 6,
    "hidden_layer": 1,
    "from_mlp_size": 3,
    "from_lstm_size": 4,
    "lstm_to_ff": 5,
    "lstm_hidden_size": 7,
    "decays": (0.5, 0.99),
}


def with_theta(lopt: RNNMLPLOpt) -> tuple[RNNMLPLOpt, Any]:
    return lopt, shaken(lopt.init(jax.random.PRNGKey(0)))


@first_way
@pytest.mark.parametrize("name", ["RNNMLPLOpt", "rnn_mlp__tree", "rnn_mlp__big"])
def test_steps_are_the_published(name: str, way: Any) -> None:
    assert worst_difference(RNNMLPLOpt(), golden_run(name), way) < TOLERANCE


@pytest.mark.slow
def test_steps_on_a_network_are_the_published() -> None:
    """Of its last biases the gradients add up to zero, but for rounding.

    The LSTM reads the sign of the sum: the published steps themselves differ by 1e-4
    between compiled and not.
    """
    run = golden_run("rnn_mlp__mlp")
    got = scanned(RNNMLPLOpt(), run.theta, run)
    early = jax.tree.map(lambda x: x[:6], (got, run.after, run.before))
    assert difference(*early) < TOLERANCE
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 0, 2e-4), got, run.after)


@pytest.mark.slow
def test_the_state_is_the_published() -> None:
    run = golden_run("RNNMLPLOpt")
    state = final_state(RNNMLPLOpt(), run)
    names = ["conv|w", "linear_0|b", "linear_0|w", "linear_1|b", "linear_1|w", "scale"]

    def check(got: Any, name: str) -> None:
        want = run.state[name]
        np.testing.assert_allclose(np.reshape(got, want.shape), want, 1e-3, 1e-6)

    for i, name in enumerate(names):
        check(np.moveaxis(state.momenta[i], 0, -1), f"mom_rolling|m|{name}")
        check(np.moveaxis(state.squares[i], 0, -1), f"rms_rolling|rms|{name}")
        check(state.from_mlp[i], f"from_mlp|{name}")
    check(state.lstm_state.hidden, "lstm_hidden_state|hidden")
    check(state.lstm_state.cell, "lstm_hidden_state|cell")
    check(state.from_lstm, "from_lstm")
    check(state.iteration, "iteration")
    for which in ("train", "valid"):
        for field in ("mean", "var", "updates"):
            got = getattr(getattr(state, f"{which}_loss"), field)
            check(got, f"{which}_loss_accum|{field}")
    check(state.clip.iteration, "dynamic_clip|iteration")
    check(state.clip.value, "dynamic_clip|value")


@pytest.mark.slow
def test_steps_are_those_of_plain_arithmetic() -> None:
    """The size of the LSTM and of the network, and validation losses, included."""
    given: dict[str, Any] = {"step_multiplier": 0.05, "magnitude_rate": 0.3}
    lopt, theta = with_theta(RNNMLPLOpt(**SMALL, **given))
    given |= {"losses": True, "is_valid": True, "decays": SMALL["decays"]}
    run = made_run(theta, plain.rnn_mlp_lopt, **given)
    assert run.is_valid.any()
    for way in (step_by_step, scanned):
        assert worst_difference(lopt, run, way) < TOLERANCE


@pytest.mark.slow
def test_steps_are_those_of_plain_arithmetic_with_default_settings() -> None:
    lopt, theta = with_theta(RNNMLPLOpt())
    run = made_run(theta, plain.rnn_mlp_lopt, losses=True, is_valid=True)
    assert worst_difference(lopt, run) < TOLERANCE


@pytest.mark.slow
def test_large_gradients_are_clipped() -> None:
    """Gradients beyond the bound step as gradients on it; the bound is 10 at first."""
    lopt, theta = with_theta(RNNMLPLOpt(**SMALL))
    opt = lopt.opt_fn(theta)
    state = opt.init({"w": jnp.ones(3)})
    states = [
        opt.update(state, {"w": jnp.asarray([x, -x, 1.0])}, loss=jnp.ones([]))
        for x in (1e4, 10.000001)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5), *states)
    less = opt.update(state, {"w": jnp.asarray([9.0, -9, 1])}, loss=jnp.ones([]))
    assert np.abs(less.momenta[0] - states[0].momenta[0]).max() > 1e-4


@pytest.mark.parametrize("traced", [False, True])
def test_a_validation_loss_is_noted_and_nothing_moves(traced: bool) -> None:
    lopt, theta = with_theta(RNNMLPLOpt(**SMALL))
    opt = lopt.opt_fn(theta)
    before = opt.init({"w": jnp.ones(3)}, model_state={"mean": jnp.zeros([])})

    def update(is_valid: Any) -> Any:
        return opt.update(
            before,
            {"w": jnp.ones(3)},
            loss=jnp.float32(2),
            model_state={"mean": jnp.ones([])},
            is_valid=is_valid,
        )

    after = jax.jit(update)(True) if traced else update(True)
    assert after.valid_loss.updates == after.iteration == 1
    np.testing.assert_allclose(after.valid_loss.mean, 0.1, 1e-6)
    rest = {"valid_loss": before.valid_loss, "iteration": before.iteration}
    jax.tree.map(np.testing.assert_array_equal, after.replace(**rest), before)
    moved = jax.jit(update)(False) if traced else update(False)
    assert moved.valid_loss.updates == 0
    assert not np.array_equal(moved.params["w"], before.params["w"])
    np.testing.assert_array_equal(moved.state["mean"], 1)


def test_stays_finite_when_compiled() -> None:
    """Compiled, the published one divides by zero until it has a validation loss."""
    lopt, theta = with_theta(RNNMLPLOpt(**SMALL))

    @jax.jit
    def run(theta: Any) -> Any:
        opt = lopt.opt_fn(theta)
        state = opt.init({"w": jnp.ones(3)})
        for _ in range(2):
            state = opt.update(state, {"w": jnp.ones(3)}, loss=jnp.ones([]))
        return state

    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run(theta)))


def test_needs_the_loss() -> None:
    lopt, theta = with_theta(RNNMLPLOpt(**SMALL))
    opt = lopt.opt_fn(theta)
    with pytest.raises(LoptError, match="RNNMLPLOpt needs the loss"):
        opt.update(opt.init({"w": jnp.ones(3)}), {"w": jnp.ones(3)})


def test_meta_parameters_are_as_many_as_published() -> None:
    theta = RNNMLPLOpt().init(jax.random.PRNGKey(0))
    assert sum(x.size for x in jax.tree.leaves(theta)) == 35_799
    assert not np.any(theta["lstm_init_state"]["hidden"])


def test_initial_vectors_have_a_variance_of_one_over_their_size() -> None:
    theta = RNNMLPLOpt(from_mlp_size=4000).init(jax.random.PRNGKey(0))
    deviation = np.std(theta["initial_from_mlp"]) * np.sqrt(4000)
    np.testing.assert_allclose(deviation, 1, atol=0.05)
