"""Residual networks with bottleneck blocks in v2 order.

He et al. 2016, "Identity mappings in deep residual networks"
(arXiv:1603.05027): norm and activation come before each convolution.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from learned_optimization.tasks.models.conv import Conv, max_pool
from learned_optimization.tasks.models.init import zero_linear
from learned_optimization.tasks.models.norm import normalize

_STEM_CHANNELS = 64
_GROUP_STRIDES = (1, 2, 2, 2)
_BOTTLENECK = 4


class ResNet(nn.Module):
    """A convolution, four groups of residual blocks, a linear layer that starts at 0.

    Batch norm uses the statistics of the current batch, always.

    Attributes:
      blocks_per_group: residual blocks of each of the four groups.
      channels_per_group: channels each group ends with, multiples of 4.
      output_size: width of the last layer.
      stem_kernel_size: window of the first convolution.
      stem_stride: stride of the first convolution.
      use_max_pool: whether a 3x3 maximum of stride 2 follows it.
    """

    blocks_per_group: tuple[int, ...]
    channels_per_group: tuple[int, ...]
    output_size: int
    stem_kernel_size: int
    stem_stride: int
    use_max_pool: bool

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Map images `[batch, h, w, c]` to outputs `[batch, output_size]`."""
        x = Conv(
            _STEM_CHANNELS, self.stem_kernel_size, self.stem_stride, use_bias=False
        )(images)
        if self.use_max_pool:
            x = max_pool(x, 3, 2)
        for blocks, channels, stride in zip(
            self.blocks_per_group, self.channels_per_group, _GROUP_STRIDES, strict=True
        ):
            for block in range(blocks):
                first = block == 0
                x = Block(channels, stride if first else 1, use_projection=first)(x)
        x = nn.relu(normalize("batch", x))
        return zero_linear(self.output_size)(x.mean((1, 2)))


class Block(nn.Module):
    """A bottleneck block: 1x1 to a quarter of the channels, 3x3, 1x1 back.

    Attributes:
      channels: channels of the output.
      stride: stride of the 3x3 convolution and of the projection.
      use_projection: whether the shortcut is a 1x1 convolution of the
        normalized, activated input rather than the input itself.
    """

    channels: int
    stride: int
    use_projection: bool

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Map `[batch, h, w, c]` to `[batch, h / stride, w / stride, channels]`."""
        inner = self.channels // _BOTTLENECK
        x = nn.relu(normalize("batch", inputs))
        shortcut = inputs
        if self.use_projection:
            shortcut = Conv(self.channels, 1, self.stride, use_bias=False)(x)
        x = Conv(inner, 1, use_bias=False)(x)
        x = nn.relu(normalize("batch", x))
        x = Conv(inner, 3, self.stride, use_bias=False)(x)
        x = nn.relu(normalize("batch", x))
        return Conv(self.channels, 1, use_bias=False)(x) + shortcut
