"""Celo and Celo-Adam: published steps, and float64 versions written by hand."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.learned_optimizers.celo import Celo, CeloAdam
from tests.learned_optimizers import reference_hyper
from tests.learned_optimizers.golden import every_way, golden_run, worst_difference
from tests.learned_optimizers.reference_hyper import Hyper
from tests.learned_optimizers.test_hyper_v2 import (
    assert_same_steps,
    noisy,
    of_reference,
    one_step,
    problem,
    trained,
)

RUNS = {
    "celo__tree": Celo(),
    "celo__mlp": Celo(),
    "celo__big": Celo(),
    "celo_phase1__tree": Celo(train_phase=1),
    "celo_phase1__mlp": Celo(train_phase=1),
    "celo_adam__tree": CeloAdam(),
    "celo_adam__mlp": CeloAdam(),
    "celo_adam__big": CeloAdam(),
}


@every_way(RUNS, in_ci=["celo__mlp", "celo_adam__tree"])
def test_published_steps(name: str, way: Any) -> None:
    assert worst_difference(RUNS[name], golden_run(name), way) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("num_banks", [1, 3])
def test_steps_are_those_of_float64(num_banks: int) -> None:
    lopt = Celo(lstm_hidden_size=6, param_inits=num_banks, ff_mult=2.0)
    theta, params = noisy(lopt.init(jax.random.PRNGKey(0))), problem()[0]
    # Steps of a size that float32 can tell.
    theta["rnn_params"]["step_size"]["b"] += 5
    reference = Hyper(theta, params, 20, celo=True, ff_mult=2.0)
    assert_same_steps(trained(lopt.opt_fn(theta)), of_reference(reference), params)


@pytest.mark.slow
def test_steps_of_celo_adam_are_those_of_float64() -> None:
    lopt = CeloAdam(lstm_hidden_size=6)
    theta, params = noisy(lopt.init(jax.random.PRNGKey(0))), problem()[0]
    reference = reference_hyper.CeloAdam(theta, params, 20)
    assert_same_steps(trained(lopt.opt_fn(theta)), of_reference(reference), params)


def test_sizes_are_the_published() -> None:
    def size(lopt: Any) -> int:
        shapes = jax.eval_shape(lopt.init, jax.random.PRNGKey(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    assert size(Celo()) == 37_089
    assert size(CeloAdam()) == 36_865


@pytest.mark.slow
def test_the_second_phase_multiplies_all_steps_by_one_number() -> None:
    theta = noisy(Celo().init(jax.random.PRNGKey(0)))
    first, second = (
        one_step(Celo(train_phase=phase, step_mult=1.0), theta) for phase in (1, 2)
    )
    shares = {k: np.sum(second[k]) / np.sum(first[k]) for k in first}
    np.testing.assert_allclose(list(shares.values()), shares["w"], 1e-3)
    assert abs(shares["w"] - 1) > 0.1


@pytest.mark.slow
def test_settings_of_celo_adam() -> None:
    params, grads, _ = problem()

    def step(**settings: Any) -> Any:
        lopt = CeloAdam(lstm_hidden_size=6, step_mult=1.0, **settings)
        return one_step(lopt, noisy(lopt.init(jax.random.PRNGKey(0))))

    plain = step()
    scaled, raw = step(param_scale_mult=True), step(mom_decay=False)
    for k, p in params.items():
        scale = np.sqrt(np.mean(np.float64(p) ** 2) + 1e-9)
        np.testing.assert_allclose(scaled[k], scale * plain[k], 1e-3)
        # Averages start at zero: a tenth of the gradient, a thousandth of its square.
        g = np.float64(grads[0][k])
        share = 0.1 * np.sqrt((g**2 + 1e-10) / (0.001 * g**2 + 1e-10))
        np.testing.assert_allclose(raw[k], share * plain[k], 1e-3)
    valid = {"with_validation_feature_dim": True, "mix_layers": False}
    jax.tree.map(
        lambda x: np.testing.assert_array_equal(np.isfinite(x), True),
        step(**valid, validation_mode=True, rnn_state_decay=0.5),
    )
