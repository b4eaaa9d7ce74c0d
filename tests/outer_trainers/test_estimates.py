"""Estimators as functions of losses, against values of the published ones."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.outer_trainers import estimates
from tests.golden import reference

SIGNS = pytest.mark.parametrize("sign", [None, 1.0])


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(reference("learned/golden/estimators_pure.npz")) as file:
        return dict(file)


def tree(golden: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    return {leaf: jnp.asarray(golden[f"{name}:{leaf}"]) for leaf in "ab"}


def pairs_of(golden: dict[str, np.ndarray]) -> estimates.Pairs:
    def joined(key: str) -> jnp.ndarray:
        return jnp.asarray(np.concatenate(golden[key]))

    return estimates.Pairs(
        joined("in:pos:loss"),
        joined("in:neg:loss"),
        joined("in:pos:mask"),
        joined("in:pos:is_done"),
    )


def check(golden: dict[str, np.ndarray], name: str, loss: Any, grad: Any) -> None:
    np.testing.assert_allclose(loss, golden[f"out:{name}:loss"], rtol=1e-5)
    for leaf in "ab":
        expected = golden[f"out:{name}:grad:{leaf}"]
        np.testing.assert_allclose(grad[leaf], expected, rtol=2e-5, atol=2e-6)


@SIGNS
def test_es(golden: dict[str, np.ndarray], sign: float | None) -> None:
    drawn, std = tree(golden, "in:perturbation"), float(golden["in:std"])
    loss, grad = estimates.es(pairs_of(golden), drawn, std, sign)
    check(golden, "es" if sign is None else "es_sign", loss, grad)


@SIGNS
def test_pes(golden: dict[str, np.ndarray], sign: float | None) -> None:
    name = "pes" if sign is None else "pes_sign"
    loss, grad, after = estimates.pes(
        pairs_of(golden),
        tree(golden, "in:accumulator"),
        tree(golden, "in:perturbation"),
        float(golden["in:std"]),
        sign,
    )
    check(golden, name, loss, grad)
    for leaf in "ab":
        expected = golden[f"out:{name}:accumulator:{leaf}"]
        np.testing.assert_allclose(after[leaf], expected, rtol=1e-6)


@SIGNS
@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("kind", ["avg", "min", "last"])
def test_full_es(
    golden: dict[str, np.ndarray],
    kind: estimates.LossType,
    clip: float | None,
    sign: float | None,
) -> None:
    pairs = pairs_of(golden)
    losses = (
        estimates.loss_of_run(pairs.positive, kind),
        estimates.loss_of_run(pairs.negative, kind),
    )
    drawn, std = tree(golden, "in:perturbation"), float(golden["in:std"])
    loss, grad = estimates.full_es(losses[0], losses[1], drawn, std, clip, sign)
    name = f"full_es_{kind}{'_clip0.1' * bool(clip)}{'_sign' * bool(sign)}"
    check(golden, name, loss, grad)


@pytest.mark.parametrize("kind", ["avg", "min", "last"])
def test_what_is_behind_the_end_of_a_run_is_no_part_of_it(kind: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    rows[4:] = -100.0
    whole = {"avg": rows[:4].mean(0), "min": rows[:4].min(0), "last": rows[3]}[kind]
    got = estimates.loss_of_run(jnp.asarray(rows), kind, jnp.asarray(4))
    np.testing.assert_allclose(got, whole, rtol=1e-6)


def test_differences_that_are_no_number_count_nothing() -> None:
    positive, negative = jnp.asarray([np.nan, np.inf, 3.0]), jnp.asarray([1.0, 1, 1])
    drawn = jnp.asarray([[5.0], [7.0], [0.2]])
    _, grad = estimates.full_es(positive, negative, drawn, 0.5)
    np.testing.assert_allclose(grad, [2 * 0.2 / (2 * 0.25) / 3], rtol=1e-6)


def test_a_mask_of_nothing_has_the_mean_zero() -> None:
    values, mask = jnp.asarray([[1.0, 2.0], [3.0, np.nan]]), jnp.asarray([[1, 0]] * 2)
    np.testing.assert_array_equal(estimates.masked_mean(values, mask), [2.0, 0.0])
