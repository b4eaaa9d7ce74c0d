"""The published accumulators: arithmetic, shapes, and how users call them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learned_optimizers import common
from tests.learned_optimizers.golden import golden_run

SHAPES = {
    "scalar": (),
    "vector": (5,),
    "matrix": (4, 3),
    "square": (3, 3),
    "kernel": (3, 3, 2, 4),
    "row": (1, 6),
    "empty": (0, 3),
}
DECAYS = (0.5, 0.9, 0.999)


def gradients(num: int = 4) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(0).normal
    return [
        {k: np.asarray(draw(size=s), np.float32) for k, s in SHAPES.items()}
        for _ in range(num)
    ]


def averages(values: Sequence[Any], decay: float) -> np.ndarray:
    """Return the weighted sum that an average is, float64."""
    weights = (1 - decay) * decay ** np.arange(len(values))[::-1]
    return np.tensordot(weights, np.stack(values).astype(np.float64), 1)


def updated(rolling: common.Accumulator) -> tuple[object, object]:
    """Return the state after all gradients, and what the last update gave besides."""
    state, divided = rolling.init(gradients()[0]), None
    for grads in gradients():
        state = jax.jit(rolling.update)(state, grads)
        if not hasattr(state, "_fields") and isinstance(state, tuple):
            state, divided = state
    return state, divided


@pytest.mark.parametrize("decay", DECAYS)
def test_momentum_and_second_moment_are_weighted_sums(decay: float) -> None:
    mom, _ = updated(common.rolling_mom(decay))
    rms, _ = updated(common.rolling_rms(decay))
    assert isinstance(mom, common.MomAccumulator)
    assert isinstance(rms, common.RMSAccumulator)
    assert mom.t == rms.t == 4
    for key in SHAPES:
        grads = [g[key] for g in gradients()]
        squares = [np.float64(g) ** 2 for g in grads]
        np.testing.assert_allclose(mom.m[key], averages(grads, decay), atol=1e-6)
        # 1 - .999 has an error of 5e-5 in float32.
        np.testing.assert_allclose(rms.rms[key], averages(squares, decay), 1e-4)


def test_a_decay_of_a_second_moment_is_clipped_and_momentum_s_is_not() -> None:
    above, _ = updated(common.rolling_rms(1.5))
    one, _ = updated(common.rolling_rms(1.0))
    jax.tree.map(np.testing.assert_array_equal, above, one)
    mom, _ = updated(common.rolling_mom(1.5))
    assert isinstance(mom, common.MomAccumulator)
    want = averages([g["vector"] for g in gradients()], 1.5)
    np.testing.assert_allclose(mom.m["vector"], want, 1e-5)


@pytest.mark.parametrize("name", ["rolling_mom", "rolling_rms", "factored_rolling"])
def test_several_decays_are_those_of_each_on_a_trailing_axis(name: str) -> None:
    together = updated(getattr(common, f"vec_{name}")(jnp.asarray(DECAYS)))
    for i, decay in enumerate(DECAYS):
        alone = updated(getattr(common, name)(decay))
        one = jax.tree.map(lambda x, i=i: x[..., i], together)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-7), one, alone
        )


def test_factored_second_moments_are_means_over_the_two_largest_axes() -> None:
    decay = 0.9
    state, divided = updated(common.factored_rolling(decay))
    assert isinstance(state, common.FactoredAccum)
    # The axes of a row's mean and of a column's: the largest and the second largest.
    axes = {"matrix": (0, 1), "square": (1, 0), "kernel": (3, 1), "row": (1, 0)}
    for key, (largest, second) in axes.items():
        squares = [np.float64(g[key]) ** 2 + 1e-30 for g in gradients()]
        row = averages([s.mean(largest, keepdims=True) for s in squares], decay)
        col = averages([s.mean(second, keepdims=True) for s in squares], decay)
        by_row = row / (row.mean(second, keepdims=True) + 1e-9)
        want = gradients()[-1][key] / np.sqrt(np.maximum(by_row, 1e-9))
        want = want / np.sqrt(np.maximum(col, 1e-9))
        np.testing.assert_allclose(state.v_row[key], row.squeeze(largest), 1e-5)
        np.testing.assert_allclose(state.v_col[key], col.squeeze(second), 1e-5)
        np.testing.assert_allclose(divided[key], want, 2e-5)  # type: ignore[index]
        assert state.v_diag[key].shape == (0,)
    for key in ("scalar", "vector"):
        diag = averages([np.float64(g[key]) ** 2 for g in gradients()], decay)
        want = gradients()[-1][key] / np.sqrt(diag + 1e-9)
        np.testing.assert_allclose(state.v_diag[key], diag, 1e-5)
        np.testing.assert_allclose(divided[key], want, 2e-5)  # type: ignore[index]
        assert state.v_row[key].shape == state.v_col[key].shape == (0,)


def test_no_accumulator_has_nan_in_it_for_an_empty_array() -> None:
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
        rolling = common.vec_factored_rolling(DECAYS)
        state, divided = rolling.update(
            rolling.init({"w": jnp.zeros(shape)}), {"w": jnp.zeros(shape)}
        )
        assert divided["w"].shape == (*shape, 3)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_the_two_largest_axes() -> None:
    expected = {
        (): None,
        (3,): None,
        (12, 7): (1, 0),
        (7, 12): (0, 1),
        (10, 10): (0, 1),
        (3, 3, 2, 4): (1, 3),
        (3, 3, 16, 16): (2, 3),
        (4, 4, 4): (1, 2),
        (1, 8): (0, 1),
        # Too long for a sort by insertion, which is stable by accident.
        (2,) * 20: (18, 19),
    }
    assert {s: common.factored_dims(s) for s in expected} == expected


def test_safe_rsqrt_is_bounded() -> None:
    got = common.safe_rsqrt(jnp.asarray([-1.0, 0.0, 1e-12, 4.0]))
    np.testing.assert_allclose(got, [1e-9**-0.5] * 3 + [0.5], 1e-6)


def test_16_bit_parameters_are_averaged_in_32_bits() -> None:
    params = {"w": jnp.ones((2, 3), jnp.bfloat16), "b": jnp.ones(3, jnp.float16)}
    for name in ("rolling_mom", "rolling_rms", "factored_rolling"):
        rolling = getattr(common, name)(0.9)
        before = rolling.init(params)
        after = rolling.update(before, params)
        after = after[0] if name == "factored_rolling" else after
        assert jax.tree.map(jnp.result_type, before) == jax.tree.map(
            jnp.result_type, after
        )
        dtypes = {x.dtype for x in jax.tree.leaves(after)} - {jnp.dtype(jnp.int32)}
        assert dtypes == {jnp.dtype(jnp.float32)}


def test_a_decay_may_be_mapped_by_the_user() -> None:
    """A notebook has several copies by `jax.vmap`, as `vec_rolling_mom` has them."""
    grads = gradients()[0]

    def one(decay: jax.Array) -> common.MomAccumulator:
        rolling = common.rolling_mom(decay)
        return rolling.update(rolling.init(grads), grads)

    by_hand = jax.vmap(one, out_axes=-1)(jnp.asarray(DECAYS))
    rolling = common.vec_rolling_mom(DECAYS)
    ours = rolling.update(rolling.init(grads), grads)
    jax.tree.map(np.testing.assert_array_equal, by_hand, ours)


@pytest.mark.parametrize(
    ("name", "decays"),
    [("MLPLOpt", (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999))],
)
def test_momentum_is_the_published(name: str, decays: tuple[float, ...]) -> None:
    run = golden_run(name)
    rolling = common.vec_rolling_mom(decays)
    state = rolling.init(run.params)
    for i in range(len(run.losses)):
        state = rolling.update(state, jax.tree.map(lambda g, i=i: g[i], run.grads))
    np.testing.assert_array_equal(state.t, run.state["rolling_features|t"])
    for path, m in jax.tree_util.tree_leaves_with_path(state.m):
        key = "|".join(str(part.key) for part in path)
        want = run.state[f"rolling_features|m|{key}"]
        np.testing.assert_allclose(m, want, 1e-4, 1e-7)
