"""`OptaxOptimizer(transformation)`, and optimizers written as the published ones."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from learned_optimization import configuration
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.baselines.utils import load_baseline_results
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import (
    Optimizer,
    StatelessState,
    check_hparams,
)
from learned_optimization.optimizers.gradient_clip import GradientClipOptimizer
from learned_optimization.optimizers.optax_opts import SGD, Adam, OptaxOptimizer
from tests.tiny import TinyTask

PARAMS = {"w": np.array([1.0, -2.0, 3.0], np.float32)}
GRAD = {"w": np.array([0.5, 0.25, -1.0], np.float32)}


class Halved(OptaxOptimizer):
    """Made from a transformation, as published optimizers are."""

    def __init__(self, learning_rate: float):
        super().__init__(optax.sgd(learning_rate / 2))


class Plain(Optimizer):
    """Made by hand, as published tutorials do."""

    def __init__(self, learning_rate: float = 0.1):
        self.learning_rate = learning_rate

    def init(
        self,
        params: Any,
        model_state: Any = None,
        num_steps: Any = None,
        key: Any = None,
    ) -> Any:
        return StatelessState(params=params, state=model_state)

    def update(
        self,
        opt_state: Any,
        grad: Any,
        loss: Any = None,
        model_state: Any = None,
        is_valid: bool = False,
        key: Any = None,
        loss_fn: Any = None,
        **extra: Any,
    ) -> Any:
        params = jax.tree.map(
            lambda p, g: p - self.learning_rate * g, opt_state.params, grad
        )
        return StatelessState(params=params, state=model_state)


def test_steps_as_the_transformation() -> None:
    transformation = optax.chain(optax.clip(0.3), optax.adam(0.1))
    opt = OptaxOptimizer(transformation)
    assert opt.opt is transformation
    params: Any = PARAMS
    state = opt.init(PARAMS, {"seen": 0})
    memory = transformation.init(PARAMS)
    for step in range(3):
        state = jax.jit(opt.update)(state, GRAD, model_state={"seen": step})
        updates, memory = transformation.update(GRAD, memory, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(opt.get_params(state)["w"], params["w"], rtol=1e-6)
    assert (int(state.iteration), int(opt.get_state(state)["seen"])) == (3, 2)


@pytest.mark.parametrize("wrong", [optax.adam, 0.1, None, Adam()])
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(LoptError, match=r"takes an optax\.GradientTransformation"):
        OptaxOptimizer(wrong)


def test_names_tell_settings_apart() -> None:
    made = [
        *(OptaxOptimizer(optax.adam(rate)) for rate in (0.1, 0.2)),
        *(Halved(rate) for rate in (0.1, 0.2)),
        *(Plain(rate) for rate in (0.1, 0.2)),
    ]
    names = [opt.name for opt in made]
    assert len(set(names)) == len(names)
    assert [name.partition("_")[0] for name in names] == [
        *("OptaxOptimizer", "OptaxOptimizer", "Halved", "Halved", "Plain", "Plain")
    ]
    assert OptaxOptimizer(optax.adam(0.1)).name == names[0]
    clipped = GradientClipOptimizer(opt=made[0])
    check_hparams(clipped)
    assert clipped.name == f"GradientClipOptimizer_opt({names[0]})_clip3.0"


def _train(opt: Optimizer, **kwargs: Any) -> Any:
    result = inner_train_task(
        TinyTask(), opt, num_steps=20, eval_every=10, task_name="tiny", **kwargs
    )
    assert result is not None
    return result


@pytest.mark.slow
def test_trains() -> None:
    wanted = _train(SGD(0.1))["train/loss"]
    for opt in (OptaxOptimizer(optax.sgd(0.1)), Halved(0.2), Plain(0.1)):
        result = _train(opt)
        assert result["opt_name"] == result["opt_config"] == opt.name
        np.testing.assert_allclose(result["train/loss"], wanted, rtol=1e-5)
    wrapped = GradientClipOptimizer(OptaxOptimizer(optax.sgd(0.1)), grad_clip=1e9)
    np.testing.assert_allclose(_train(wrapped)["train/loss"], wanted, rtol=1e-5)


@pytest.mark.slow
def test_two_transformations_do_not_share_a_folder() -> None:
    first, second = (OptaxOptimizer(optax.sgd(rate)) for rate in (0.1, 0.2))
    results = [_train(opt) for opt in (first, second, first)]
    folders = {str(result["opt_name"]) for result in results}
    assert len(folders) == 2
    for opt, count in ((first, 2), (second, 1)):
        results = load_baseline_results("tiny", opt.name, 20, 10, 5, 10)
        assert len(results) == count


def test_works_with_gin() -> None:
    @configurable("test_plain_transformation")
    def my_opt(learning_rate: float = 0.1) -> Optimizer:
        return OptaxOptimizer(optax.sgd(learning_rate))

    @configurable("test_plain_transformation")
    def which(opt: Any = None) -> Any:
        return opt

    configuration.load(bindings=["which.opt = @my_opt()", "my_opt.learning_rate = 0.2"])
    opt = which()
    state = opt.update(opt.init(PARAMS), GRAD)
    np.testing.assert_allclose(state.params["w"], PARAMS["w"] - 0.2 * GRAD["w"])
    assert opt.name == OptaxOptimizer(optax.sgd(0.2)).name


def test_something_without_a_name_asks_for_one() -> None:
    rates = iter([0.1, 0.2])
    transformation = optax.stateless(
        lambda updates, params: jax.tree.map(lambda u: next(rates) * u, updates)
    )
    opt = OptaxOptimizer(transformation)
    with pytest.raises(LoptError, match=r"list_iterator .* property `name`"):
        _ = opt.name
