"""Every optimizer on every type and shape: types hold, and numbers stay finite.

A new optimizer is covered with no edit. All shapes are in one tree; `mixed` is a tree
of all types. What is only traced costs little, so that it covers everything; what is
run is run under jit, scan and vmap at once, with parameters and gradients that are zero
and that are not.
"""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.optimizers.base import all_optimizers
from learned_optimization.prng import key_of_seed
from tests.optimizers.test_all_optimizers import make

NAMES = list(all_optimizers())
SHAPES = (
    (),
    (1,),
    (5,),
    (1, 4),
    (4, 3),
    (2, 3, 4),
    (3, 3, 2, 4),
    (0,),
    (3, 0),
    (0, 3),
    (2, 0, 3, 4),
)
TYPES = ("float32", "bfloat16", "float16")
WIDE = (*TYPES, "float64")
NUM_STEPS = 3


def kinds(x64: bool) -> tuple[str, ...]:
    return (*(WIDE if x64 else TYPES), "mixed")


def shapes(kind: str, x64: bool) -> dict[str, jax.ShapeDtypeStruct]:
    """Return every shape, of one type or each of the next of all types."""
    types = (WIDE if x64 else TYPES) if kind == "mixed" else (kind,)
    return {
        f"{dtype}{shape}": jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
        for shape, dtype in zip(SHAPES, itertools.cycle(types), strict=False)
    }


def loss(params: Any) -> jax.Array:
    # Of the widest type there is, as a sum of losses would be.
    terms = [jnp.sum((leaf + 0.1) ** 2) for leaf in jax.tree.leaves(params)]
    return sum((jnp.asarray(term, jnp.float32) for term in terms), jnp.zeros([]))


def step(opt: Any, state: Any, scale: Any) -> Any:
    value, grad = jax.value_and_grad(loss)(opt.get_params(state))
    grad = jax.tree.map(lambda g: g * jnp.asarray(scale, g.dtype), grad)
    extra = {"loss_fn": loss} if "loss_fn" in opt.needs else {}
    return opt.update(state, grad, loss=value, key=key_of_seed(1), **extra)


def start(opt: Any, params: Any) -> Any:
    return opt.init(params, num_steps=100, key=key_of_seed(0))


def signature(tree: Any) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@contextlib.contextmanager
def floats(x64: bool) -> Iterator[None]:
    with jax.enable_x64(x64):
        yield


def check_types(name: str, kind: str, x64: bool) -> None:
    with floats(x64):
        opt, params = make(name), shapes(kind, x64)
        state = jax.eval_shape(lambda p: start(opt, p), params)
        after, evaluated = jax.eval_shape(
            lambda s: (new := step(opt, s, 1.0), opt.get_eval_params(new)), state
        )
        assert jax.tree.structure(after) == jax.tree.structure(state)
        assert signature(after) == signature(state)
        assert signature(opt.get_params(after)) == signature(params)
        assert signature(evaluated) == signature(params)


@pytest.mark.parametrize("name", NAMES)
def test_a_mixed_tree_keeps_its_types(name: str) -> None:
    check_types(name, "mixed", x64=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "x64",
    [
        pytest.param(True, marks=pytest.mark.slow),
        pytest.param(False, marks=pytest.mark.exhaustive),
    ],
)
def test_every_tree_keeps_its_types(x64: bool, name: str) -> None:
    for kind in kinds(x64):
        check_types(name, kind, x64)


def check_steps(name: str, kind: str, x64: bool) -> None:
    """Step four trials at once: parameters, and gradients, that are zero and not."""
    with floats(x64):
        opt, tree = make(name), shapes(kind, x64)
        rng = np.random.default_rng(0)
        drawn = {
            k: jnp.asarray(rng.normal(size=s.shape), s.dtype) for k, s in tree.items()
        }

        @jax.jit
        @jax.vmap
        def run(scale_of_params: jax.Array, scale_of_grads: jax.Array) -> Any:
            params = jax.tree.map(
                lambda p: p * jnp.asarray(scale_of_params, p.dtype), drawn
            )

            def one(state: Any, _: None) -> tuple[Any, None]:
                return step(opt, state, scale_of_grads), None

            state, _ = jax.lax.scan(one, start(opt, params), length=NUM_STEPS)
            return opt.get_params(state), opt.get_eval_params(state)

        pairs = np.asarray(list(itertools.product([0, 1], [0, 1])), np.float32)
        for params in run(*pairs.T):
            assert {k: v.dtype for k, v in params.items()} == {
                k: s.dtype for k, s in tree.items()
            }
            for key, values in params.items():
                finite = np.isfinite(np.asarray(values, np.float64))
                assert finite.all(), (key, [bool(row.all()) for row in finite])


# Those that reached this suite by failing it, and one that has its own arithmetic.
QUICK = ("Adam", "DoG", "Muon", "NAdamW", "SM3")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES],
)
def test_a_mixed_tree_stays_finite(name: str) -> None:
    check_steps(name, "mixed", x64=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_every_tree_stays_finite(name: str) -> None:
    for x64 in (False, True):
        for kind in kinds(x64):
            check_steps(name, kind, x64)
