"""VeLO: published steps, every setting, and a float64 version written by hand."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.hyper_v2 import HyperV2
from tests.learned_optimizers import golden
from tests.learned_optimizers.golden import every_way, golden_run, worst_difference
from tests.learned_optimizers.reference_hyper import Hyper

SMALL: dict[str, Any] = {
    "lstm_hidden_size": 16,
    "param_inits": 8,
    "use_bugged_loss_features": False,
}
VELO_S: dict[str, Any] = {
    **SMALL,
    "lstm_hidden_size": 64,
    "param_inits": 32,
    "ff_mult": 1.0,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "HyperV2": {},
    "HyperV2_small": SMALL,
    "HyperV2_small_bugged_loss": {**SMALL, "use_bugged_loss_features": True},
    "HyperV2_small_bugged_lstm": {**SMALL, "use_bugged_next_lstm_state": True},
    "HyperV2_small_precondition_decay_clip": {
        **SMALL,
        "precondition_output": True,
        "rnn_state_decay": 0.1,
        "clip_param_scale_amount": 0.05,
        "step_mult": 1e-5,
    },
    "HyperV2_small_validation": {
        **SMALL,
        "with_validation_feature_dim": True,
        "validation_mode": True,
    },
    "velo_s__tree": VELO_S,
    "velo_s__mlp": VELO_S,
}
SHAPES = {"w": (4, 3), "b": (3,), "kernel": (2, 2, 3, 5), "scale": (), "row": (1, 6)}


def problem(updates: int = 5) -> tuple[Any, list[Any], list[float]]:
    """Return parameters, gradients and losses."""
    draw = np.random.default_rng(0)

    def tree(scale: float) -> Any:
        return {
            k: np.asarray(draw.normal(size=s) * scale, np.float32)
            for k, s in SHAPES.items()
        }

    losses = [2.0, 1.5, 1.6, 9.0, 1.2, 1.0][:updates]
    # The last gradient but one is clipped.
    scales = [0.1, 0.03, 1.0, 2000.0, 0.1, 0.1][:updates]
    return tree(0.5), [tree(scale) for scale in scales], losses


def noisy(theta: Any, scale: float = 0.3) -> Any:
    """Return meta-parameters of the same names and shapes, no two of them alike."""
    draw = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: np.asarray(draw.normal(size=x.shape) * scale, np.float32), theta
    )


def trained(opt: Any, num_steps: int = 20) -> list[Any]:
    """Return the parameters after each update of the problem."""
    params, grads, losses = problem()
    state, history = opt.init(params, num_steps=num_steps), []
    update = jax.jit(lambda state, grad, loss: opt.update(state, grad, loss=loss))
    for grad, loss in zip(grads, losses, strict=True):
        state = update(state, grad, loss)
        history.append(opt.get_params(state))
    return history


def assert_same_steps(got: list[Any], want: list[Any], before: Any) -> None:
    """Compare parameters after each update, in units of how far they moved."""
    for ours, theirs in zip(got, want, strict=True):
        for k in SHAPES:
            change = np.max(np.abs(theirs[k] - before[k]))
            assert change > 1e-6
            apart = np.max(np.abs(ours[k] - theirs[k]))
            assert apart < 1e-3 * change + 2e-7


def one_step(lopt: Any, theta: Any, loss: float = 2.0) -> Any:
    """Return what one update subtracts from each parameter, float64."""
    params, grads, _ = problem()

    @jax.jit
    def update(theta: Any, loss: Any) -> Any:
        opt = lopt.opt_fn(theta)
        state = opt.init(params, num_steps=20)
        return opt.get_params(opt.update(state, grads[0], loss=loss))

    new = update(theta, loss)
    return jax.tree.map(lambda old, new: np.float64(old) - new, params, new)


def of_reference(reference: Any) -> list[Any]:
    _, grads, losses = problem()
    pairs = zip(grads, losses, strict=True)
    return [dict(reference.update(grad, loss)) for grad, loss in pairs]


@every_way(SETTINGS, in_ci=["HyperV2_small_validation", "velo_s__tree"])
def test_published_steps(name: str, way: Any) -> None:
    lopt = HyperV2(**SETTINGS[name])
    assert worst_difference(lopt, golden_run(name), way) < 1e-4


@pytest.mark.slow
def test_published_state() -> None:
    run = golden_run("HyperV2_small")
    state = golden.final_state(HyperV2(**SMALL), run)
    for part in ("hidden", "cell"):
        got = getattr(state.lstm_hidden_state, part)
        np.testing.assert_allclose(got, run.state[f"lstm_hidden_state|{part}"], 1e-3)
    for part in ("means", "running_min", "decays", "iteration"):
        got = getattr(state.loss_buffer, part)
        np.testing.assert_allclose(got, run.state[f"loss_buffer|{part}"], 1e-5)
    assert state.iteration == run.state["iteration"]
    assert state.num_steps == run.state["num_steps"]
    # Scalars last, in flattening order; kernels first.
    first, last = state.accumulators[0], state.accumulators[-1]
    kept = 1e-4, 1e-9
    m = np.moveaxis(run.state["mom_rolling|m|conv|w"], -1, 0)
    np.testing.assert_allclose(first.momentum, m, *kept)
    row = np.moveaxis(run.state["fac_rolling|v_row|conv|w"], -1, 0)
    np.testing.assert_allclose(first.row.squeeze(4), row, *kept)
    diagonal = run.state["fac_rolling|v_diag|scale"]
    np.testing.assert_allclose(last.diagonal[:, 0], diagonal, *kept)


@pytest.mark.slow
def test_steps_are_those_of_float64() -> None:
    lopt = HyperV2(lstm_hidden_size=6, param_inits=3, use_bugged_loss_features=False)
    theta, params = noisy(lopt.init(jax.random.PRNGKey(0))), problem()[0]
    reference = Hyper(theta, params, 20, celo=False, ff_mult=100.0)
    assert_same_steps(trained(lopt.opt_fn(theta)), of_reference(reference), params)


def test_meta_parameters_have_published_names_and_shapes() -> None:
    shapes = jax.eval_shape(HyperV2().init, jax.random.PRNGKey(0))
    found = {
        "|".join(str(part.key) for part in path): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
    }
    widths = (1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3)
    blocks = {f"ff_mod_stack|~|w0__{i}": (64, w, 4) for i, w in enumerate(widths)}
    linear = {
        f"rnn_params|{name}|{part}": shape
        for name in ("linear", "linear_1", "linear_2")
        for part, shape in (("w", (30, 128)), ("b", (128,)))
    }
    assert found == {
        **blocks,
        **linear,
        "ff_mod_stack|~|b0": (64, 4),
        "ff_mod_stack|~|b1": (64, 4),
        "ff_mod_stack|~|b2": (64, 3),
        "ff_mod_stack|~|w1": (64, 4, 4),
        "ff_mod_stack|~|w2": (64, 4, 3),
        "lstm_init_state|hidden": (1, 128),
        "lstm_init_state|cell": (1, 128),
        "rnn_params|rnn/linear|w": (256, 512),
        "rnn_params|rnn/linear|b": (512,),
        "rnn_params|rnn_to_controls|w": (128, 64),
        "rnn_params|rnn_to_controls|b": (64,),
        "rnn_params|step_size|w": (128, 1),
        "rnn_params|step_size|b": (1,),
    }


# How many blocks and features remain of 14 and 30.
ABLATIONS = {
    "with_g": (13, 29),
    "with_m": (13, 27),
    "with_m_feat": (13, 27),
    "with_rms": (13, 29),
    "with_rms_feat": (13, 29),
    "with_rms_norm_g": (13, 27),
    "with_rsqrt_rms": (13, 29),
    "with_p": (13, 29),
    "with_fac_norm_g": (13, 27),
    "with_fac_rms": (12, 24),
    "with_fac_rsqrt": (12, 24),
    "with_grad_clip_feat": (13, 29),
    "with_fac_mom_mult": (13, 27),
    "with_rms_only_norm_g": (13, 29),
    "adafactor_accumulator": (9, 15),
}


@pytest.mark.parametrize("flag", ABLATIONS)
def test_a_feature_left_out_has_no_weights(flag: str) -> None:
    lopt = HyperV2(**{**SMALL, flag: False})
    theta = jax.eval_shape(lopt.init, jax.random.PRNGKey(0))
    bank = theta["ff_mod_stack"]["~"]
    num_blocks, num_features = ABLATIONS[flag]
    blocks = [bank[f"w0__{i}"] for i in range(num_blocks)]
    assert f"w0__{num_blocks}" not in bank
    assert sum(block.shape[1] for block in blocks) == num_features


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "blocks"),
    [
        ("with_p", [2]),
        ("with_rms_norm_g", [5]),
        ("with_fac_rms", [9, 10]),
        ("adafactor_accumulator", [9, 10, 11, 12, 13]),
    ],
)
def test_a_feature_left_out_is_one_of_weight_zero(flag: str, blocks: list[int]) -> None:
    whole = HyperV2(**SMALL)
    theta = noisy(whole.init(jax.random.PRNGKey(0)))
    bank = theta["ff_mod_stack"]["~"]
    for i in blocks:
        bank[f"w0__{i}"] = np.zeros_like(bank[f"w0__{i}"])
    kept = [bank[f"w0__{i}"] for i in range(14) if i not in blocks]
    less = {k: v for k, v in bank.items() if not k.startswith("w0__")}
    less |= {f"w0__{i}": block for i, block in enumerate(kept)}
    without = HyperV2(**{**SMALL, flag: False})
    other = {**theta, "ff_mod_stack": {"~": less}}
    got, want = trained(without.opt_fn(other)), trained(whole.opt_fn(theta))
    assert_same_steps(got, want, problem()[0])


@pytest.mark.slow
def test_settings_that_scale_steps() -> None:
    base = HyperV2(**SMALL)
    theta = noisy(base.init(jax.random.PRNGKey(0)))
    params, grads, _ = problem()

    def with_(**settings: Any) -> Any:
        return one_step(dataclasses.replace(base, **settings), theta)

    plain = with_(step_mult=1.0)
    for k, p in params.items():
        scale = np.sqrt(np.mean(np.float64(p) ** 2) + 1e-9)
        close = 1e-3, 1e-3 * np.max(np.abs(plain[k]))
        free = with_(step_mult=1.0, param_scale_mult=False)
        np.testing.assert_allclose(free[k] * scale, plain[k], *close)
        clipped = with_(step_mult=1.0, clip_param_scale_amount=1e-3)
        share = min(scale, 1e-3 * np.sqrt(p.size)) / scale
        np.testing.assert_allclose(clipped[k], share * plain[k], *close)
        divided = with_(step_mult=1.0, precondition_output=True)
        root = np.sqrt(0.001 * np.float64(grads[0][k]) ** 2 + 1e-6)
        np.testing.assert_allclose(divided[k] * root, plain[k], *close)


@pytest.mark.slow
def test_a_constant_loss_hides_the_losses() -> None:
    lopt = HyperV2(**SMALL, constant_loss=True)
    theta = noisy(lopt.init(jax.random.PRNGKey(0)))
    opt, (params, grads, losses) = lopt.opt_fn(theta), problem()

    @jax.jit
    def run(losses: Any) -> Any:
        state = opt.init(params, num_steps=20)
        for grad, loss in zip(grads[:3], losses[:3], strict=True):
            state = opt.update(state, grad, loss=loss)
        return state

    one, other = run(losses), run([7 * loss for loss in losses])
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.slow
def test_without_mixing_the_lstm_reads_the_rows_themselves() -> None:
    lopt = HyperV2(**SMALL, mix_layers=False)
    theta = lopt.init(jax.random.PRNGKey(0))
    assert sorted(theta["rnn_params"]) == ["rnn/linear", "rnn_to_controls", "step_size"]
    assert theta["rnn_params"]["rnn/linear"]["w"].shape == (30 + 16, 64)
    step = one_step(lopt, theta)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(step))


@pytest.mark.slow
def test_it_needs_the_loss_and_the_number_of_steps() -> None:
    lopt = HyperV2(**SMALL)
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    params = {"w": jnp.ones((2, 3))}
    with pytest.raises(LoptError, match="num_steps"):
        opt.init(params)
    with pytest.raises(LoptError, match="loss"):
        opt.update(opt.init(params, num_steps=3), params)
