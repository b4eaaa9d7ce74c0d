"""The tolerance docs/determinism.md states, on the task users meet first."""

import jax
import numpy as np
import pytest

from learned_optimization.baselines.hparam_sets import LEARNING_RATES
from learned_optimization.eval_training import (
    multi_trial_training_curves,
    single_task_training_curves,
    trial_curves,
)
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.base import get_task_from_name
from tests.training import reference_loop


@pytest.mark.slow
@pytest.mark.parametrize("num_steps", [60, 1000])
def test_alone_in_a_set_and_by_a_python_loop(num_steps):
    task = get_task_from_name("ImageMLP_FashionMnist8_Relu32")
    keys = [jax.random.PRNGKey(seed) for seed in range(5)]
    config, seed = LEARNING_RATES.index(1e-3), 3
    opts = [Adam(learning_rate=lr) for lr in LEARNING_RATES]
    grid = multi_trial_training_curves(task, opts, num_steps, keys)
    in_set = trial_curves(grid, config, seed)
    alone = single_task_training_curves(task, opts[config], num_steps, keys[seed])
    loop = reference_loop.training_curves(
        task, opts[config], num_steps, keys[seed], 10, 5, 10
    )
    assert in_set.keys() == alone.keys() == loop.keys()
    for name in loop:
        for other in (alone, in_set):
            np.testing.assert_allclose(other[name], loop[name], rtol=1e-3, err_msg=name)
    # What was learned: from ln 10 at the start, well down.
    assert alone["train/loss"][0] == pytest.approx(np.log(10), abs=0.2)
    assert alone["train/loss"][-1] < 0.95 * alone["train/loss"][0]
