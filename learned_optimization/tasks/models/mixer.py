"""MLP-Mixer.

Tolstikhin et al. 2021, "MLP-Mixer: an all-MLP architecture for vision"
(arXiv:2105.01601): an MLP across the patches, then one across the channels, each
after a layer norm and added to its input; the mean over patches; a linear head
that starts at zero.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from learned_optimization.tasks.models.init import zero_linear
from learned_optimization.tasks.models.patches import embed_patches
from learned_optimization.tasks.models.products import dense


class MLPMixer(nn.Module):
    """Patches mixed by MLPs.

    Attributes:
      patch_size: height and width of a patch, in pixels.
      hidden: channels of a patch's embedding.
      num_blocks: mixer blocks.
      tokens_mlp: width of the MLPs across patches.
      channels_mlp: width of the MLPs across channels.
      output_size: width of the last layer.
    """

    patch_size: int
    hidden: int
    num_blocks: int
    tokens_mlp: int
    channels_mlp: int
    output_size: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Map images `[batch, h, w, c]` to outputs `[batch, output_size]`."""
        x = embed_patches(images, self.patch_size, self.hidden)
        for _ in range(self.num_blocks):
            tokens = nn.LayerNorm()(x).swapaxes(1, 2)
            x += TwoLayers(self.tokens_mlp)(tokens).swapaxes(1, 2)
            x += TwoLayers(self.channels_mlp)(nn.LayerNorm()(x))
        return zero_linear(self.output_size)(nn.LayerNorm()(x).mean(axis=1))


class TwoLayers(nn.Module):
    """A linear layer, gelu, and a linear layer back to the width of the input.

    Attributes:
      hidden: width between the two.
    """

    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[..., width]` to `[..., width]`."""
        hidden = nn.gelu(dense(self.hidden)(x))
        return dense(x.shape[-1])(hidden)
