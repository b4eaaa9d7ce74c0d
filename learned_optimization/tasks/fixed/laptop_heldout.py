"""Small tasks on which nothing is tuned or chosen, for claims of generality.

They are the suite `laptop_heldout`: the families of `laptop` with other widths,
depths and batches, the middle of its images, and longer pieces of its text.
"""

from __future__ import annotations

import jax.numpy as jnp

from learned_optimization.tasks.datasets.cropped import fashion_mnist_middle
from learned_optimization.tasks.datasets.text import kjv_bytes
from learned_optimization.tasks.fixed.conv import ConvTask
from learned_optimization.tasks.fixed.image_mlp import ImageMLPTask
from learned_optimization.tasks.fixed.image_mlp_ae import ImageMLPAETask
from learned_optimization.tasks.fixed.mlp_mixer import MLPMixerTask
from learned_optimization.tasks.fixed.resnet import ResNetTask
from learned_optimization.tasks.fixed.rnn_lm import RNNLanguageModelTask
from learned_optimization.tasks.fixed.transformer_lm import TransformerLanguageModelTask
from learned_optimization.tasks.fixed.vit import ViTTask
from learned_optimization.tasks.registry import own_fixed_task


@own_fixed_task
def ImageMLP_FashionMnistMiddle6_48x24x12_Relu() -> ImageMLPTask:
    """The middle 6x6 of Fashion-MNIST, hidden layers of 48, 24 and 12."""
    return ImageMLPTask(fashion_mnist_middle(64), hidden=(48, 24, 12))


@own_fixed_task
def ImageMLPAE_FashionMnistMiddle6_32x4x32_bs64() -> ImageMLPAETask:
    """The middle 6x6 of Fashion-MNIST, hidden layers of 32, 4 and 32."""
    return ImageMLPAETask(
        fashion_mnist_middle(64), hidden=(32, 4, 32), activation=jnp.tanh
    )


@own_fixed_task
def Conv_FashionMnistMiddle6_8x16x24_layernorm() -> ConvTask:
    """The middle 6x6 of Fashion-MNIST, convolutions to 8x16x24 channels."""
    return ConvTask(fashion_mnist_middle(96), channels=(8, 16, 24), norm="layer")


@own_fixed_task
def Resnet_FashionMnistMiddle6_16x16x32x32() -> ResNetTask:
    """The middle 6x6 of Fashion-MNIST, four blocks of 16x16x32x32 channels."""
    return ResNetTask(
        fashion_mnist_middle(48),
        channels_per_group=(16, 16, 32, 32),
        stem_kernel_size=3,
        use_max_pool=False,
    )


@own_fixed_task
def VIT_FashionMnistMiddle6_3layer_24width() -> ViTTask:
    """The middle 6x6 of Fashion-MNIST in patches of 2x2, three layers of width 24."""
    return ViTTask(
        fashion_mnist_middle(24),
        hidden=24,
        mlp=96,
        num_heads=3,
        num_layers=3,
        patch_size=2,
    )


@own_fixed_task
def MLPMixer_FashionMnistMiddle6_3block_24width() -> MLPMixerTask:
    """The middle 6x6 of Fashion-MNIST in patches of 2x2, three blocks of width 24."""
    return MLPMixerTask(
        fashion_mnist_middle(48),
        hidden=24,
        num_blocks=3,
        tokens_mlp=12,
        channels_mlp=48,
        patch_size=2,
    )


@own_fixed_task
def RNNLM_kjvbytes_Patch24_LSTM32_Embed16() -> RNNLanguageModelTask:
    """The King James Bible as bytes, LSTM of width 32, 24 tokens, batches of 16."""
    return RNNLanguageModelTask(kjv_bytes(16, 24), cell="LSTM", hidden=32, embedding=16)


@own_fixed_task
def TransformerLM_kjvbytes_Patch24_2layer_24width() -> TransformerLanguageModelTask:
    """The King James Bible as bytes, two layers of width 24, one head, 24 tokens."""
    return TransformerLanguageModelTask(
        kjv_bytes(16, 24), num_heads=1, d_model=24, num_layers=2
    )
