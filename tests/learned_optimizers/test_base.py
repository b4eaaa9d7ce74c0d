"""The interface: one's own learned optimizers, their names, errors, one program."""

import dataclasses
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization import configuration
from learned_optimization.errors import LoptError, NotRegisteredError
from learned_optimization.learned_optimizers import base
from learned_optimization.learned_optimizers.adafac_mlp_lopt import AdafacMLPLOpt
from learned_optimization.learned_optimizers.adafac_nominal import MLPNomLOpt
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    ThetaOptimizer,
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.learned_optimizers.celo2 import Celo2
from learned_optimization.learned_optimizers.hyper_v2 import HyperV2
from learned_optimization.optimizers.base import Optimizer, StatelessState
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.hparam_checks import check_hparams
from learned_optimization.optimizers.one_update import check_one_update_once
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.training.grid import stack_hparams
from tests.tiny import TinyRegression

PARAMS = {"w": np.array([1.0, -2.0, 3.0], np.float32)}
GRAD = {"w": np.array([0.5, -4.0, 0.0], np.float32)}


def scaled_sign(**attributes) -> type[LearnedOptimizer]:
    """Define a learned optimizer, as a user does."""

    class ScaledSign(LearnedOptimizer):
        """Steps along the sign of the gradient."""

        multiplier: float = hparam(default=1.0, short="x")
        is_reversed: bool = static_field(default=False)

        def init(self, key):
            return {"log_size": jnp.log(0.5)}

        def opt_init(self, theta, params, model_state, num_steps, key):
            return StatelessState(params, model_state)

        def opt_update(self, theta, opt_state, grad, *, model_state, **given):
            size = self.multiplier * jnp.exp(theta["log_size"])
            size = -size if self.is_reversed else size
            params = jax.tree.map(
                lambda p, g: p - size * jnp.sign(g), opt_state.params, grad
            )
            return StatelessState(params, model_state)

    for name, value in attributes.items():
        setattr(ScaledSign, name, value)
    return learned_optimizer(ScaledSign)


def published_style(theta_leaf_name: str = "log_lr") -> LearnedOptimizer:
    """Define one as published programs do: its optimizer closes over theta."""

    class MyLOpt(LearnedOptimizer):
        def init(self, key):
            return {theta_leaf_name: jnp.log(0.1)}

        def opt_fn(self, theta, is_training=False):
            class _Opt(Optimizer):
                def init(self, params, model_state=None, num_steps=None, key=None):
                    return StatelessState(params, model_state)

                def update(
                    self, opt_state, grad, loss=None, model_state=None, *_, **__
                ):
                    rate = jnp.exp(theta[theta_leaf_name])
                    params = jax.tree.map(
                        lambda p, g: p - rate * g, opt_state.params, grad
                    )
                    return StatelessState(params, model_state)

            return _Opt()

    return MyLOpt()


def test_one_of_ones_own_steps_as_it_says() -> None:
    lopt = scaled_sign()(multiplier=2.0)
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    state = jax.jit(opt.update)(opt.init(PARAMS, {"n": 1.0}), GRAD, model_state=None)
    np.testing.assert_allclose(opt.get_params(state)["w"], [0.0, -1.0, 3.0], rtol=1e-6)


def test_it_is_registered_with_gin_too_and_may_be_defined_again() -> None:
    cls = scaled_sign()
    assert base.get_learned_optimizer("ScaledSign") is cls
    assert scaled_sign() is base.get_learned_optimizer("ScaledSign")
    with configuration.bound({"ScaledSign.multiplier": 3.0}):
        made = gin.get_configurable("ScaledSign")()
    assert made.multiplier == 3.0
    with pytest.raises(NotRegisteredError, match="ScaledSign"):
        base.get_learned_optimizer("ScaledSing")


def test_a_name_of_the_package_is_taken() -> None:
    LearnableSGD = type("LearnableSGD", (LearnedOptimizer,), {})
    with pytest.raises(LoptError, match=r"LearnableSGD already.*needs another name"):
        learned_optimizer(LearnableSGD)
    assert base.get_learned_optimizer("LearnableSGD").__module__.endswith("learnable")


def test_names_tell_settings_and_thetas_apart() -> None:
    cls = scaled_sign()
    thetas = [{"log_size": np.float32(x)} for x in (0, 1)]
    lopts = [cls(), cls(multiplier=2.0), cls(is_reversed=True)]
    names = {lopt.opt_fn(theta).name for lopt in lopts for theta in thetas}
    assert len(names) == 6
    assert cls(2.0, is_reversed=True).name == "ScaledSign_x2.0_is_reversedTrue"
    assert cls().name == "ScaledSign"
    name = cls().opt_fn(thetas[0]).name
    assert name == cls().opt_fn({"log_size": jnp.float32(0)}).name
    assert name.startswith("ScaledSign_theta")
    assert len(name) == len("ScaledSign_theta") + 10


