import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from learned_optimization.optimizers.periodic import compute_if

CALLS: list[int] = []


def _count() -> None:
    CALLS.append(1)


def _double(operand: Any) -> Any:
    jax.debug.callback(_count)
    return jax.tree.map(lambda x: 2 * x, operand)


def _calls(function: Any, *args: Any) -> tuple[Any, int]:
    """Return the result, and how often `_double` ran, for all elements at once."""
    CALLS.clear()
    result = jax.block_until_ready(jax.jit(function)(*args))
    jax.effects_barrier()
    return jax.tree.map(np.asarray, result), len(CALLS)


def _run(pred: Any, x: Any) -> Any:
    return compute_if(pred, _double, x, jax.tree.map(jnp.negative, x))


@pytest.mark.parametrize("pred", [True, False])
def test_computes_or_not(pred: bool) -> None:
    x = {"a": jnp.arange(3.0), "b": (jnp.ones([], jnp.int32),)}
    got, calls = _calls(_run, pred, x)
    jax.tree.map(
        np.testing.assert_array_equal, got, jax.tree.map(lambda x: (-x, 2 * x)[pred], x)
    )
    assert calls == pred


@pytest.mark.parametrize(
    "pred", [(False, False, False), (True, False, True), (True, True, True)]
)
def test_under_vmap_each_element_keeps_its_own(pred: tuple[bool, ...]) -> None:
    x = jnp.arange(6.0).reshape(3, 2) + 1
    got, calls = _calls(jax.vmap(_run), jnp.array(pred), x)
    want = np.where(np.array(pred)[:, None], 2 * x, -x)
    np.testing.assert_array_equal(got, want)
    assert calls == any(pred)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize("inner", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize("on", [False, True])
def test_under_nested_vmap(
    axes: tuple[Any, Any], inner: tuple[Any, Any], on: bool
) -> None:
    sizes = [
        [size for size, both in ((2, axes), (3, inner)) if both[i] == 0] for i in (0, 1)
    ]
    pred = np.zeros(sizes[0], bool)
    pred.flat[-1] = on
    x = 1.0 + np.arange(np.prod(sizes[1]) * 4).reshape(*sizes[1], 4)
    both = jax.vmap(jax.vmap(_run, in_axes=inner), in_axes=axes)
    got, calls = _calls(both, jnp.array(pred), jnp.array(x))
    one = [(slice(None) if both[0] == 0 else None) for both in (axes, inner)]
    two = [(slice(None) if both[1] == 0 else None) for both in (axes, inner)]
    wide = np.broadcast_to(pred[tuple(one)][..., None], (2, 3, 4))
    np.testing.assert_array_equal(
        got, np.where(wide, 2 * x[tuple(two)], -x[tuple(two)])
    )
    assert calls == on


def test_in_a_loop_only_at_every_third_step() -> None:
    def body(i: Any, carry: Any) -> Any:
        return compute_if(i % 3 == 0, _double, carry, carry)

    def run(x: Any) -> Any:
        # Each trial counts for itself, as the state of an optimizer does.
        return jax.lax.fori_loop(0, 9, body, x)

    got, calls = _calls(jax.vmap(run), jnp.ones((4, 2)))
    np.testing.assert_array_equal(got, np.full((4, 2), 8.0))
    assert calls == 3

    def counting(carry: Any, _: Any) -> Any:
        i, x = carry
        return (i + 1, body(i, x)), None

    def run_counting(i: Any, x: Any) -> Any:
        return jax.lax.scan(counting, (i, x), length=9)[0][1]

    got, calls = _calls(
        jax.vmap(run_counting), jnp.zeros(4, jnp.int32), jnp.ones((4, 2))
    )
    np.testing.assert_array_equal(got, np.full((4, 2), 8.0))
    assert calls == 3


def test_inside_shard_map() -> None:
    mesh = Mesh(np.array(jax.local_devices()[:1]), "x")
    spec = PartitionSpec("x")
    mapped = jax.shard_map(
        jax.vmap(lambda p, x: compute_if(p, jnp.exp, x, x)),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
    )
    got = jax.jit(mapped)(jnp.array([False, True]), jnp.ones((2, 3)))
    np.testing.assert_allclose(got, [[1.0] * 3, [np.e] * 3], rtol=1e-6)


def test_the_program_has_a_branch_where_a_plain_cond_has_none() -> None:
    def plain(pred: Any, x: Any) -> Any:
        return jax.lax.cond(pred, jnp.exp, jnp.negative, x)

    ours = functools.partial(compute_if, function=jnp.exp)
    args = jnp.array([True, False]), jnp.ones((2, 3))
    run = jax.vmap(lambda p, x: ours(p, operand=x, otherwise=x))
    assert "cond[" in str(jax.make_jaxpr(run)(*args))
    assert "cond[" not in str(jax.make_jaxpr(jax.vmap(plain))(*args))


def test_refuses_a_result_unlike_the_alternative() -> None:
    with pytest.raises(TypeError):
        compute_if(jnp.array(True), jnp.sum, jnp.ones(3), jnp.ones(3))
