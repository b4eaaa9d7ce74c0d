"""`@optax_optimizer`: a function that makes a transformation made an optimizer."""

import itertools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization import configurable, configuration
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers import base
from learned_optimization.optimizers.base import (
    Optimizer,
    check_hparams,
    hparam,
    static_field,
    summary,
)
from learned_optimization.optimizers.learning_rate_schedules import CosineDecay
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    OptaxState,
    ScalarOrSchedule,
    optax_optimizer,
)

PARAMS = {"w": np.array([1.0, -2.0, 3.0], np.float32)}
GRAD = {"w": np.array([0.5, 0.25, -1.0], np.float32)}
_COUNTER = itertools.count()


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the names that a test makes known to gin."""
    monkeypatch.setattr(configurable, "_NAMES", list(configurable._NAMES))


def _made(factory: Callable[..., Any], **kwargs: Any) -> Any:
    """Return the optimizer of a factory, under a name that gin has not seen yet."""
    factory.__name__ = f"Made{next(_COUNTER)}"
    decorate = optax_optimizer(**kwargs) if kwargs else optax_optimizer
    made: Any = decorate(factory)
    assert base.get_optimizer(factory.__name__) is made
    return made


def _kinds(
    rate: float = 0.5,
    bound: float | None = None,
    flag: bool = True,
    count: int = 3,
    mode: str = "mean",
    size: Any = hparam(default=3, short="s"),
    share: Any = static_field(default=0.5),
) -> optax.GradientTransformation:
    """Made for a test.

    And no more.
    """
    del bound, flag, count, mode, size, share
    return optax.sgd(rate)


def test_floats_are_traced_and_flags_numbers_and_text_are_not() -> None:
    made = _made(_kinds)
    leaves, structure = jax.tree.flatten(made())
    assert leaves == [0.5, 3]
    # None is no leaf, but may become one.
    assert jax.tree.leaves(made(bound=2.0)) == [0.5, 2.0, 3]
    for changed in ({"flag": False}, {"count": 4}, {"mode": "sum"}, {"share": 0.7}):
        assert jax.tree.leaves(made(**changed)) == leaves
        assert jax.tree.structure(made(**changed)) != structure
    for same in ({"rate": 0.7}, {"size": 4}):
        assert jax.tree.structure(made(**same)) == structure
    assert jax.tree.unflatten(structure, leaves).name == made().name


def test_looks_like_the_function_it_is_made_of() -> None:
    made = _made(_kinds)
    assert made.__name__ == made.__qualname__ == _kinds.__name__
    assert made.__module__ == __name__
    assert made.__doc__ == _kinds.__doc__
    assert summary(made) == "Made for a test."
    assert OptaxOptimizer in made.__mro__
    opt = made(size=jnp.float32(7), bound=1e-3)
    assert opt.name == (
        f"{made.__name__}_rate0.5_bound0.001_flagTrue_count3_modemean_s7.0_share0.5"
    )
    assert [f.name for f in fields(made)] == [
        "rate",
        "bound",
        "flag",
        "count",
        "mode",
        "size",
        "share",
    ]


def test_common_names_are_written_short() -> None:
    def factory(
        learning_rate: float = 0.1,
        beta1: float = 0.2,
        beta2: float = 0.3,
        beta3: float = 0.4,
        epsilon: float = 0.5,
        epsilon_root: float = 0.6,
        momentum: float = 0.7,
        weight_decay: float = 0.8,
    ) -> optax.GradientTransformation:
        del beta1, beta2, beta3, epsilon, epsilon_root, momentum, weight_decay
        return optax.sgd(learning_rate)

    made = _made(factory)
    assert made().name == (
        f"{made.__name__}_lr0.1_b10.2_b20.3_b30.4_eps0.5_epsroot0.6_m0.7_wd0.8"
    )


def test_the_hyper_parameters_reach_the_factory() -> None:
    told = []

    def factory(
        learning_rate: float = 0.1, factor: float = 2.0, count: int = 1
    ) -> optax.GradientTransformation:
        told.append((learning_rate, factor, count))
        return optax.scale(-learning_rate * factor**count)

    made = _made(factory)
    # Defining it tries one update, with traced numbers.
    told.clear()
    opt = made(learning_rate=0.5, count=3)
    state = opt.init(PARAMS, model_state="before")
    assert (state.state, int(state.iteration)) == ("before", 0)
    state = opt.update(state, GRAD, model_state="after")
    assert set(told) == {(0.5, 2.0, 3)}
    # Powers of two are exact.
    np.testing.assert_array_equal(
        opt.get_params(state)["w"], PARAMS["w"] - 4 * GRAD["w"]
    )
    assert (state.state, int(state.iteration)) == ("after", 1)


def test_only_a_learning_rate_takes_a_schedule() -> None:
    def factory(
        learning_rate: float = 0.1, other: float = 0.1
    ) -> optax.GradientTransformation:
        del other
        return optax.sgd(learning_rate)

    made = _made(factory)
    schedule = CosineDecay(num_steps=2.0, learning_rate=0.5)
    opt = made(learning_rate=schedule)
    check_hparams(opt)
    with pytest.raises(LoptError, match=r"\.other must be a number, got"):
        check_hparams(made(other=schedule))
    state, want = opt.init(PARAMS), PARAMS["w"]
    for rate in (0.5, 0.25, 0.0):
        state = opt.update(state, GRAD)
        want = want - rate * GRAD["w"]
        # The middle of half a cosine is a half to float32's precision.
        np.testing.assert_allclose(opt.get_params(state)["w"], want, rtol=1e-6)


def test_a_parameter_may_say_what_it_takes() -> None:
    def factory(
        step_size: ScalarOrSchedule = 0.1,
        momenta: tuple[float, ...] = hparam(default=(0.5, 0.25), short="m"),
        inside: Optimizer | None = hparam(default=None),
    ) -> optax.GradientTransformation:
        del momenta, inside
        return optax.sgd(step_size)

    made = _made(factory)
    schedule = CosineDecay(num_steps=2.0, learning_rate=0.5)
    opt = made(step_size=schedule, momenta=(0.75,), inside=made())
    check_hparams(opt)
    assert opt.name.startswith(f"{made.__name__}_step_size({schedule.name})_m0.75_")
    for refused, kinds in (
        ({"step_size": "fast"}, "a number or a schedule"),
        ({"momenta": 0.5}, "a list of numbers"),
        ({"inside": 0.5}, "an optimizer"),
    ):
        with pytest.raises(LoptError, match=f"must be {kinds}"):
            check_hparams(made(**refused))


def test_a_parameter_that_is_not_supported_says_why() -> None:
    made = _made(
        lambda learning_rate=0.1: optax.sgd(learning_rate),
        not_supported={"mask": "it has no use here"},
    )
    assert made.not_supported == {"mask": "it has no use here"}
    with pytest.raises(LoptError, match="no parameter 'mask': it has no use here"):
        configuration.load(bindings=[f"{made.__name__}.mask = None"])
    assert _made(lambda learning_rate=0.1: optax.sgd(learning_rate)).not_supported == {}


def test_gin_configures_it() -> None:
    def factory(
        learning_rate: float = 0.1, count: int = 1
    ) -> optax.GradientTransformation:
        del count
        return optax.sgd(learning_rate)

    made = _made(factory)
    with gin.unlock_config():
        gin.parse_config([f"{made.__name__}.learning_rate = 0.25"])
        gin.parse_config([f"{made.__name__}.count = 7"])
    assert (made().learning_rate, made().count) == (0.25, 7)
    assert made(learning_rate=0.5).learning_rate == 0.5
    gin.clear_config()
    assert made().learning_rate == 0.1


def test_one_program_serves_many_learning_rates() -> None:
    traces = []

    def factory(learning_rate: float = 0.1) -> optax.GradientTransformation:
        return optax.sgd(learning_rate)

    made = _made(factory)

    @jax.jit
    def step(opt: Any) -> Any:
        traces.append(opt)
        return opt.get_params(opt.update(opt.init(PARAMS), GRAD))["w"]

    rates = np.array([0.25, 0.5, 1.0], np.float32)
    for rate in rates:
        want = PARAMS["w"] - rate * GRAD["w"]
        np.testing.assert_array_equal(step(made(learning_rate=rate)), want)
    assert len(traces) == 1
    together = jax.vmap(step)(made(learning_rate=jnp.array(rates)))
    np.testing.assert_array_equal(together, PARAMS["w"] - rates[:, None] * GRAD["w"])


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ({}, "has no default: a hyper-parameter needs a number"),
        ({"default": [1, 2]}, r"has the default \[1, 2\]: a hyper-parameter needs"),
        ({"default": (0.9, 0.999)}, r"has the default \(0\.9, 0\.999\)"),
    ],
)
def test_what_cannot_be_a_hyper_parameter_is_refused(
    default: dict[str, Any], message: str
) -> None:
    if default:

        def factory(betas: Any = default["default"]) -> optax.GradientTransformation:
            return optax.sgd(betas)
    else:

        def factory(betas: Any) -> optax.GradientTransformation:
            return optax.sgd(betas)

    before = base.all_optimizers()
    with pytest.raises(LoptError, match=rf"factory\.betas {message}"):
        optax_optimizer(factory)
    assert before == base.all_optimizers()


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown need of an optimizer 'los'"):
        optax_optimizer(needs=("los",))


def test_the_name_of_another_is_refused() -> None:
    def Adam(learning_rate: float = 0.1) -> optax.GradientTransformation:
        return optax.sgd(learning_rate)

    theirs = base.get_optimizer("Adam")
    with pytest.raises(LoptError, match="an optimizer Adam already") as caught:
        optax_optimizer(Adam)
    assert theirs.__module__ in str(caught.value)
    assert __name__ in str(caught.value)
    assert base.get_optimizer("Adam") is theirs


def _watching(seen: dict[str, Any]) -> optax.GradientTransformationExtraArgs:
    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        seen.clear()
        seen.update(extra, params=params)
        return jax.tree.map(lambda g: -g, updates), state

    return optax.GradientTransformationExtraArgs(
        lambda params: optax.EmptyState(), update
    )


GIVEN = {"loss": 1.5, "loss_fn": jnp.sum, "key": jax.random.PRNGKey(0)}
ASKED = {
    "num_steps": {},
    "loss": {"value": 1.5, "grad": GRAD},
    "loss_fn": {"value_fn": GIVEN["loss_fn"]},
    "key": {"key": GIVEN["key"]},
}


def _needy(*needs: str) -> tuple[Optimizer, dict[str, Any]]:
    seen: dict[str, Any] = {}

    def factory(scale: float = 1.0) -> optax.GradientTransformationExtraArgs:
        del scale
        return _watching(seen)

    return _made(factory, needs=needs)(), seen


@pytest.mark.parametrize(
    "needs",
    [(), *[(need,) for need in ASKED], ("loss", "loss_fn"), tuple(ASKED)],
)
def test_the_transformation_gets_what_it_needs_and_no_more(
    needs: tuple[str, ...],
) -> None:
    opt, seen = _needy(*needs)
    assert opt.needs == frozenset(needs)
    state = opt.init(PARAMS, num_steps=10)
    state = opt.update(state, GRAD, **GIVEN)
    want: dict[str, Any] = {"params": PARAMS}
    for need in needs:
        want |= ASKED[need]
    assert set(seen) == set(want)
    assert all(seen[k] is v for k, v in want.items())
    np.testing.assert_array_equal(state.params["w"], PARAMS["w"] - GRAD["w"])


@pytest.mark.parametrize("need", ASKED)
def test_what_is_needed_is_asked_for(need: str) -> None:
    opt, _ = _needy(need)
    message = f"{type(opt).__name__} needs {base.NEEDS[need]}."
    assert message.endswith((f"pass {need}= to update.", f"pass {need}= to init."))
    if need == "num_steps":
        with pytest.raises(LoptError, match=message):
            opt.init(PARAMS)
        return
    state = opt.init(PARAMS)
    with pytest.raises(LoptError, match=message):
        opt.update(state, GRAD, **{k: v for k, v in GIVEN.items() if k != need})


def test_a_transformation_that_takes_no_more_needs_no_more() -> None:
    # Plain optax transformations refuse arguments they do not know.
    opt = _made(lambda learning_rate=0.5: optax.sgd(learning_rate), needs=("loss",))()
    state = opt.update(opt.init(PARAMS), GRAD, loss=1.0)
    np.testing.assert_array_equal(state.params["w"], PARAMS["w"] - 0.5 * GRAD["w"])


def test_optax_transformations_read_the_names_given() -> None:
    # Polyak's step: (value - f_min) / |grad|^2 along the gradient, one at most.
    opt = _made(
        lambda longest=1.0: optax.polyak_sgd(max_learning_rate=longest),
        needs=("loss",),
    )()
    grad = {"w": np.array([3.0, 0.0, 4.0], np.float32)}
    state = opt.update(opt.init(PARAMS), grad, loss=jnp.float32(5.0))
    want = PARAMS["w"] - 5.0 / 25.0 * grad["w"]
    np.testing.assert_allclose(state.params["w"], want, rtol=1e-6)


class _Doubled(OptaxOptimizer):
    def get_eval_params(self, opt_state: OptaxState) -> Any:
        return jax.tree.map(lambda p: 2 * p, opt_state.params)


def test_derives_from_the_base_given() -> None:
    made = _made(lambda learning_rate=0.5: optax.sgd(learning_rate), base=_Doubled)
    opt = made()
    assert isinstance(opt, _Doubled)
    state = opt.update(opt.init(PARAMS), GRAD)
    want = PARAMS["w"] - 0.5 * GRAD["w"]
    np.testing.assert_array_equal(opt.get_params(state)["w"], want)
    np.testing.assert_array_equal(opt.get_eval_params(state)["w"], 2 * want)
