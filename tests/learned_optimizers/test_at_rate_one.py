"""A learning rate of one's own: Celo2's, or a multiple of what was trained."""

from pathlib import Path
from typing import Any

import gin
import jax
import numpy as np
import pytest

from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.at_rate_one import opt_at_rate_one
from learned_optimization.learned_optimizers.celo2 import Celo2
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.optimizers.scaled_steps import ScaledSteps

PARAMS = {"bias": np.ones(3, np.float32), "w": np.full((3, 2), 0.5, np.float32)}


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Return what saves the untrained theta of a learned optimizer, and its path."""

    def save(lopt: Any, config: str) -> tuple[Any, str]:
        theta = lopt.init(jax.random.PRNGKey(0))
        path = str(tmp_path / "params")
        checkpoints.save(path, theta)
        (tmp_path / "config.gin").write_text(config)
        return theta, path

    return save


def moved(opt: Any) -> Any:
    grad = jax.tree.map(lambda p: np.linspace(-1, 1, p.size).reshape(p.shape), PARAMS)
    grad = jax.tree.map(lambda g: g.astype(np.float32), grad)
    state = opt.init(PARAMS, num_steps=10)
    for _ in range(3):
        state = opt.update(state, grad, loss=np.float32(1.0))
    return opt.get_params(state)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.003, 0.1])
def test_the_rate_is_that_of_celo2(saved: Any, rate: float) -> None:
    config = "run_train.lopt = @Celo2()\nCelo2.step_mult = 0.5\n"
    theta, path = saved(Celo2(), config)
    opt = opt_at_rate_one(path)
    assert opt.name.startswith("Celo2_step_mult1.0_theta")
    scaled = moved(ScaledSteps(opt=opt, learning_rate=rate))
    own = moved(Celo2(step_mult=rate).opt_fn(theta))
    for got, want in zip(*map(jax.tree.leaves, (scaled, own)), strict=True):
        # A step of a rate of 1 is taken off the parameters and put on again.
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_others_step_as_they_were_trained(saved: Any) -> None:
    theta, path = saved(MLPLOpt(), "run_train.lopt = @MLPLOpt()")
    got, want = moved(opt_at_rate_one(path)), moved(MLPLOpt().opt_fn(theta))
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_gin_makes_it(saved: Any) -> None:
    _, path = saved(Celo2(), "run_train.lopt = @Celo2()")
    gin.parse_config(f"opt_at_rate_one.checkpoint_path = '{path}'")
    try:
        made = gin.get_configurable("opt_at_rate_one")()
    finally:
        gin.clear_config()
    assert made.name == opt_at_rate_one(path).name
