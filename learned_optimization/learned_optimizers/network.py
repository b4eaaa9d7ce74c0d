"""The network that a learned optimizer applies to every parameter of a tensor.

Its inputs are groups of features `[k, *shape]`, each feature divided by its root mean
square over the tensor. That division is done in the weights of the first layer, not in
the features. With the features first, each layer is one product
`[outputs, inputs] @ [inputs, parameters]`. A large tensor is done in parts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Features of so many parameters stay in the cache of a CPU's core.
_PART_ON_CPU = 1 << 15
# So many keep other devices busy.
_PART_ELSEWHERE = 1 << 21

# Up to so many weights, sums written out are faster than a product of matrices: they
# become one program with what is before and after.
_UNROLLED = 64

Groups = Sequence[jax.Array]
"""Features of a tensor, in groups `[k, *shape]`, with sizes of 1 where they repeat."""

Activation = Callable[[jax.Array], jax.Array]
"""What is between two layers, element by element."""

_Inputs = TypeVar("_Inputs")


class Layers(NamedTuple):
    """Weights of a network: an activation between layers, none after the last.

    Attributes:
      weights: one array `[inputs, outputs]` per layer.
      biases: one array `[outputs]` per layer.
    """

    weights: Sequence[jax.Array]
    biases: Sequence[jax.Array]


def init_layers(
    key: jax.Array, num_inputs: int, hidden: Sequence[int], num_outputs: int
) -> Layers:
    """Return a network that nothing has trained: biases are zero.

    Args:
      key: PRNG key.
      num_inputs: number of inputs of the first layer.
      hidden: number of outputs of each layer but the last.
      num_outputs: number of outputs of the last layer.
    """
    sizes = [num_inputs, *hidden, num_outputs]
    keys = jax.random.split(key, len(sizes) - 1)
    weights = [
        init_weights(key, inputs, (inputs, outputs))
        for key, inputs, outputs in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]
    return Layers(weights, [jnp.zeros(size, jnp.float32) for size in sizes[1:]])


def init_weights(key: jax.Array, num_inputs: int, shape: tuple[int, ...]) -> jax.Array:
    """Return normal numbers, none beyond two deviations of `1/sqrt(num_inputs)`."""
    draw = jax.random.truncated_normal(key, -2, 2, shape, jnp.float32)
    return draw / math.sqrt(num_inputs)


def apply(
    layers: Layers,
    groups_of: Callable[[_Inputs], Groups],
    inputs: _Inputs,
    shape: tuple[int, ...],
    *,
    constants: jax.Array | None = None,
    epsilon: float | None = 1e-5,
    num_axes: int | None = None,
    activation: Activation = jax.nn.relu,
    part: int | None = None,
) -> jax.Array:
    """Return a network's outputs for every parameter of a tensor.

    Args:
      layers: the network; the rows of its first weights are the features of the
        groups in their order, then the constants.
      groups_of: makes the features of a part of the tensor, element by element, from
        the same part of the inputs.
      inputs: a pytree of arrays `[k, *shape]`, with sizes of 1 where they repeat.
      shape: the shape of the tensor, of at least one axis and one element.
      constants: inputs that are the same for all parameters, `[c]`, not normalized.
      epsilon: what is added to the mean square of a feature; features are not
        normalized if None.
      num_axes: over how many axes of the tensor that mean is, the last ones; None
        for all.
      activation: of the layers but the last.
      part: how many parameters are done at once, about; what suits the device if None.

    Returns:
      The outputs, float32 `[outputs, *shape]`.
    """
    if part is None:
        part = _PART_ON_CPU if jax.default_backend() == "cpu" else _PART_ELSEWHERE
    if num_axes is not None and len(shape) > num_axes:
        return _by_leading_axes(
            lambda inputs: apply(
                layers,
                groups_of,
                inputs,
                shape[-num_axes:],
                constants=constants,
                epsilon=epsilon,
                activation=activation,
                part=part,
            ),
            inputs,
            shape,
            num_axes,
            part,
        )
    parts = _Parts.of(shape, part)
    if parts.count == 1:
        groups = _packed(groups_of(inputs))
        first = _first(layers, groups, _mean_squares(groups), constants, epsilon)
        return _outputs(first, layers, activation, groups, shape)

    def packed(i: Any) -> _Packed:
        return _packed(groups_of(parts.cut(inputs, i)))

    def add(i: Any, total: jax.Array) -> jax.Array:
        return total + _mean_squares(packed(i), parts.share(i), parts.axis + 1)

    like = jax.eval_shape(packed, 0)
    zeros = jnp.zeros(sum(group.shape[0] for group in like.groups), jnp.float32)
    mean_squares = lax.fori_loop(0, parts.count, add, zeros)
    first = _first(layers, like, mean_squares, constants, epsilon)

    def write(i: Any, outputs: jax.Array) -> jax.Array:
        made = _outputs(first, layers, activation, packed(i), parts.shape)
        return parts.paste(outputs, made, i)

    num_outputs = layers.biases[-1].shape[0]
    return lax.fori_loop(0, parts.count, write, jnp.zeros((num_outputs, *shape)))


def apply_to_all(
    layers: Layers,
    features: Sequence[jax.Array],
    *,
    constants: jax.Array | None = None,
    epsilon: float = 1e-5,
) -> list[jax.Array]:
    """Return what `apply` does of each of several tensors, small ones together.

    A layer is then one product for all small tensors: of biases, which have few
    parameters, calling a product takes longer than the product.

    Args:
      layers: the network.
      features: float32 `[k, *shape]` of each tensor.
      constants: as of `apply`, and so is `epsilon`.
      epsilon: what is added to the mean square of a feature.

    Returns:
      The outputs of each tensor, float32 `[outputs, *shape]`.
    """
    sizes = [math.prod(x.shape[1:]) for x in features]
    if len(features) < 2 or sum(sizes) > _PART_ON_CPU:
        return [
            apply(
                layers,
                lambda x: (x,),
                x,
                x.shape[1:],
                constants=constants,
                epsilon=epsilon,
            )
            for x in features
        ]
    normalized = []
    for x in features:
        flat = x.reshape(x.shape[0], -1)
        scale = lax.rsqrt(epsilon + jnp.mean(jnp.square(flat), 1, keepdims=True))
        normalized.append(flat * scale)
    joined = jnp.concatenate(normalized, 1)
    outputs = apply(
        layers,
        lambda x: (x,),
        joined,
        joined.shape[1:],
        constants=constants,
        epsilon=None,
    )
    ends = np.cumsum(sizes)[:-1]
    return [
        part.reshape(-1, *x.shape[1:])
        for part, x in zip(jnp.split(outputs, ends, 1), features, strict=True)
    ]


class _First(NamedTuple):
    """The first layer with the normalization in it, in the order of packed groups."""

    weights: Sequence[jax.Array]
    bias: jax.Array


@flax.struct.dataclass
class _Packed:
    """Groups of one shape in one array; which features are in each."""

    groups: Sequence[jax.Array]
    rows: tuple[tuple[int, ...], ...] = flax.struct.field(pytree_node=False)


def _packed(groups: Groups) -> _Packed:
    alike: dict[tuple[int, ...], list[jax.Array]] = {}
    rows: dict[tuple[int, ...], list[int]] = {}
    begin = 0
    for group in groups:
        shape, end = group.shape[1:], begin + group.shape[0]
        alike.setdefault(shape, []).append(group)
        rows.setdefault(shape, []).extend(range(begin, end))
        begin = end
    packed = [jnp.concatenate(of_shape) for of_shape in alike.values()]
    return _Packed(packed, tuple(map(tuple, rows.values())))


def _mean_squares(
    packed: _Packed, share: jax.Array | None = None, axis: int = 0
) -> jax.Array:
    """Return the mean square of every feature, or a part's share of it.

    Args:
      packed: features of the tensor or of a part.
      share: the weight of each slice of the part in the mean, see `_Parts.share`.
      axis: the axis of the slices, of arrays `[k, *shape]`.
    """

    def one(group: jax.Array) -> jax.Array:
        squares = jnp.square(group)
        if share is not None:
            repeats = group.shape[axis] == 1
            squares *= jnp.mean(share) if repeats else share
        return jnp.mean(squares, tuple(range(1, group.ndim)))

    return jnp.concatenate([one(group) for group in packed.groups])


def _first(
    layers: Layers,
    packed: _Packed,
    mean_squares: jax.Array,
    constants: jax.Array | None,
    epsilon: float | None,
) -> _First:
    weights, bias = jnp.asarray(layers.weights[0]), layers.biases[0]
    num_features = mean_squares.shape[0]
    if constants is not None:
        bias = bias + _product(weights[num_features:], constants[:, None])[:, 0]
    if epsilon is None:
        scales = jnp.ones_like(mean_squares)
    else:
        scales = lax.rsqrt(epsilon + mean_squares)
    order = [row for rows in packed.rows for row in rows]
    scaled = weights[jnp.asarray(order)] * scales[:, None]
    ends = np.cumsum([len(rows) for rows in packed.rows])[:-1]
    return _First(jnp.split(scaled, ends), bias)


def _outputs(
    first: _First,
    layers: Layers,
    activation: Activation,
    packed: _Packed,
    shape: tuple[int, ...],
) -> jax.Array:
    hidden = first.bias.reshape(-1, *[1] * len(shape))
    for weights, group in zip(first.weights, packed.groups, strict=True):
        hidden = hidden + _product(weights, group)
    hidden = jnp.broadcast_to(hidden, (hidden.shape[0], *shape))
    for weights, bias in zip(layers.weights[1:], layers.biases[1:], strict=True):
        bias = bias.reshape(-1, *[1] * len(shape))
        hidden = _after_first(weights, activation(hidden)) + bias
    return hidden


def _after_first(weights: jax.Array, x: jax.Array) -> jax.Array:
    """Return the same as `_product`, of inputs that vary everywhere."""
    if weights.size > _UNROLLED:
        return _product(weights, x)
    num_inputs, num_outputs = weights.shape
    sums = (
        sum(weights[i, j] * x[i] for i in range(num_inputs)) for j in range(num_outputs)
    )
    return jnp.stack([jnp.asarray(each) for each in sums])


def _product(weights: jax.Array, x: jax.Array) -> jax.Array:
    """Return what a layer makes of inputs `[inputs, *shape]`: `[outputs, *shape]`."""
    flat = x.reshape(x.shape[0], -1)
    product = jnp.matmul(weights.T, flat, precision=lax.Precision.HIGHEST)
    return product.reshape(-1, *x.shape[1:])


@dataclasses.dataclass(frozen=True)
class _Parts:
    """How a tensor is cut along its longest axis.

    All parts have one size; the last ones overlap where the axis is no multiple of it.
    """

    axis: int
    size: int
    count: int
    whole: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], part: int) -> _Parts:
        axis = shape.index(max(shape))
        count = min(-(-math.prod(shape) // part), shape[axis])
        size = -(-shape[axis] // count)
        return cls(axis, size, -(-shape[axis] // size), shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a part."""
        return tuple(
            self.size if i == self.axis else size for i, size in enumerate(self.whole)
        )

    def begin(self, i: Any) -> Any:
        """Return where the i-th part begins."""
        return jnp.minimum(i * self.size, self.whole[self.axis] - self.size)

    def cut(self, inputs: _Inputs, i: Any) -> _Inputs:
        """Return the i-th part of arrays `[k, *shape]`."""

        def one(x: jax.Array) -> jax.Array:
            if x.shape[self.axis + 1] == 1:
                return x
            return lax.dynamic_slice_in_dim(x, self.begin(i), self.size, self.axis + 1)

        return jax.tree.map(one, inputs)

    def paste(self, whole: jax.Array, part: jax.Array, i: Any) -> jax.Array:
        """Return an array `[k, *shape]` with its i-th part replaced."""
        axis = self.axis + 1
        return lax.dynamic_update_slice_in_dim(whole, part, self.begin(i), axis)

    def share(self, i: Any) -> jax.Array:
        """Return the weight of each slice of the i-th part in a mean over the whole.

        It is zero for what an earlier part has.
        """
        is_new = self.begin(i) + jnp.arange(self.size) >= i * self.size
        sizes = [1] * (len(self.whole) + 1)
        sizes[self.axis + 1] = self.size
        return (is_new * (self.size / self.whole[self.axis])).reshape(sizes)


def _by_leading_axes(
    one: Callable[[_Inputs], jax.Array],
    inputs: _Inputs,
    shape: tuple[int, ...],
    num_axes: int,
    part: int,
) -> jax.Array:
    """Return the outputs of tensors `[*shape[-num_axes:]]` that are stacked in one."""
    leading, last = shape[:-num_axes], shape[-num_axes:]

    def stacked(x: jax.Array) -> jax.Array:
        x = jnp.broadcast_to(x, (x.shape[0], *leading, *x.shape[-num_axes:]))
        return jnp.moveaxis(x.reshape(x.shape[0], -1, *x.shape[-num_axes:]), 1, 0)

    at_once = max(1, part // math.prod(last))
    stack = jax.tree.map(stacked, inputs)
    outputs = jnp.moveaxis(lax.map(one, stack, batch_size=at_once), 0, 1)
    return outputs.reshape(-1, *shape)
