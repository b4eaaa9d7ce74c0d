"""Every optimizer in the engine, against the plain Python loop."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.eval_training import (
    multi_trial_training_curves,
    single_task_training_curves,
    trial_curves,
)
from learned_optimization.optimizers.base import all_optimizers
from tests.optimizers.conftest import (  # noqa: F401
    made_up_opt_list,
    use_made_up_opt_list,
)
from tests.optimizers.test_all_optimizers import make
from tests.tasks.conftest import quick_compilation  # noqa: F401
from tests.tiny import StatefulTask
from tests.training import reference_loop

# Between them they use all an optimizer may be given; the others are alike.
SPECIAL = {"OptList", "ScheduleFreeAdamW"}
NAMES = [
    pytest.param(name, marks=() if name == "SGDM" else pytest.mark.slow)
    for name in all_optimizers()
]


def assert_agrees(got, want, rtol: float) -> None:
    for metric, values in want.items():
        np.testing.assert_allclose(got[metric], values, rtol=rtol, err_msg=metric)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_python_loop(name: str) -> None:
    task, opt, key = StatefulTask(), make(name), jax.random.PRNGKey(3)
    plan: dict[str, Any] = {"eval_every": 5, "eval_batches": 2, "last_eval_batches": 3}
    want = reference_loop.training_curves(task, opt, 12, key, *plan.values())
    if name in {*SPECIAL, "LBFGS"}:
        # A line search decides by comparing losses that float32 rounds.
        rtol = 1e-2 if name == "LBFGS" else 1e-4
        got = single_task_training_curves(task, opt, 12, key, **plan)
        assert_agrees(got, want, rtol)
    if name == "LBFGS":
        # A rate would replace the line search: the two share no program.
        return
    grid = multi_trial_training_curves(task, [opt, make(name, 0.02)], 12, [key], **plan)
    assert_agrees(trial_curves(grid, 0, 0), want, 1e-4)
    for metric in ("train/loss", "eval/test/loss"):
        curves = grid.curves[metric]
        assert not np.array_equal(curves[0, 0], curves[1, 0])