def test_a_list_is_a_tuple() -> None:
    classes: list[Any] = [HyperV2, AdafacMLPLOpt, MLPNomLOpt, Celo2]
    for cls in classes:
        made = cls(initial_momentum_decays=[0.9, 0.99, 0.999])
        assert made.name == cls().name
        assert jax.tree.structure(made) == jax.tree.structure(cls())
        assert hash(jax.tree.structure(made))


def test_a_digest_is_of_names_values_and_types_not_of_order() -> None:
    a, b = np.arange(3, dtype=np.float32), np.zeros(2, np.float32)
    digest = base.digest_of({"a": a, "b": {"c": b}})
    assert digest == base.digest_of({"b": {"c": b}, "a": a})
    others = [
        {"a": a, "b": {"d": b}},
        {"a": a + 1, "b": {"c": b}},
        {"a": a.astype(np.float16), "b": {"c": b}},
        {"a": a[:, None], "b": {"c": b}},
        {"a": a, "b": b},
    ]
    assert len({digest, *map(base.digest_of, others)}) == 6


@pytest.mark.parametrize("need", ["loss", "num_steps"])
def test_what_it_needs_is_asked_for(need: str) -> None:
    lopt = scaled_sign(needs=frozenset({need}))()
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    assert opt.needs == {need}
    assert GradientAccumulator(opt).needs == {need}
    with pytest.raises(LoptError, match=rf"^ScaledSign needs .*{need}="):
        opt.update(opt.init(PARAMS), GRAD)


def test_theta_is_always_an_argument_of_the_program() -> None:
    cls = scaled_sign()
    opts: list[Any] = [
        cls().opt_fn({"log_size": np.asarray(0.25, "f")}) for _ in range(2)
    ]
    for several in (opts[:1], opts):
        stacked, rebuild = stack_hparams(several)
        assert [x.shape for x in stacked] == [(len(several),)]
        opt: Any = rebuild([values[0] for values in stacked])
        assert isinstance(opt, ThetaOptimizer)
        assert opt.theta == {"log_size": 0.25}
        # A setting that all share stays a number, of full precision.
        multiplier = getattr(opt.lopt, "multiplier", None)
        assert isinstance(multiplier, float)
        assert multiplier == 1.0
    stacked, _ = stack_hparams([opts[0], dataclasses.replace(opts[0], lopt=cls(2.0))])
    assert len(stacked) == 2
    # So is a number in theta, as numpy and Python have them.
    for number in (np.float32(0.25), 0.25):
        stacked, _ = stack_hparams([cls().opt_fn({"log_size": number})])
        assert [(x.shape, x.dtype) for x in stacked] == [((1,), np.float32)]
    # Numbers of hand-made optimizers stay out of the arguments where they agree.
    assert stack_hparams([SGD(0.1), SGD(0.1)])[0] == []


def test_published_programs_serve_too() -> None:
    lopt = published_style()
    opt = lopt.opt_fn(lopt.init(jax.random.PRNGKey(0)))
    state = opt.update(opt.init(PARAMS), GRAD, loss=jnp.float32(1.0))
    np.testing.assert_allclose(opt.get_params(state)["w"], [0.95, -1.6, 3.0], rtol=1e-6)
    check_hparams(opt)
    check_one_update_once(opt, TinyRegression(), 10)


def test_a_mistake_in_ones_own_is_said_with_its_name_and_line() -> None:
    def opt_update(self, theta, opt_state, grad, *, model_state, **given):
        if theta["log_size"] > 0:
            return opt_state
        return StatelessState(opt_state.params, model_state)

    lopt = scaled_sign(opt_update=opt_update)()
    opt = lopt.opt_fn({"log_size": np.float32(1)})
    check_hparams(opt)
    with pytest.raises(LoptError, match=r"^ScaledSign.update asks a traced number"):
        check_one_update_once(opt, TinyRegression(), 10)


def test_names_of_the_published_interface_are_in_base() -> None:
    names = ["LearnableSGD", "LearnableSGDM", "LearnableAdam", "SumLearnedOptimizer"]
    names += ["SumOptimizer", "learned_optimizer_from_opt", "wrap_learned_opt"]
    names += ["MetaParams", "Params", "PRNGKey", "one_minus_log", "LearnedOptimizer"]
    assert all(getattr(base, name) is not None for name in names)
    with pytest.raises(AttributeError, match="LearnableLion"):
        _ = base.LearnableLion
    assert float(base.one_minus_log(0.75)) == pytest.approx(np.log(0.25))
