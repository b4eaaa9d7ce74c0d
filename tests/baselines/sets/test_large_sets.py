"""What a set of many settings costs: each is looked at, and few are started."""

import gin
import jax
import pytest

from learned_optimization import configuration
from learned_optimization.baselines.sets import settings
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sets.settings import make_optimizer, make_optimizers
from learned_optimization.errors import LoptError

SPACES = {
    "numbers": ({"learning_rate": {"log": [1e-5, 0.1]}, "beta1": [0.5, 0.9]}, {}),
    "a schedule": (
        {"CosineDecay.learning_rate": {"log": [1e-5, 0.1]}},
        {"learning_rate": "@CosineDecay()", "CosineDecay.num_steps": 20.0},
    ),
}


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("count", [50, 500])
def test_settings_that_differ_in_numbers_are_started_once(kind, count, monkeypatch):
    calls = {"started": 0, "cleared": 0}

    def counting(name, real):
        def call(*args, **kwargs):
            calls[name] += 1
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(jax, "eval_shape", counting("started", jax.eval_shape))
    monkeypatch.setattr(gin, "clear_config", counting("cleared", gin.clear_config))
    space, fixed = SPACES[kind]
    made = hparam_set(
        "Mine", "Adam", 20, space, fixed, search="random", num_configs=count
    )
    assert len(set(made.opt_names)) == count
    # gin's configuration is set aside once, and put back.
    assert calls["started"] == 1
    assert calls["cleared"] < 10
    assert not gin.config_str()


def test_optimizers_made_together_are_those_made_alone():
    rows = [
        {"learning_rate": 0.1},
        {"learning_rate": 0.2},
        {"learning_rate": "@CosineDecay()", "CosineDecay.learning_rate": 0.3},
        {"learning_rate": "@LinearDecay()", "LinearDecay.learning_rate": 0.3},
        {"learning_rate": "@LinearDecay()", "LinearDecay.learning_rate": 0.4},
        {"beta1": 0.3},
        {"learning_rate": 0.1},
    ]
    for row in rows[2:5]:
        row |= {f"{row['learning_rate'][1:-2]}.num_steps": 20.0}
    names = [opt.name for opt in make_optimizers("Adam", rows)]
    assert names == [make_optimizer("Adam", row).name for row in rows]
    assert len(set(names)) == 6
    with configuration.bound({"Adam.beta2": 0.5}):
        assert all("_b20.5" in o.name for o in make_optimizers("Adam", rows))


def test_each_of_many_is_looked_at():
    rates = [0.1] * 3 + ["@CosineDecay()"]
    rows = [{"learning_rate": r, "CosineDecay.learning_rate": 0.3} for r in rates]
    with pytest.raises(
        LoptError, match=r"nothing in .* uses CosineDecay.learning_rate"
    ):
        make_optimizers("Adam", rows)
    good = {"learning_rate": "@CosineDecay()", "CosineDecay.learning_rate": 0.3}
    good |= {"CosineDecay.num_steps": 20.0}
    with pytest.raises(LoptError, match=r"nothing in .*rate=0.5, .* uses CosineDecay"):
        make_optimizers("Adam", [good, {**good, "learning_rate": 0.5}])
    with pytest.raises(LoptError, match=r"Adam.beta1 must be a number"):
        make_optimizers("Adam", [{"beta1": 0.5}, {"beta1": "high"}])


def test_one_that_cannot_start_is_found_among_many():
    class Odd:
        """An optimizer's stand-in, of which one value is refused."""

        is_traceable = True

        def __init__(self, whole: int, part: float):
            self.whole, self.part = whole, part

        def prepare(self) -> None:
            if self.part > 1:
                raise LoptError("part is too large")

        def init(self, params, model_state, num_steps, key):
            if self.whole == 3:
                raise RuntimeError("no threes")
            return params

    jax.tree_util.register_pytree_node(
        Odd, lambda o: ((o.whole, o.part), None), lambda _, leaves: Odd(*leaves)
    )
    for whole, part, message in ((3, 0.5, "whole=3.*no threes"), (2, 2.0, "too large")):
        rows = [{"whole": w, "part": 0.5} for w in range(3)] + [
            {"whole": whole, "part": part}
        ]
        opts = [Odd(**row) for row in rows]
        with pytest.raises(LoptError, match=message):
            settings.check_starts("Odd", rows, opts, 20)  # pyright: ignore
