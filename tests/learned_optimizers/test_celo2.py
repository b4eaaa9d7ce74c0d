"""Celo2 and Celo2Base: the published steps, plain arithmetic, routing and rates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.celo2 import Celo2, Celo2Base
from learned_optimization.optimizers.learning_rate_schedules import (
    CosineLearningRateSchedule,
    ExpDecay,
)
from tests.learned_optimizers import reference_adafactor as plain
from tests.learned_optimizers.golden import (
    TOLERANCE,
    GoldenRun,
    every_way,
    golden_run,
    made_run,
    shaken,
    step_by_step,
    worst_difference,
)
from tests.tasks.conftest import quick_compilation  # noqa: F401

CELO2 = Celo2(regex_1d="/b$", adam_b2=0.95)
RUNS: dict[str, Any] = {
    "celo2__mlp": CELO2,
    "celo2base__mlp": Celo2Base(),
    "celo2__big": CELO2,
    "celo2__square": CELO2,
    "celo2__tree": CELO2,
    "celo2_wd_embed__tree": Celo2(
        regex_1d="/b$|.*embed.*", adam_b2=0.95, step_mult=0.01, weight_decay=0.1
    ),
    "celo2base__big": Celo2Base(),
    "celo2base__square": Celo2Base(),
    "celo2base__tree": Celo2Base(),
    "celo2base_wd__mlp": Celo2Base(step_mult=0.01, weight_decay=0.1),
    "celo2base_wd__tree": Celo2Base(step_mult=0.01, weight_decay=0.1),
}
QUICK = list(RUNS)[:2]


def theta_of(lopt: Any) -> Any:
    return shaken(lopt.init(jax.random.PRNGKey(0)))


@pytest.mark.parametrize("name", QUICK)
def test_steps_are_the_published(name: str) -> None:
    assert worst_difference(RUNS[name], golden_run(name)) < TOLERANCE


@every_way(RUNS, in_ci=["celo2__mlp", "celo2_wd_embed__tree"])
def test_steps_are_the_published_in_every_way(name: str, way: Any) -> None:
    assert worst_difference(RUNS[name], golden_run(name), way) < TOLERANCE


BASE = [
    {},
    {"weight_decay": 0.2, "bias_correction": True},
    {"normalize_input": False, "mlp_activation": "tanh"},
    {
        "normalize_output": False,
        "param_scale_mult": True,
        "exp_mult": 0.4,
        "aggregate_mag": True,
    },
    {"precondition_output": True, "bias_correction": True, "rmsmult": 0.3},
    {"orthogonalize": True, "exp_mult": 0.2},
]


@pytest.mark.parametrize(
    "settings",
    [
        *BASE[:2],
        *(pytest.param(settings, marks=pytest.mark.slow) for settings in BASE[2:]),
    ],
    ids=lambda settings: "-".join(settings) or "defaults",
)
def test_steps_are_those_of_plain_arithmetic(settings: dict[str, Any]) -> None:
    settings = {"step_mult": 0.01, "weight_decay": 0.0, **settings}
    lopt = Celo2Base(**settings)
    run = made_run(theta_of(lopt), plain.celo2, **settings)
    assert worst_difference(lopt, run) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("correct", [False, True])
def test_matrices_are_orthogonalized_and_biases_follow_adam(correct: bool) -> None:
    settings = {
        "step_mult": 0.01,
        "weight_decay": 0.1,
        "mult_1d": 3.0,
        "adam_b1": 0.8,
        "adam_b2": 0.99,
        "adam_epsilon": 1e-4,
        "adam_bias_correction": correct,
    }
    lopt = Celo2(regex_1d="^b$|scal", **settings)
    adam, orthogonalize = ("b", "scalar"), True
    run = made_run(
        theta_of(lopt), plain.celo2, adam=adam, orthogonalize=orthogonalize, **settings
    )
    assert worst_difference(lopt, run) < TOLERANCE


def test_large_gradients_are_clipped_for_the_learned_rule_alone() -> None:
    params = {"b": np.ones(3, np.float32), "w": np.ones((3, 2), np.float32)}

    def after(size: float) -> Any:
        lopt = Celo2(regex_1d="b", adam_b2=0.9)
        opt = lopt.opt_fn(theta_of(lopt))
        grad = jax.tree.map(lambda p: size * p, params)
        state = jax.jit(opt.update)(opt.init(params), grad)
        return state.averages

    (b, w), (b_large, w_large) = after(1000.0), after(5000.0)
    np.testing.assert_array_equal(w_large.rms, w.rms)
    np.testing.assert_allclose(b_large.second, 25 * b.second, 1e-6)


PARAMS = {
    "b": np.ones(2, np.float32),
    "embedding": {"w": np.ones((2, 2), np.float32)},
    "mlp/~/linear_0": {"b": np.ones(2, np.float32), "w": np.ones((2, 2), np.float32)},
    "none": np.ones((0, 2), np.float32),
    "of": [{"bias": np.ones(2, np.float32)}],
}


@pytest.mark.parametrize(
    ("regex", "adam"),
    [
        (".*bias.*|.*embed.*", ["embedding/w", "of/0/bias"]),
        ("/b$", ["mlp/~/linear_0/b"]),
        ("^b$", ["b"]),
        ("linear", ["mlp/~/linear_0/b", "mlp/~/linear_0/w"]),
        ("0/bias", ["of/0/bias"]),
        ("", []),
    ],
)
def test_tensors_are_routed_by_name(regex: str, adam: list[str]) -> None:
    paths = ["b", "embedding/w", "mlp/~/linear_0/b", "mlp/~/linear_0/w", "of/0/bias"]
    found = Celo2(regex_1d=regex).follows_adam(PARAMS)
    assert [path for path, is_adam in zip(paths, found, strict=True) if is_adam] == adam
    assert not any(Celo2Base().follows_adam(PARAMS))


def run_of(lopt: Any, num: int = 3) -> GoldenRun:
    settings: dict[str, Any] = {"step_mult": 0.01, "weight_decay": 0.0}
    return made_run(theta_of(lopt), plain.celo2, num=num, **settings)


@pytest.mark.slow
def test_a_schedule_sets_the_rate_of_every_update() -> None:
    schedule = ExpDecay(0.1, rate=0.5)
    run = run_of(Celo2Base())
    got = step_by_step(Celo2Base(step_mult=schedule), run.theta, run)
    for i in range(len(run.losses)):
        alone = step_by_step(Celo2Base(step_mult=schedule(i)), run.theta, run)
        for name, values in got.items():
            np.testing.assert_allclose(values[i], alone[name][i], 1e-6)


@pytest.mark.slow
def test_the_rate_in_the_state_is_the_rate() -> None:
    run = run_of(CELO2)
    opt = CELO2.opt_fn(run.theta)
    before = opt.init(run.params)
    grad = jax.tree.map(lambda g: g[0], run.grads)
    update = jax.jit(opt.update)
    once = update(before, grad).params
    twice = update(before.replace(step_mult=jnp.asarray(2e-3)), grad).params
    for name, p in run.params.items():
        np.testing.assert_allclose(twice[name] - p, 2 * (once[name] - p), 1e-3, 1e-7)


def test_a_schedule_over_the_run_needs_its_length() -> None:
    lopt = Celo2(step_mult=CosineLearningRateSchedule(learning_rate=0.1))
    opt = lopt.opt_fn(theta_of(lopt))
    with pytest.raises(LoptError, match="num_steps"):
        opt.init(PARAMS)
    state = opt.init(PARAMS, num_steps=100)
    assert state.num_steps == 100
    assert not Celo2().needs


@pytest.mark.parametrize(
    ("flag", "blocks"),
    [
        pytest.param("with_m", [3], marks=pytest.mark.slow),
        *(
            pytest.param(flag, blocks, marks=pytest.mark.exhaustive)
            for flag, blocks in {
                "with_g": [0],
                "with_grad_clip_feat": [1],
                "with_p": [2],
                "with_rms": [4],
                "with_rms_norm_g": [5],
                "with_rsqrt_rms": [6],
                "with_fac_norm_g": [7],
                "with_rms_only_norm_g": [8],
                "with_fac_rms": [9, 10],
                "with_fac_rsqrt": [11, 12],
                "with_fac_mom_mult": [13],
            }.items()
        ),
    ],
)
def test_features_left_out_have_no_weights(flag: str, blocks: list[int]) -> None:
    """The rest steps as with weights of zero there."""
    left_out: dict[str, Any] = {flag: False}
    whole, without = Celo2Base(), Celo2Base(**left_out)
    run = run_of(whole, num=2)
    nn = run.theta["ff_mod_stack"]["~"]
    kept = [i for i in range(14) if i not in blocks]
    fewer = {name: x for name, x in nn.items() if not name.startswith("w0__")}
    fewer |= {f"w0__{new}": nn[f"w0__{old}"] for new, old in enumerate(kept)}
    shapes = jax.tree.map(np.shape, without.init(jax.random.PRNGKey(0)))
    assert shapes == {"ff_mod_stack": {"~": jax.tree.map(np.shape, fewer)}}
    zeroed = nn | {f"w0__{i}": np.zeros_like(nn[f"w0__{i}"]) for i in blocks}
    got = step_by_step(without, {"ff_mod_stack": {"~": fewer}}, run)
    want = step_by_step(whole, {"ff_mod_stack": {"~": zeroed}}, run)
    for name, values in got.items():
        np.testing.assert_allclose(values, want[name], 1e-5, 1e-6)


def test_meta_parameters_are_the_published_and_alike() -> None:
    theta, base = (x.init(jax.random.PRNGKey(0)) for x in (Celo2(), Celo2Base()))
    assert sum(x.size for x in jax.tree.leaves(theta)) == 347
    assert jax.tree.map(jnp.shape, theta) == jax.tree.map(jnp.shape, base)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(LoptError, match=r"regex_1d must be a regular expression"):
        Celo2(regex_1d="(")
    with pytest.raises(LoptError, match=r"mlp_activation must be relu or tanh"):
        Celo2Base(mlp_activation="gelu")
    with pytest.raises(LoptError, match=r"Celo2 multiplies every momentum"):
        Celo2(initial_momentum_decays=(0.9, 0.99))
