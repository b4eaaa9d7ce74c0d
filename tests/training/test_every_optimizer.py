"""Every optimizer in the engine, against the plain Python loop."""

import jax
import numpy as np
import pytest

from learned_optimization.eval_training import (
    multi_trial_training_curves,
    single_task_training_curves,
)
from learned_optimization.optimizers.base import all_optimizers
from tests.optimizers.conftest import (  # noqa: F401
    made_up_opt_list,
    use_made_up_opt_list,
)
from tests.optimizers.test_all_optimizers import make
from tests.tiny import StatefulTask
from tests.training import reference_loop

# Between them they use all an optimizer may be given; the others are alike.
SPECIAL = {"OptList", "ScheduleFreeAdamW"}
NAMES = [
    pytest.param(name, marks=() if name in SPECIAL else pytest.mark.slow)
    for name in all_optimizers()
]


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_python_loop(name: str) -> None:
    task, opt, key = StatefulTask(), make(name), jax.random.PRNGKey(3)
    args = (task, opt, 12, key, 5, 2, 3)
    want = reference_loop.training_curves(*args)
    got = single_task_training_curves(*args)
    # A line search decides by comparing losses that float32 rounds.
    rtol = 1e-2 if name == "LBFGS" else 1e-4
    for metric, values in want.items():
        np.testing.assert_allclose(got[metric], values, rtol=rtol, err_msg=metric)
    if name == "LBFGS":
        # A rate would replace the line search: the two share no program.
        return
    grid = multi_trial_training_curves(
        task,
        [opt, make(name, 0.02)],
        12,
        [key],
        eval_every=5,
        eval_batches=2,
        last_eval_batches=3,
    ).curves
    for metric in ("train/loss", "eval/test/loss"):
        np.testing.assert_allclose(grid[metric][0, 0], want[metric], rtol=rtol)
        assert not np.array_equal(grid[metric][0, 0], grid[metric][1, 0])
