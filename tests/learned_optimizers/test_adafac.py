"""AdafacMLPLOpt and MLPNomLOpt: the published steps, and plain arithmetic."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.adafac_mlp_lopt import AdafacMLPLOpt
from learned_optimization.learned_optimizers.adafac_nominal import MLPNomLOpt
from tests.learned_optimizers import reference_adafactor as plain
from tests.learned_optimizers.golden import (
    TOLERANCE,
    every_way,
    final_state,
    golden_run,
    made_run,
    shaken,
    step_by_step,
    worst_difference,
)
from tests.tasks.conftest import quick_compilation  # noqa: F401


def nominal(estimator: str) -> MLPNomLOpt:
    return MLPNomLOpt(
        exp_mult=(0.1, 0.1, 0.1),
        nominal_stepsize=0.02,
        nominal_grad_estimator=estimator,
        nominal_controller=True,
        aggregate_magnitude=True,
        aggregate_nom_magnitude=True,
        selfnormalize_blackbox=True,
    )


RUNS: dict[str, Any] = {
    "adafac_mlp__mlp": AdafacMLPLOpt(),
    "MLPNomLOpt_controllers": MLPNomLOpt(
        exp_mult=(0.1, 0.2, 0.3),
        step_mult=0.05,
        nominal_stepsize=0.01,
        weight_decay=0.1,
        nominal_controller=True,
        regularization_controller=True,
        normalize_blackbox=True,
    ),
    "AdafacMLPLOpt": AdafacMLPLOpt(),
    "AdafacMLPLOpt_32_step0.1": AdafacMLPLOpt(
        hidden_size=32, exp_mult=0.1, step_mult=0.1
    ),
    "AdafacMLPLOpt_scalar_math": AdafacMLPLOpt(concat_weights=False),
    "adafac_mlp__square": AdafacMLPLOpt(),
    "adafac_mlp__tree": AdafacMLPLOpt(),
    "MLPNomLOpt": MLPNomLOpt(),
    **{
        f"MLPNomLOpt_nominal_{name}": nominal(name)
        for name in ("SGD", "SGDM", "AggMo", "Adam")
    },
}
QUICK = list(RUNS)[:2]


@pytest.mark.parametrize("name", QUICK)
def test_steps_are_the_published(name: str) -> None:
    assert worst_difference(RUNS[name], golden_run(name)) < TOLERANCE


@every_way(RUNS, in_ci=["AdafacMLPLOpt_32_step0.1", "MLPNomLOpt_controllers"])
def test_steps_are_the_published_in_every_way(name: str, way: Any) -> None:
    assert worst_difference(RUNS[name], golden_run(name), way) < TOLERANCE


def test_the_state_is_the_published() -> None:
    run = golden_run("AdafacMLPLOpt")
    state = final_state(AdafacMLPLOpt(), run)
    names = ["conv|w", "linear_0|b", "linear_0|w", "linear_1|b", "linear_1|w", "scale"]
    for name, acc in zip(names, state.accumulators, strict=True):
        published = {
            "momentum": run.state[f"mom_rolling|m|{name}"],
            "rms": run.state[f"rms_rolling|rms|{name}"],
            "row": run.state[f"fac_rolling_features|v_row|{name}"],
            "col": run.state[f"fac_rolling_features|v_col|{name}"],
            "diagonal": run.state[f"fac_rolling_features|v_diag|{name}"],
        }
        for kind, array in published.items():
            got, want = getattr(acc, kind), np.moveaxis(array, -1, 0)
            if want.size:
                np.testing.assert_allclose(got.reshape(want.shape), want, 1e-4, 1e-9)
            else:
                assert got is None


def test_steps_are_those_of_plain_arithmetic() -> None:
    settings: dict[str, Any] = {"exp_mult": 0.3, "step_mult": 0.05}
    lopt = AdafacMLPLOpt(**settings, hidden_size=5, hidden_layers=1)
    theta = shaken(lopt.init(jax.random.PRNGKey(0)), 0.05)
    run = made_run(theta, plain.adafac_mlp_lopt, **settings)
    assert worst_difference(lopt, run) < TOLERANCE


@pytest.mark.parametrize(
    "settings",
    [
        {"nominal_grad_estimator": "AdamAggMo", "normalize_blackbox": True},
        {
            "nominal_grad_estimator": "Adam",
            "nominal_controller": True,
            "regularization_controller": True,
            "aggregate_reg_magnitude": True,
        },
        {
            "nominal_grad_estimator": "SGD",
            "aggregate_magnitude": True,
            "aggregate_nom_magnitude": True,
            "nominal_controller": True,
        },
        {"nominal_grad_estimator": "SGDM", "selfnormalize_blackbox": True},
        {"nominal_grad_estimator": "AggMo", "regularization_controller": True},
    ],
    ids=lambda settings: settings["nominal_grad_estimator"],
)
def test_nominal_steps_are_those_of_plain_arithmetic(settings: dict[str, Any]) -> None:
    settings = {
        "exp_mult": (0.3, 0.2, 0.5),
        "step_mult": 0.05,
        "nominal_stepsize": 0.02,
        "weight_decay": 0.1,
        **settings,
    }
    lopt = MLPNomLOpt(**settings)
    theta = shaken(lopt.init(jax.random.PRNGKey(0)), 0.05)
    run = made_run(theta, plain.mlp_nom_lopt, **settings)
    assert worst_difference(lopt, run) < TOLERANCE


def test_weights_may_be_scalars() -> None:
    """The names alone differ: the steps are those of the matrices, bit for bit."""
    lopt = AdafacMLPLOpt(concat_weights=False, make_separate_weights=True)
    theta = lopt.init(jax.random.PRNGKey(0))
    scalars = theta["nn"]["~"]
    assert len(scalars) == 190
    assert all(np.shape(x) == () for x in scalars.values())
    assert np.max(np.abs(list(scalars.values()))) > 0

    def matrix(i: int, rows: int, cols: int) -> np.ndarray:
        return np.array(
            [[scalars[f"w{i}_{r}_{c}"] for c in range(cols)] for r in range(rows)]
        )

    sizes = [(39, 4), (4, 4), (4, 2)]
    nn = {f"w{i}": matrix(i, *size) for i, size in enumerate(sizes)}
    for i, (_, cols) in enumerate(sizes):
        nn[f"b{i}"] = np.array([scalars[f"b{i}_{c}"] for c in range(cols)])
    of_matrices = {**theta, "nn": {"~": nn}}
    run = made_run(
        of_matrices, plain.adafac_mlp_lopt, num=2, exp_mult=1e-3, step_mult=1e-3
    )
    got = step_by_step(lopt, theta, run)
    want = step_by_step(AdafacMLPLOpt(split_weights=True), of_matrices, run)
    for name, values in got.items():
        np.testing.assert_array_equal(values, want[name])


@pytest.mark.parametrize(
    ("lopt", "count"), [(AdafacMLPLOpt(), 197), (MLPNomLOpt(), 207)]
)
def test_meta_parameters_are_the_published(lopt: Any, count: int) -> None:
    theta = lopt.init(jax.random.PRNGKey(0))
    assert sum(x.size for x in jax.tree.leaves(theta)) == count
    assert {name: x.shape for name, x in theta.items() if name != "nn"} == {
        "momentum_decays": (3,),
        "rms_decays": (1,),
        "adafactor_decays": (3,),
    }


def test_one_decay_goes_with_several() -> None:
    lopt = AdafacMLPLOpt(initial_adafactor_decays=(0.99,), initial_rms_decays=(0.9,))
    theta = lopt.init(jax.random.PRNGKey(0))
    assert theta["nn"]["~"]["w0"].shape == (2 + 3 + 1 + 3 + 1 + 1 + 4 + 3 + 11, 4)
    opt = lopt.opt_fn(theta)
    params = {"w": jnp.ones((3, 2))}
    after = opt.get_params(jax.jit(opt.update)(opt.init(params), params))
    assert np.isfinite(after["w"]).all()


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(LoptError, match=r"got 3 in initial_momentum_decays, 2 in"):
        AdafacMLPLOpt(initial_rms_decays=(0.9, 0.99))
    with pytest.raises(LoptError, match=r"AggMo, Adam, AdamAggMo, got 'Momentum'"):
        MLPNomLOpt(nominal_grad_estimator="Momentum")
