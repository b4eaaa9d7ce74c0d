"""`WrappedOptimizer`: an optimizer of one's own that steps another one."""

from typing import Any

import flax.struct
import jax
import numpy as np
import pytest

from learned_optimization.optimizers.base import Optimizer, hparam, optimizer
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.optimizers.schedule_free import ScheduleFreeSGD
from learned_optimization.optimizers.second_order import Sophia
from learned_optimization.optimizers.wrapped import WrappedOptimizer, step_inside

PARAMS = {"w": np.array([1.0, -2.0], np.float32)}
GRAD = {"w": np.array([0.5, 0.25], np.float32)}


@flax.struct.dataclass
class CountedState:
    """The state inside, and how often it was stepped."""

    state_inside: Any
    updates: int


@pytest.fixture
def negated() -> Any:
    """Return a class that defines what it must, and no more."""

    @optimizer
    class Negated(WrappedOptimizer):
        """Steps another optimizer against the gradient it is given."""

        opt: Optimizer = hparam(default=SGD())

        def update(self, opt_state: Any, grad: Any, *args: Any, **given: Any) -> Any:
            grad = jax.tree.map(lambda g: -g, grad)
            return step_inside(self.opt, opt_state, grad, **given)

    return Negated


@pytest.fixture
def counted() -> Any:
    """Return a class whose state is more than the state of the optimizer inside."""

    @optimizer
    class Counted(WrappedOptimizer):
        """Counts the updates of another optimizer."""

        opt: Optimizer = hparam(default=SGD())

        def init(self, *args: Any, **given: Any) -> CountedState:
            return CountedState(self.opt.init(*args, **given), 0)

        def update(self, opt_state: Any, grad: Any, *args: Any, **given: Any) -> Any:
            inside = step_inside(self.opt, opt_state.state_inside, grad, **given)
            return CountedState(inside, opt_state.updates + 1)

        def states_inside(self, opt_state: Any) -> Any:
            return (opt_state.state_inside,)

        def with_states_inside(self, opt_state: Any, *states: Any) -> Any:
            return opt_state.replace(state_inside=states[0])

    return Counted


@pytest.mark.parametrize("kind", ["negated", "counted"])
def test_it_is_like_the_optimizer_inside(
    kind: str, request: pytest.FixtureRequest
) -> None:
    inside = ScheduleFreeSGD(learning_rate=0.5)
    opt = request.getfixturevalue(kind)(opt=inside)
    seen = {k: -v if kind == "negated" else v for k, v in GRAD.items()}
    state, want = opt.init(PARAMS, {"n": 0}), inside.init(PARAMS, {"n": 0})
    for n in (1, 2):
        state = opt.update(state, GRAD, model_state={"n": n})
        want = inside.update(want, seen, model_state={"n": n})
    for read in ("get_params", "get_eval_params", "get_params_state", "get_state"):
        jax.tree.map(
            np.testing.assert_array_equal,
            getattr(opt, read)(state),
            getattr(inside, read)(want),
        )
    moved = opt.set_params(state, PARAMS)
    np.testing.assert_array_equal(opt.get_params(moved)["w"], PARAMS["w"])
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    assert opt.name == f"{type(opt).__name__}_opt({inside.name})"


def test_it_needs_what_the_optimizer_inside_needs(negated: Any) -> None:
    assert negated().needs == frozenset()
    assert negated(opt=Sophia()).needs == {"loss_fn", "key"}
    assert negated(opt=negated(opt=Sophia())).needs == {"loss_fn", "key"}


class _Published(Optimizer):
    """As the published interface has it: an update that knows no `loss_fn`."""

    def prepare(self) -> None:
        raise ZeroDivisionError

    def update(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        opt_state: Any,
        grad: Any,
        loss: Any = None,
        model_state: Any = None,
        is_valid: bool = False,
        key: Any = None,
    ) -> Any:
        return (grad, loss, model_state, is_valid, key)


def test_the_optimizer_inside_is_prepared(negated: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        negated(opt=_Published()).prepare()


def test_a_loss_function_is_passed_on_where_it_is_given() -> None:
    given = {"loss": 1.0, "model_state": 2, "is_valid": True, "key": 3}
    got = step_inside(_Published(), None, GRAD, loss_fn=None, **given)
    assert got == (GRAD, 1.0, 2, True, 3)
    with pytest.raises(TypeError, match="loss_fn"):
        step_inside(_Published(), None, GRAD, loss_fn=np.sum, **given)
