"""The network over all parameters of a tensor, against float64, whole and in parts."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learned_optimizers import network
from learned_optimization.learned_optimizers.network import Layers


def layers_of(sizes: tuple[int, ...]) -> Layers:
    draw = np.random.default_rng(0).normal
    pairs = list(pairwise(sizes))
    return Layers(
        [jnp.asarray(draw(size=pair), jnp.float32) for pair in pairs],
        [jnp.asarray(draw(size=out) * 0.3, jnp.float32) for _, out in pairs],
    )


def inputs_of(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return arrays that vary everywhere, along each single axis, and nowhere."""
    draw = np.random.default_rng(1).normal
    along = [
        [size if i == axis else 1 for i, size in enumerate(shape)]
        for axis in range(len(shape))
    ]
    sizes = {"whole": (2, *shape), "one": (1, *[1] * len(shape))}
    sizes |= {f"along{axis}": (3, *size) for axis, size in enumerate(along)}
    return {k: np.asarray(draw(size=s), np.float32) for k, s in sizes.items()}


def groups_of(inputs: dict[str, Any]) -> list[Any]:
    arrays = [inputs[name] for name in sorted(inputs)]
    return [*arrays, inputs["whole"] * inputs["along0"][:2]]


def wide(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def reference(
    layers: Layers,
    groups: list[np.ndarray],
    shape: tuple[int, ...],
    constants: np.ndarray,
    num_axes: int | None,
) -> np.ndarray:
    rows = [row + np.zeros(shape) for group in groups for row in wide(group)]
    axes = tuple(range(len(shape)))[-(num_axes or len(shape)) :]
    rows = [r / np.sqrt(1e-5 + np.mean(r**2, axes, keepdims=True)) for r in rows]
    x = np.stack([*rows, *(c + np.zeros(shape) for c in wide(constants))], -1)
    for i, (w, b) in enumerate(zip(*layers, strict=True)):
        x = (np.maximum(x, 0) if i else x) @ np.float64(w) + b
    return np.moveaxis(x, -1, 0)


@pytest.mark.parametrize("num_axes", [None, 2])
@pytest.mark.parametrize("part", [None, 8])
@pytest.mark.parametrize("shape", [(1,), (37,), (5, 7), (3, 31, 2), (2, 3, 5, 2)])
def test_outputs_are_those_of_float64(
    shape: tuple[int, ...], part: int | None, num_axes: int | None
) -> None:
    inputs, constants = inputs_of(shape), np.asarray([0.3, -2.0], np.float32)
    groups = groups_of(inputs)
    num_features = sum(len(group) for group in groups)
    layers = layers_of((num_features + 2, 4, 5, 3))

    @jax.jit
    def ours(inputs: Any) -> jax.Array:
        return network.apply(
            layers,
            groups_of,
            inputs,
            shape,
            constants=jnp.asarray(constants),
            num_axes=num_axes,
            part=part,
        )

    want = reference(layers, groups, shape, constants, num_axes)
    np.testing.assert_allclose(ours(inputs), want, 1e-4, 3e-5)


def test_features_of_zeros_are_finite() -> None:
    inputs = jax.tree.map(np.zeros_like, inputs_of((4, 3)))
    layers = layers_of((sum(map(len, groups_of(inputs))), 4, 1))
    got = jax.jit(lambda x: network.apply(layers, groups_of, x, (4, 3)))(inputs)
    want = np.maximum(layers.biases[0], 0) @ layers.weights[1] + layers.biases[1]
    np.testing.assert_allclose(got, np.full((1, 4, 3), want), 1e-6)


def test_untrained_weights_are_normal_and_cut_at_two_deviations() -> None:
    layers = network.init_layers(jax.random.PRNGKey(0), 50, [400], 3)
    assert [w.shape for w in layers.weights] == [(50, 400), (400, 3)]
    assert not any(np.any(b) for b in layers.biases)
    weights = np.asarray(layers.weights[0]) * np.sqrt(50)
    assert np.abs(weights).max() <= 2
    # The deviation of a normal number known to be within two.
    assert abs(weights.std() - 0.8796) < 0.01
