"""An optimizer defined again, as by the cell of a notebook that runs again."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gin
import jax.numpy as jnp
import numpy as np
import pytest
from gin import config as gin_config

from learned_optimization.baselines import utils
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import (
    all_optimizers,
    get_optimizer,
    hparam,
)
from learned_optimization.optimizers.gradient_clip import GradientClipOptimizer
from learned_optimization.optimizers.schedule_base import Schedule, schedule
from tests.tasks.conftest import quick_compilation  # noqa: F401
from tests.tiny import PlainSGD, TinyRegression

NOTEBOOK = "a_notebook"
CELLS = {
    "function": """
import optax

from learned_optimization.optimizers.optax_optimizer import optax_optimizer


@optax_optimizer
def {name}(learning_rate=0.5):
    return optax.sgd({factor} * learning_rate)
""",
    "class": """
import optax

from learned_optimization.optimizers.base import hparam, optimizer
from learned_optimization.optimizers.optax_optimizer import OptaxOptimizer


@optimizer
class {name}(OptaxOptimizer):
    learning_rate: float = hparam(default=0.5, short="lr")

    def transformation(self):
        return optax.sgd({factor} * self.learning_rate)
""",
}
PARAMS = {"w": np.array([1.0, -2.0], np.float32)}
GRAD = {"w": np.array([0.5, 0.25], np.float32)}


def run_cell(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    factor: float,
    name: str = "Redefined",
    module: str = NOTEBOOK,
) -> Any:
    """Run a cell that defines an optimizer, gradient descent `factor` times as far."""
    if module not in sys.modules:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    namespace = vars(sys.modules[module])
    exec(CELLS[kind].format(name=name, factor=factor), namespace)
    return namespace[name]


def step(opt: Any) -> np.ndarray:
    """Return how far one update moves the parameters, over the gradient."""
    state = opt.update(opt.init(PARAMS), GRAD)
    return (PARAMS["w"] - np.asarray(opt.get_params(state)["w"])) / GRAD["w"]


@pytest.mark.parametrize("kind", CELLS)
def test_the_last_definition_has_the_name(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = run_cell(monkeypatch, kind, 1.0)
    made_of_old = old()
    new = run_cell(monkeypatch, kind, 4.0)
    assert new is not old
    assert get_optimizer("Redefined") is new
    assert all_optimizers()["Redefined"] is new
    # Powers of two are exact.
    np.testing.assert_array_equal(step(new()), [2.0, 2.0])
    np.testing.assert_array_equal(step(made_of_old), [0.5, 0.5])


@pytest.mark.parametrize("kind", CELLS)
def test_gin_text_means_the_last_definition(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = [
        "GradientClipOptimizer.opt = @Redefined()",
        "Redefined.learning_rate = 0.25",
    ]
    run_cell(monkeypatch, kind, 1.0)
    gin.parse_config(text)
    np.testing.assert_array_equal(step(GradientClipOptimizer()), [0.25, 0.25])
    new = run_cell(monkeypatch, kind, 4.0)
    # What was read before the cell ran again, and what is read after.
    for _ in range(2):
        assert type(GradientClipOptimizer().opt) is new
        np.testing.assert_array_equal(step(GradientClipOptimizer()), [1.0, 1.0])
        assert gin.get_configurable("Redefined")().learning_rate == 0.25
        assert "Redefined.learning_rate = 0.25" in gin.operative_config_str()
        gin.clear_config()
        gin.parse_config(text)


@pytest.mark.parametrize("second", CELLS)
@pytest.mark.parametrize("first", CELLS)
def test_a_function_replaces_a_class_and_a_class_a_function(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_cell(monkeypatch, first, 1.0)
    new = run_cell(monkeypatch, second, 4.0)
    assert get_optimizer("Redefined") is new
    assert type(gin.get_configurable("Redefined")()) is new


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "name", ["Adam", "Shampoo", "GradientClipOptimizer", "Redefined"]
)
def test_what_another_module_defines_is_refused(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "Redefined":
        run_cell(monkeypatch, kind, 1.0)
    theirs = get_optimizer(name)
    with pytest.raises(LoptError) as caught:
        run_cell(monkeypatch, kind, 4.0, name, module="another_notebook")
    assert str(caught.value) == (
        f"there is an optimizer {name} already, of {theirs.__module__}; the one of "
        "another_notebook needs another name."
    )
    assert get_optimizer(name) is theirs
    assert type(gin.get_configurable(name)()) is theirs


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
def test_a_set_made_after_it_trains_the_last_definition(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(name: str, optimizer: str, rate: float) -> np.ndarray:
        made = hparam_set(
            name=name,
            optimizer=optimizer,
            num_steps=10,
            space={"learning_rate": [rate]},
            seeds=1,
        )
        summary = run_sweep([TinyRegression.__name__], [made])
        assert (summary.num_trials, summary.num_skipped) == (1, 0)
        ((folder, _),) = made(TinyRegression.__name__)[1]
        (result,) = utils.load_baseline_results_from_dir(folder, "curves")
        assert Path(folder).parent.name == f"{optimizer}_lr{rate}"
        return result["train/loss"]

    run_cell(monkeypatch, kind, 1.0)
    slow = losses("Before", "Redefined", 0.03125)
    run_cell(monkeypatch, kind, 4.0)
    np.testing.assert_array_equal(slow, losses("Slow", "SGD", 0.03125))
    fast = losses("After", "Redefined", 0.015625)
    np.testing.assert_array_equal(fast, losses("Fast", "SGD", 0.0625))
    assert not np.array_equal(slow, fast)


@pytest.mark.parametrize("kind", CELLS)
def test_a_schedule_of_the_package_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    theirs = gin.get_configurable("CosineDecay")
    with pytest.raises(LoptError, match="learning_rate_schedules; the one of"):
        run_cell(monkeypatch, kind, 1.0, name="CosineDecay")
    assert gin.get_configurable("CosineDecay") is theirs
    assert "CosineDecay" not in all_optimizers()


def test_a_schedule_of_ones_own_is_replaced() -> None:
    def cell(factor: float) -> Any:
        class Flat(Schedule):
            learning_rate: float = hparam(default=1.0)

            def __call__(self, step: Any, max_steps: Any = None) -> Any:
                return factor * self.learning_rate

        return schedule(Flat)

    cell(1.0)
    cell(2.0)
    assert gin.get_configurable("Flat")()(0) == 2.0


@pytest.mark.parametrize("is_interactive", [False, True])
def test_the_mode_of_gin_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, is_interactive: bool
) -> None:
    monkeypatch.setattr(gin_config, "_INTERACTIVE_MODE", is_interactive)
    run_cell(monkeypatch, "function", 1.0)
    assert gin_config._INTERACTIVE_MODE is is_interactive


def test_optimizers_inside_are_given_arguments_by_place() -> None:
    class Renamed(PlainSGD):
        def update(  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            opt_state: Any,
            gradient: Any,
            value: Any = None,
            state_of_model: Any = None,
            valid: bool = False,
            rng: Any = None,
            **extra: Any,
        ) -> Any:
            assert value == 1.0
            return super().update(
                opt_state, gradient, value, state_of_model, valid, rng, **extra
            )

    opt = GradientClipOptimizer(opt=Renamed(0.5))
    state = opt.update(opt.init(PARAMS), GRAD, loss=jnp.float32(1.0))
    stepped = PARAMS["w"] - 0.5 * GRAD["w"]
    np.testing.assert_allclose(opt.get_params(state)["w"], stepped)


@pytest.mark.parametrize("kind", CELLS)
def test_a_class_that_was_defined_again_is_told(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = run_cell(monkeypatch, kind, 1.0)
    new = run_cell(monkeypatch, kind, 4.0)
    with pytest.raises(LoptError, match="Redefined was defined again after this class"):
        hparam_set("OfOld_10_R1", old, 10, {"learning_rate": [0.1]})
    assert hparam_set("OfNew_10_R1", new, 10, {"learning_rate": [0.1]}).num_configs == 1
