"""Steps with closures, averages, groups, schedules, and trials that go on.

What PyTorch should have computed is worked out by hand.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    Checkpoint,
    RunPlan,
    RunStoppedError,
    single_task_training_curves,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task
from learned_optimization.torch_optimizers import torch_class, torch_optimizer
from learned_optimization.training.run import run_grid
from tests.tiny import StatefulTask, TinyTask


@dataclass(frozen=True)
class Bowl(Task):
    """Half the square of a matrix and a bias, from one each; without data."""

    def init(self, key):
        return {"layer": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}

    def loss(self, params, key, data):
        squares = [jnp.sum(x**2) for x in jax.tree.leaves(params)]
        return 0.5 * jnp.stack(squares).sum()


@dataclass(frozen=True)
class Flat(Bowl):
    """No gradient anywhere."""

    def loss(self, params, key, data):
        # Evaluation sees where the parameters are.
        return jax.lax.stop_gradient(Bowl.loss(self, params, key, data))

    def loss_and_aux(self, params, key, data):
        of_layer = {name: x.ravel()[0] for name, x in params["layer"].items()}
        return self.loss(params, key, data), of_layer


def run(opt, task: Task, num_steps: int, eval_every: int = 10) -> dict[str, np.ndarray]:
    key = key_of_seed(0)
    return single_task_training_curves(task, opt, num_steps, key, eval_every)


def test_a_closure_is_given_to_who_demands_one(torch) -> None:
    lbfgs = torch_class("torch.optim.LBFGS")(learning_rate=1.0, max_iter=20)
    losses = run(lbfgs, Bowl(), 3)["train/loss"]
    # From 9 ones: the first loss is that before the step, and then it is solved.
    np.testing.assert_allclose(losses, [4.5, 0.0, 0.0, 0.0], atol=1e-8)


def test_a_step_that_fails_without_a_closure_gets_one(torch) -> None:
    class Sharpness(torch.optim.SGD):
        """Sharpness-aware: the gradient is taken at `p + rho * sign(p)`."""

        def step(self, closure=None):
            if closure is None:
                raise RuntimeError("a closure, please")
            [group] = self.param_groups
            moves = [0.5 * p.grad.sign() for p in group["params"]]
            with torch.no_grad():
                for p, move in zip(group["params"], moves, strict=True):
                    p.add_(move)
            closure()
            with torch.no_grad():
                for p, move in zip(group["params"], moves, strict=True):
                    p.sub_(move)
            super().step()

    sam = torch_optimizer(lambda params, learning_rate=0.1: Sharpness(params, 0.1))
    losses = run(sam(), StatefulTask(), 5, eval_every=1)
    # Of a step's two evaluations, the state of the model counts the first.
    assert losses["eval/test/calls"].tolist() == [1, 2, 3, 4, 5, 6]
    x, want = 1.0, []
    for _ in range(4):
        want.append(4.5 * x**2)
        x -= 0.1 * (x + 0.5)
    np.testing.assert_allclose(run(sam(), Bowl(), 3)["train/loss"], want, rtol=1e-6)


class _Averaging:
    """Made in a test, where PyTorch is there."""

    @staticmethod
    def make(torch):
        class Averaging(torch.optim.SGD):
            """Evaluates the mean of where it is and where it began."""

            def __init__(self, params, lr):
                super().__init__(params, lr)
                self.is_training = True

            def train(self):
                if not self.is_training:
                    self._mix(2.0)
                self.is_training = True

            def eval(self):
                # Before the first step there is nothing to average, as in some.
                assert any(p.grad is not None for p in self.param_groups[0]["params"])
                self._mix(0.5)
                self.is_training = False

            def step(self, closure=None):
                assert self.is_training
                return super().step()

            def _mix(self, weight):
                with torch.no_grad():
                    for p in self.param_groups[0]["params"]:
                        p.copy_(1.0 + weight * (p - 1.0))

        return Averaging


def test_what_is_evaluated_is_what_eval_leaves(torch) -> None:
    averaging = _Averaging.make(torch)
    opt = torch_optimizer(
        lambda params, learning_rate=0.5: averaging(params, learning_rate)
    )
    often, seldom = (run(opt(), Bowl(), 4, eval_every=n) for n in (1, 4))
    # It halves each number at each step.
    np.testing.assert_allclose(
        often["train/loss"], [4.5 * 0.25**i for i in range(5)], rtol=1e-6
    )
    # When it is evaluated changes nothing.
    assert often["train/loss"].tolist() == seldom["train/loss"].tolist()
    at = [(1 + 0.5**i) / 2 for i in range(5)]
    np.testing.assert_allclose(
        often["eval/test/loss"], [4.5 * x**2 for x in at], rtol=1e-6
    )


@pytest.mark.slow
def test_schedule_free_evaluates_its_average_as_ours_does(torch) -> None:
    from learned_optimization.optimizers.schedule_free import ScheduleFreeAdamW
    from tests.components import require

    require("schedulefree")
    theirs = torch_class("schedulefree.AdamWScheduleFree")(learning_rate=0.05)
    ours = ScheduleFreeAdamW(learning_rate=0.05)
    got, want = (run(opt, TinyTask(), 100) for opt in (theirs, ours))
    for key in ("train/loss", "eval/test/loss"):
        np.testing.assert_allclose(got[key], want[key], rtol=1e-3, err_msg=key)


def test_groups_are_chosen_by_kind(torch) -> None:
    @torch_optimizer
    def Decayed(params, learning_rate=0.1, weight_decay=0.5):
        groups = [
            {"params": params.matrices, "weight_decay": weight_decay},
            {"params": params.vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=learning_rate)

    curves = run(Decayed(), Flat(), 4, eval_every=1)
    # A decoupled decay of 0.1 times 0.5 at each step.
    np.testing.assert_allclose(
        curves["eval/test/kernel"], [0.95**i for i in range(5)], rtol=1e-6
    )
    np.testing.assert_array_equal(curves["eval/test/bias"], 1.0)


def test_optimizers_and_schedules_are_stepped_in_order(torch) -> None:
    seen = []

    @torch_optimizer
    def Halving(params, learning_rate=0.5, num_steps=0):
        seen.append((num_steps, {n: tuple(p.shape) for n, p in params.named.items()}))
        first = torch.optim.SGD(params.matrices, lr=learning_rate)
        second = torch.optim.SGD(params.vectors, lr=0.0)
        falls = torch.optim.lr_scheduler.StepLR(first, step_size=1, gamma=0.5)
        return [first, second, falls]

    losses = run(Halving(), Bowl(), 2)["train/loss"]
    # The matrix steps by 1/2 and 1/4 of itself, the bias stays.
    want = [1.5 + 3.0 * x**2 for x in (1.0, 0.5, 0.375)]
    np.testing.assert_allclose(losses, want, rtol=1e-6)
    # As torch.nn has them: outputs first.
    assert seen == [(2, {"layer/bias": (3,), "layer/kernel": (3, 2)})]


def test_one_that_fails_for_nan_has_diverged(torch) -> None:
    class Strict(torch.optim.SGD):
        def step(self, closure=None):
            if not all(p.grad.isfinite().all() for p in self.param_groups[0]["params"]):
                raise RuntimeError("not finite")
            return super().step()

    opt = torch_optimizer(lambda params, learning_rate=1e30: Strict(params, 1e30))
    losses = run(opt(), Bowl(), 5)["train/loss"]
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[2:]).any()

    class Broken(torch.optim.SGD):
        def step(self, closure=None):
            raise RuntimeError("broken")

    opt = torch_optimizer(lambda params, learning_rate=0.1: Broken(params, 0.1))
    with pytest.raises(RuntimeError, match="broken"):
        run(opt(), Bowl(), 5)


@pytest.mark.parametrize("path", ["torch.optim.Adam"])
def test_a_stopped_trial_goes_on_to_the_same_bits(torch, tmp_path, path: str) -> None:
    opt = torch_class(path)()
    plan, key = RunPlan(40, eval_every=2), key_of_seed(0)

    def go(should_stop) -> dict[str, np.ndarray]:
        checkpoint = Checkpoint(
            str(tmp_path / "run.npz"), path, should_stop=should_stop
        )
        return run_grid(
            StatefulTask(), [opt], [key], plan, checkpoint=checkpoint
        ).curves

    whole = run_grid(StatefulTask(), [opt], [key], plan).curves
    with pytest.raises(RunStoppedError):
        go(lambda: True)
    resumed = go(lambda: False)
    assert whole.keys() == resumed.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)


def test_random_numbers_are_those_of_the_seed(torch) -> None:
    class Noisy(torch.optim.SGD):
        def step(self, closure=None):
            with torch.no_grad():
                for p in self.param_groups[0]["params"]:
                    p.add_(torch.randn_like(p))

    opt = torch_optimizer(lambda params, learning_rate=0.1: Noisy(params, 0.1))()

    def losses(seed: int) -> list[float]:
        key = key_of_seed(seed)
        return single_task_training_curves(Bowl(), opt, 3, key)["train/loss"].tolist()

    first = losses(1)
    torch.manual_seed(123)
    assert first == losses(1)
    assert first != losses(2)


def test_parameters_may_be_put_elsewhere(torch) -> None:
    class Moving(torch.optim.SGD):
        def step(self, closure=None):
            for p in self.param_groups[0]["params"]:
                p.data = p.data - 0.5 * p.grad

    opt = torch_optimizer(lambda params, learning_rate=0.1: Moving(params, 0.1))()
    losses = run(opt, Bowl(), 3)["train/loss"]
    np.testing.assert_allclose(losses, [4.5 * 0.25**i for i in range(4)], rtol=1e-6)


def test_trials_are_stepped_one_by_one(torch) -> None:
    opt = torch_class("torch.optim.SGD")()
    keys = [key_of_seed(0), key_of_seed(1)]
    with pytest.raises(LoptError, match="takes one optimizer and one key at a time"):
        run_grid(Bowl(), [opt], keys, RunPlan(3))
    with pytest.raises(LoptError, match="memory is shared with jax's first device"):
        run_grid(Bowl(), [opt], keys[:1], RunPlan(3), devices=jax.devices()[1:])
