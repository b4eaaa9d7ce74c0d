"""Meta-training step by step."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.checkpoints import save
from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.outer_trainers.gradient_learner import (
    AggregatedGradient,
    GradientEstimator,
    GradientEstimatorOut,
    GradientLearner,
    SingleMachineGradientLearner,
    gradient_worker_compute,
)
from learned_optimization.outer_trainers.truncated_grad import TruncatedGrad
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
)
from learned_optimization.prng import key_of_seed
from tests.outer_trainers.linear import losses_at, sgd_on_squares, weights


class Fixed(GradientEstimator):
    """Says what it was told to."""

    def __init__(self, grad: float, loss: float):
        self.grad, self.loss = grad, loss

    def init_worker_state(self, worker_weights: Any, key: Any) -> Any:
        return 0

    def compute_gradient_estimate(
        self, worker_weights, key, state, with_summary=False, datas_list=None
    ):
        grad = {"log_lr": jnp.asarray(self.grad)}
        return GradientEstimatorOut(jnp.asarray(self.loss), grad, state + 1, None), {}

    def task_name(self) -> str:
        return "fixed"


def test_a_worker_averages_its_estimators() -> None:
    given = weights({"log_lr": jnp.zeros([])})
    estimators = [Fixed(1.0, 2.0), Fixed(3.0, 5.0)]
    out = gradient_worker_compute(given, estimators, [0, 7], key_of_seed(0))
    assert float(out.to_put.theta_grads["log_lr"]) == 2.0
    assert float(out.to_put.mean_loss) == 3.5
    assert out.unroll_states == (1, 8)


def test_what_is_no_number_moves_nothing() -> None:
    given = weights({"log_lr": jnp.zeros([])})
    out = gradient_worker_compute(given, [Fixed(np.nan, np.inf)], [0], key_of_seed(0))
    assert float(out.to_put.theta_grads["log_lr"]) == 0.0
    assert float(out.to_put.mean_loss) == 20.0
    with pytest.raises(LoptError, match="at least one"):
        gradient_worker_compute(given, [], [], key_of_seed(0))


def test_a_learner_steps_by_the_mean_of_workers() -> None:
    learner = GradientLearner(LearnableSGD(0.1), SGD(0.5))
    state = learner.init(key_of_seed(0))
    sent = [
        AggregatedGradient({"log_lr": np.float32(g)}, None, np.float32(1))
        for g in (1.0, 2.0)
    ]
    state, metrics = learner.update(state, sent)
    theta = learner.get_meta_params(state)
    np.testing.assert_allclose(theta["log_lr"], np.log(0.1) - 0.75, rtol=1e-6)
    assert metrics == {"mean_loss": 1.0}


def test_a_learner_begins_from_a_checkpoint(tmp_path: Any) -> None:
    path = str(tmp_path / "params")
    save(path, {"log_lr": np.float32(-1.5)})
    learner = GradientLearner(LearnableSGD(0.1), SGD(0.5), init_theta_from_path=path)
    theta = learner.get_meta_params(learner.init(key_of_seed(0)))
    assert float(theta["log_lr"]) == -1.5


@pytest.mark.slow
def test_one_machine_lowers_the_meta_loss() -> None:
    step = sgd_on_squares(ConstantTruncationSchedule(10), 4)
    # Learning rates of 0.1 to 0.5 are better and better: 0.5 solves it in a step.
    learner = SingleMachineGradientLearner(
        LearnableSGD(0.1), [TruncatedGrad(step, 11)], SGD(0.05)
    )
    state = learner.init(key_of_seed(0))
    rates = []
    for i in range(15):
        state, loss, _ = learner.update(state, key_of_seed(i))
        rates.append(float(jnp.exp(learner.get_meta_params(state)["log_lr"])))
        assert np.isfinite(loss)
    assert rates == sorted(rates)
    mean_loss = losses_at(np.log([0.1, rates[-1]]), 10, 10).mean(-1)
    assert mean_loss[1] < 0.8 * mean_loss[0]
