"""The decorator that makes an optimizer of an optax factory."""

import gin
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization import configuration
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers import base
from learned_optimization.optimizers.base import get_optimizer, hparam, static_field
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    optax_optimizer,
)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    base.all_optimizers()
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))


def test_kinds_of_hyper_parameters():
    @optax_optimizer
    def KindsOpt(
        learning_rate=0.1,
        momentum=None,
        power=2,
        flag=True,
        mode="a",
        count=hparam(default=3, short="n"),  # noqa: B008
        share=static_field(default=0.5, short="s"),  # noqa: B008
    ):
        """Of every kind (nobody 2026)."""
        del power, flag, mode, count, share
        return optax.sgd(learning_rate, momentum)

    opt = KindsOpt()
    assert opt.name == "KindsOpt_lr0.1_mNone_power2_flagTrue_modea_n3_s0.5"
    assert base.summary(type(opt)) == "Of every kind (nobody 2026)."
    assert type(opt).__module__ == __name__
    assert get_optimizer("KindsOpt") is type(opt)
    assert jax.tree.leaves(opt) == [0.1, 3]
    params = jnp.ones(2)
    state = opt.update(opt.init(params), params)
    np.testing.assert_allclose(opt.get_params(state), 0.9)
    gin.parse_config("KindsOpt.learning_rate = @CosineDecay()")
    gin.parse_config("CosineDecay.learning_rate = 0.5")
    with pytest.raises(LoptError, match="did you mean KindsOpt"):
        configuration.load([], ["KindOpt.learning_rate = 1.0"])
    assert KindsOpt().learning_rate is not None


def test_needs_and_base_class():
    class Loud(OptaxOptimizer):
        def get_eval_params(self, opt_state):
            return 2 * opt_state.params

    seen = {}

    @optax_optimizer(needs=("loss", "loss_fn", "key", "num_steps"), base=Loud)
    def NeedyOpt(learning_rate=0.1):
        """Asks for everything (nobody 2026)."""

        def update(updates, state, params=None, **extra):
            seen.update(extra)
            return jax.tree.map(lambda u: -learning_rate * u, updates), state

        return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)

    opt = NeedyOpt()
    params = jnp.ones(2)
    with pytest.raises(LoptError, match=r"NeedyOpt needs .*num_steps= to init"):
        opt.init(params)
    state = opt.init(params, num_steps=3)
    given = {
        "loss": jnp.float32(7),
        "key": jax.random.PRNGKey(0),
        "loss_fn": lambda p: p.sum(),
    }
    for missing in given:
        kept = {k: v for k, v in given.items() if k != missing}
        with pytest.raises(LoptError, match=f"NeedyOpt needs .*{missing}= to update"):
            opt.update(state, params, **kept)
    state = opt.update(state, params, **given)
    assert seen.keys() == {"value", "grad", "value_fn", "key"}
    assert float(seen["value"]) == 7
    assert float(seen["value_fn"](params)) == 2
    np.testing.assert_allclose(opt.get_eval_params(state), 1.8)


def test_what_is_no_hyper_parameter():
    with pytest.raises(LoptError, match=r"NoDefault.learning_rate has no default"):

        @optax_optimizer
        def NoDefault(learning_rate):
            """Lacks one (nobody 2026)."""

    with pytest.raises(LoptError, match=r"ListDefault.betas has the default \(0.9,"):

        @optax_optimizer
        def ListDefault(betas=(0.9, 0.99)):
            """Has a pair (nobody 2026)."""

    with pytest.raises(UnknownNameError, match="'los': did you mean loss"):
        optax_optimizer(needs=("los",))


def test_a_name_is_taken_once():
    with pytest.raises(LoptError, match=r"an optimizer Adam already.*optax_opts"):

        @optax_optimizer
        def Adam(learning_rate=0.1):
            """Not that one (nobody 2026)."""
            return optax.adam(learning_rate)


def test_a_static_value_of_the_wrong_type_is_refused():
    muon = get_optimizer("Muon")
    with pytest.raises(LoptError, match=r"newton_schulz_steps must be int, got 5.5"):
        base.check_hparams(muon(newton_schulz_steps=5.5))
    with pytest.raises(LoptError, match=r"must be an optimizer, e.g. @Adam"):
        base.check_hparams(get_optimizer("GradientAccumulator")(opt=0.1))
    with pytest.raises(LoptError, match=r"Adam.learning_rate must be a number or a"):
        base.check_hparams(
            get_optimizer("GradientClipOptimizer")(
                opt=get_optimizer("Adam")(learning_rate="fast")
            )
        )
