"""An optimizer of one's own is tried when it is defined, and told what is wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.baselines.sweeps.inner_training import make_trial
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Checkpoint, RunPlan, RunStoppedError
from learned_optimization.optimizers.base import (
    OPTIMIZERS,
    Optimizer,
    StatelessState,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    optax_optimizer,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.training.run import run_grid
from tests.tiny import TinyTask


def transformation(init: Any, update: Any) -> optax.GradientTransformation:
    return optax.GradientTransformation(init, update)


def python_if(learning_rate=1e-3, decay=0.1):
    if decay > 0:
        return optax.adamw(learning_rate, weight_decay=decay)
    return optax.adam(learning_rate)


def changed_type(learning_rate=1e-3):
    del learning_rate
    return transformation(
        lambda params: jnp.zeros([], jnp.int32), lambda u, s, p=None: (u, s + 0.5)
    )


def changed_shape(learning_rate=1e-3):
    del learning_rate
    return transformation(
        lambda params: jnp.zeros(1), lambda u, s, p=None: (u, jnp.append(s, 0.0))
    )


def changed_structure(learning_rate=1e-3):
    del learning_rate
    return transformation(lambda params: (), lambda u, s, p=None: (u, (jnp.ones(3),)))


def numpy_inside(learning_rate=1e-3):
    return transformation(
        lambda params: (),
        lambda u, s, p=None: (jax.tree.map(lambda g: np.sign(g) * learning_rate, u), s),
    )


def undeclared_need(learning_rate=1.0):
    return optax.polyak_sgd(learning_rate)


def no_transformation(learning_rate=1e-3):
    del learning_rate


def no_array(learning_rate=1e-3):
    del learning_rate
    return transformation(lambda params: "text", lambda u, s, p=None: (u, s))


def misspelt(learning_rate=1e-3):
    return optax.adamm(learning_rate)  # pyright: ignore[reportAttributeAccessIssue]


def silent(learning_rate=1e-3):
    raise AssertionError


MISTAKES = {
    python_if: r"python_if.init asks a traced .*py:\d+ `if decay > 0:`.*jnp.where",
    changed_type: r"state of changed_type .* float32\[\] at .*, where int32\[\] was",
    changed_shape: r"of changed_shape .* float32\[2\] at .*where float32\[1\] was",
    changed_structure: r"state of changed_structure .* another structure",
    numpy_inside: r"numpy_inside.update asks a traced number .*py:\d+ `.*np.sign",
    undeclared_need: r"undeclared_need.update is not given all .*'value'.*needs=",
    no_transformation: r"no_transformation must return an optax.Grad.* got None",
    no_array: r"no_array.init returns something that is no array.*'str'",
    misspelt: r"misspelt.init fails, .*py:\d+ .*: AttributeError: .*'adamm'",
}


@pytest.mark.parametrize("factory", MISTAKES, ids=lambda factory: factory.__name__)
def test_a_mistake_is_named_and_nothing_is_registered(factory: Any) -> None:
    with pytest.raises(LoptError, match=MISTAKES[factory]):
        optax_optimizer(factory)
    assert factory.__name__ not in OPTIMIZERS.all()


def test_the_optimizer_before_stays_where_the_next_is_mistaken() -> None:
    def mine(learning_rate=0.1):
        return optax.sgd(learning_rate)

    first = optax_optimizer(mine)
    mistaken = lambda learning_rate=0.1: changed_type(learning_rate)  # noqa: E731
    mistaken.__name__ = "mine"
    with pytest.raises(LoptError, match="state of mine"):
        optax_optimizer(mistaken)
    assert OPTIMIZERS.get("mine") is first


def test_a_class_is_tried_too() -> None:
    with pytest.raises(
        LoptError, match=r"Halved .* bfloat16\[3\] at .params\['bias'\]"
    ):

        @optimizer
        class Halved(Optimizer):
            rate: Any = hparam(default=0.1)

            def init(self, params, model_state=None, num_steps=None, key=None):
                return StatelessState(params, model_state)

            def update(self, opt_state, grad, loss=None, model_state=None, **kwargs):  # pyright: ignore[reportIncompatibleMethodOverride]
                params = jax.tree.map(
                    lambda p, g: jnp.asarray(p - self.rate * g, jnp.bfloat16),
                    opt_state.params,
                    grad,
                )
                return StatelessState(params, model_state)

    with pytest.raises(
        LoptError,
        match=r"Unwritten.init fails.*: NotImplementedError at .*base.py:\d+$",
    ):

        @optimizer
        class Unwritten(Optimizer):
            rate: Any = hparam(default=0.1)


def test_what_no_decorator_made_is_tried_before_it_trains() -> None:
    opt = OptaxOptimizer(changed_type())
    with pytest.raises(LoptError, match=r"OptaxOptimizer .* float32\[\] at"):
        inner_train_task(TinyTask(), opt, 3, task_name="T", opt_name="mine")


def test_what_may_depend_on_the_parameters_fails_where_it_is_trained() -> None:
    # Whether an error is of the parameters cannot be told before there are any.
    opt = optax_optimizer(silent)
    with pytest.raises(AssertionError):
        inner_train_task(TinyTask(), opt(), 3, task_name="T", opt_name="mine")


def tied_to_its_task(learning_rate=1e-3):
    """Decay what `TinyTask` calls w: no other parameters will do."""
    decay = optax.masked(optax.add_decayed_weights(0.1), {"w": True, "b": False})
    return optax.chain(decay, optax.sgd(learning_rate))


def of_no_scalar(learning_rate=1e-3):
    def scaled(gradient: jax.Array) -> jax.Array:
        norm = jnp.linalg.norm(gradient, axis=-1, keepdims=True)
        return -learning_rate * gradient / (norm + 1.0)

    return optax.stateless(lambda updates, params: jax.tree.map(scaled, updates))


@pytest.mark.parametrize(
    ("factory", "task"),
    [
        (tied_to_its_task, TinyTask()),
        (of_no_scalar, get_task_from_name("ImageMLP_FashionMnist8_Relu32")),
    ],
    ids=["tied_to_its_task", "of_no_scalar"],
)
def test_what_its_task_can_train_is_defined_and_trained(
    factory: Any, task: Any
) -> None:
    opt = optax_optimizer(factory)()
    result = inner_train_task(task, opt, 3, task_name="T", opt_name="mine")
    assert str(result["status"]) == "done"


def test_a_warm_up_is_not_too_long_for_the_trial() -> None:
    @optimizer
    class WarmedUp(Optimizer):
        rate: Any = hparam(default=0.1)

        def init(self, params, model_state=None, num_steps=None, key=None):
            optax.cosine_decay_schedule(1.0, (num_steps or 0) - 100)
            return StatelessState(params, model_state)

        def update(self, opt_state, grad, loss=None, model_state=None, **kwargs):  # pyright: ignore[reportIncompatibleMethodOverride]
            return opt_state

    make_trial(TinyTask(), WarmedUp(), 150, seed=0, task_name="T")


def test_defining_starts_no_backend(tmp_path: Path) -> None:
    # Processor cores become devices only before jax computes.
    file = tmp_path / "mine.py"
    file.write_text(
        "import optax\n"
        "from jax._src import xla_bridge\n"
        "from learned_optimization.optimizers.optax_optimizer import optax_optimizer\n"
        "@optax_optimizer\n"
        "def Mine(learning_rate=0.1):\n"
        "    return optax.adam(learning_rate)\n"
        "print(xla_bridge.backends_are_initialized())\n"
    )
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_keys_in_a_state_are_trained_saved_and_restored(tmp_path: Path) -> None:
    opt = OptaxOptimizer(optax.noisy_sgd(0.01, key=jax.random.key(0)))
    other = OptaxOptimizer(optax.noisy_sgd(0.01, key=jax.random.key(1)))
    assert opt.name != other.name
    keys, plan = [key_of_seed(0), key_of_seed(1)], RunPlan(30, 10, 1, 1)
    want = run_grid(TinyTask(), [opt], keys, plan)
    # Other noise: the key is used.
    assert not np.array_equal(
        want.curves["train/loss"],
        run_grid(TinyTask(), [other], keys, plan).curves["train/loss"],
    )
    chunks = iter([False, True])
    path = str(tmp_path / "checkpoint.npz")
    stopping = Checkpoint(path, "same", should_stop=lambda: next(chunks))
    with pytest.raises(RunStoppedError):
        run_grid(
            TinyTask(), [opt], keys, plan, checkpoint=stopping, strategy=want.strategy
        )
    got = run_grid(TinyTask(), [opt], keys, plan, checkpoint=Checkpoint(path, "same"))
    np.testing.assert_array_equal(got.curves["train/loss"], want.curves["train/loss"])
