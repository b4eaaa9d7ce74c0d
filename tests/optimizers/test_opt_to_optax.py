"""Optimizers as gradient transformations of optax: the same steps, the same states."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import (
    Optimizer,
    StatelessState,
    all_optimizers,
)
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.opt_list import OptList
from learned_optimization.optimizers.opt_to_optax import opt_to_optax_opt
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.optimizers.optimizer_wrappers import WeightDecayWrapper

PARAMS = {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.array([0.1, 0.2])}


def grads_at(i: int) -> Any:
    return jax.tree.map(lambda p: jnp.sin(p + i), PARAMS)


def run(tx: Any, steps: int = 4, **given: Any) -> Any:
    params, state = PARAMS, tx.init(PARAMS)
    for i in range(steps):
        updates, state = tx.update(grads_at(i), state, params, **given)
        params = optax.apply_updates(params, updates)
    return params


def test_adam_is_the_adam_of_optax() -> None:
    ours = run(opt_to_optax_opt(Adam(learning_rate=0.1, epsilon_root=0.0)))
    theirs = run(optax.adam(0.1))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5)  # noqa: E731
    jax.tree.map(close, ours, theirs)


WRAPPED = {
    "accumulating": lambda: GradientAccumulator(Adam(0.1), 2),
    "decaying": lambda: WeightDecayWrapper(SGD(0.1), 0.5),
}
KINDS: dict[str, Any] = {**all_optimizers(), **WRAPPED}


def _sum_of_squares(params: Any) -> jax.Array:
    squares = [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params)]
    return jnp.asarray(sum(squares))


_IN_SECONDS = {*WRAPPED, "SGD", "Lion", "NAdamW"}


@pytest.mark.parametrize(
    "name",
    [n if n in _IN_SECONDS else pytest.param(n, marks=pytest.mark.slow) for n in KINDS],
)
def test_steps_are_the_optimizers_own(name: str) -> None:
    opt: Any = KINDS[name]()
    given: dict[str, Any] = {"loss": 1.0, "key": jax.random.PRNGKey(0)}
    if "loss_fn" in opt.needs:
        given["loss_fn"] = _sum_of_squares
    state = opt.init(PARAMS, num_steps=10)
    for i in range(2):
        state = opt.update(state, grads_at(i), **given)
    got = run(opt_to_optax_opt(opt, num_steps=10), 2, **given)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, got, opt.get_params(state))


def test_the_state_holds_no_parameters() -> None:
    state = opt_to_optax_opt(SGD(0.1)).init(PARAMS)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(state)]
    assert (2, 2) not in shapes


@pytest.mark.parametrize(
    "given",
    [{"loss": 2.0}, {"extra_args": {"loss": 2.0}}, {"value": 2.0}],
    ids=lambda given: next(iter(given)),
)
def test_the_loss_is_given_in_three_ways(given: dict[str, Any]) -> None:
    seen = []

    class Seeing(Optimizer):
        def init(self, params: Any, *args: Any, **kwargs: Any) -> StatelessState:
            return StatelessState(params, None)

        def update(
            self, opt_state: Any, grad: Any, loss: Any = None, *_: Any, **__: Any
        ) -> Any:
            seen.append(loss)
            return opt_state

    run(opt_to_optax_opt(Seeing()), 1, **given)
    assert seen == [2.0]


def test_in_a_chain_and_compiled() -> None:
    tx = optax.chain(optax.clip(0.5), opt_to_optax_opt(SGD(0.1)))

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        updates, state = tx.update(grads_at(0), state, params, loss=jnp.float32(1))
        return optax.apply_updates(params, updates), state

    params, _ = step(PARAMS, tx.init(PARAMS))
    clipped = jnp.clip(jnp.sin(PARAMS["w"]), -0.5, 0.5)
    np.testing.assert_allclose(params["w"], PARAMS["w"] - 0.1 * clipped, rtol=1e-6)


def test_the_length_of_the_run_is_told() -> None:
    with pytest.raises(LoptError, match="needs the length of the run"):
        opt_to_optax_opt(OptList(0)).init(PARAMS)
    opt_to_optax_opt(OptList(0), 10).init(PARAMS)


def test_parameters_are_needed() -> None:
    tx = opt_to_optax_opt(SGD(0.1))
    with pytest.raises(LoptError, match="SGD moves parameters: pass them to update"):
        tx.update(grads_at(0), tx.init(PARAMS))
