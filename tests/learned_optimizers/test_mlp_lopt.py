"""MLPLOpt against the published steps, and against plain arithmetic."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from tests.learned_optimizers import reference_networks as plain
from tests.learned_optimizers.golden import (
    TOLERANCE,
    final_state,
    first_way,
    golden_run,
    made_run,
    shaken,
    worst_difference,
)

RUNS = {
    "MLPLOpt": MLPLOpt(),
    "MLPLOpt_small_big_steps": MLPLOpt(
        exp_mult=0.1, step_mult=0.1, hidden_size=8, hidden_layers=1
    ),
}


@first_way
@pytest.mark.parametrize("name", RUNS)
def test_steps_are_the_published(name: str, way: Any) -> None:
    assert worst_difference(RUNS[name], golden_run(name), way) < TOLERANCE


def test_the_state_is_the_published() -> None:
    run = golden_run("MLPLOpt")
    state = final_state(MLPLOpt(), run)
    assert state.iteration == run.state["iteration"]
    names = ["conv|w", "linear_0|b", "linear_0|w", "linear_1|b", "linear_1|w", "scale"]
    for name, m in zip(names, state.momenta, strict=True):
        want = np.moveaxis(run.state[f"rolling_features|m|{name}"], -1, 0)
        np.testing.assert_allclose(m.reshape(want.shape), want, 1e-4, 1e-7)


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({}, {}),
        (
            {"hidden_size": 5, "hidden_layers": 3, "exp_mult": 0.5, "step_mult": 0.1},
            {"exp_mult": 0.5, "step_mult": 0.1},
        ),
        ({"hidden_layers": 0, "compute_summary": False}, {}),
    ],
)
def test_steps_are_those_of_plain_arithmetic(
    settings: dict[str, Any], given: dict[str, Any]
) -> None:
    lopt = MLPLOpt(**settings)
    theta = shaken(lopt.init(jax.random.PRNGKey(0)))
    run = made_run(theta, plain.mlp_lopt, **given)
    assert worst_difference(lopt, run) < TOLERANCE


def test_meta_parameters_are_as_many_as_published() -> None:
    theta = MLPLOpt().init(jax.random.PRNGKey(0))
    assert sum(x.size for x in jax.tree.leaves(theta)) == 1762
    deviation = np.std(theta["mlp/~/linear_1"]["w"]) * np.sqrt(32)
    # Of normal numbers that are cut at two deviations.
    assert 0.8 < deviation < 0.96
    assert np.max(np.abs(theta["mlp/~/linear_1"]["w"])) <= 2 / np.sqrt(32)
