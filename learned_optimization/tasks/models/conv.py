"""Convolution and pooling layers, and the plain convolutional network."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.tasks.models.convolution import convolve, same_padding
from learned_optimization.tasks.models.init import linear, truncated_fan_in
from learned_optimization.tasks.models.mlp import Activation
from learned_optimization.tasks.models.norm import Norm, normalize


class Conv(nn.Module):
    """A two-dimensional convolution with `SAME` padding.

    Attributes:
      channels: channels of the output.
      kernel_size: height and width of the window.
      stride: step of the window along both axes.
      use_bias: whether a bias, starting at zero, is added.
    """

    channels: int
    kernel_size: int
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve images.

        Args:
          x: float `[batch, height, width, inputs]`.

        Returns:
          Float `[batch, ceil(height / stride), ceil(width / stride), channels]`.
        """
        k, inputs = self.kernel_size, x.shape[-1]
        kernel = self.param(
            "kernel", truncated_fan_in, (k, k, inputs, self.channels), jnp.float32
        )
        out = convolve(x, kernel, self.stride)
        if self.use_bias:
            out += self.param("bias", nn.initializers.zeros, (self.channels,))
        return out


def max_pool(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Return the largest value of every window, with `SAME` padding.

    The gradient goes to the first of equal values, row by row, as XLA's own
    maximum has it. One axis after the other, and strides as an axis of their own:
    on a CPU the gradient of strided slices of both axes at once takes twenty
    times as long.

    Args:
      x: float `[batch, height, width, channels]`.
      size: height and width of the window.
      stride: step of the window.
    """
    for axis in (2, 1):
        x = _max_along(x, size, stride, axis)
    return x


def _max_along(x: jax.Array, size: int, stride: int, axis: int) -> jax.Array:
    length, before_and_after = x.shape[axis], [(0, 0)] * x.ndim
    out, (before, after) = -(-length // stride), same_padding(length, size, stride)
    steps = -(-(before + length + after) // stride)
    before_and_after[axis] = (before, steps * stride - before - length)
    x = jnp.pad(x, before_and_after, constant_values=-jnp.inf)
    x = x.reshape(*x.shape[:axis], steps, stride, *x.shape[axis + 1 :])

    def seen_at(place: int) -> jax.Array:
        first, phase = divmod(place, stride)
        seen = lax.slice_in_dim(x, first, first + out, axis=axis)
        return lax.index_in_dim(seen, phase, axis + 1, keepdims=False)

    def first_of_largest(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where((b > a) | jnp.isnan(b), b, a)

    return functools.reduce(first_of_largest, map(seen_at, range(size)))


class ConvNet(nn.Module):
    """3x3 convolutions, the first of stride 2; the mean over space; a linear layer.

    Attributes:
      channels: channels of each convolution.
      output_size: width of the last layer.
      activation: applied after every convolution.
      norm: applied after every activation: `"layer"` (over channels), `"batch"`
        or None.
    """

    channels: tuple[int, ...]
    output_size: int
    activation: Activation = nn.relu
    norm: Norm | None = None

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Map images `[batch, h, w, c]` to outputs `[batch, output_size]`."""
        x = images
        for i, channels in enumerate(self.channels):
            x = self.activation(Conv(channels, 3, stride=1 if i else 2)(x))
            x = normalize(self.norm, x)
        return linear(self.output_size)(x.mean((1, 2)))
