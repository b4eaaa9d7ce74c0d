"""The Vision Transformer.

Dosovitskiy et al. 2021, "An image is worth 16x16 words" (arXiv:2010.11929):
linear patch embedding, a learned class token and position embedding, pre-norm
encoder layers, a linear head on the class token that starts at zero.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from learned_optimization.tasks.models.attention import Affine, attend
from learned_optimization.tasks.models.init import zero_linear
from learned_optimization.tasks.models.patches import embed_patches
from learned_optimization.tasks.models.products import dense

_MLP_BIAS = nn.initializers.normal(1e-6)
_KERNEL = nn.initializers.xavier_uniform()


class ViT(nn.Module):
    """A transformer encoder over the patches of an image.

    Attributes:
      patch_size: height and width of a patch, in pixels.
      hidden: width of a token.
      mlp: width of the hidden layer of each MLP.
      num_heads: attention heads, a divisor of `hidden`.
      num_layers: encoder layers.
      output_size: width of the last layer.
    """

    patch_size: int
    hidden: int
    mlp: int
    num_heads: int
    num_layers: int
    output_size: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Map images `[batch, h, w, c]` to outputs `[batch, output_size]`."""
        x = embed_patches(images, self.patch_size, self.hidden)
        token = self.param("class_token", nn.initializers.zeros, (1, 1, self.hidden))
        token = jnp.broadcast_to(token, (x.shape[0], 1, self.hidden))
        x = jnp.concatenate([token, x], axis=1)
        x += self.param(
            "position_embedding", nn.initializers.normal(0.02), (1, *x.shape[1:])
        )
        for _ in range(self.num_layers):
            x = EncoderLayer(self.num_heads, self.mlp)(x)
        return zero_linear(self.output_size)(nn.LayerNorm()(x)[:, 0])


class EncoderLayer(nn.Module):
    """Self-attention and an MLP, each after a layer norm and added to its input.

    Attributes:
      num_heads: attention heads.
      mlp: width of the hidden layer of the MLP.
    """

    num_heads: int
    mlp: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map tokens `[batch, tokens, hidden]` to tokens of that shape."""
        # The parameters lie under the name of flax's module.
        attention = Attention(self.num_heads, name="MultiHeadDotProductAttention_0")
        x += attention(nn.LayerNorm()(x))
        y = dense(self.mlp, kernel_init=_KERNEL, bias_init=_MLP_BIAS)(nn.LayerNorm()(x))
        return x + dense(x.shape[-1], kernel_init=_KERNEL, bias_init=_MLP_BIAS)(
            nn.gelu(y)
        )


class Attention(nn.Module):
    """Self-attention whose heads share the width of a token.

    Attributes:
      num_heads: attention heads, a divisor of that width.
    """

    num_heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map tokens `[batch, tokens, hidden]` to tokens of that shape."""
        width = x.shape[-1]
        heads = self.num_heads, width // self.num_heads
        projections = [
            Affine((width,), heads, _KERNEL, name=name)()
            for name in ("query", "key", "value")
        ]
        out = Affine(heads, (width,), _KERNEL, name="out")()
        return attend(x, projections, out, self.num_heads)
