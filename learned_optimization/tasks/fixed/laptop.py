"""Small tasks of every architecture, on data that is part of the package.

With `ImageMLP_FashionMnist8_Relu32`, which is published, they are the suite `laptop`.
"""

from __future__ import annotations

import jax.numpy as jnp

from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.text import kjv_bytes
from learned_optimization.tasks.es_wrapper import ESTask
from learned_optimization.tasks.fixed import image_mlp
from learned_optimization.tasks.fixed.conv import ConvTask
from learned_optimization.tasks.fixed.image_mlp import ImageMLPTask
from learned_optimization.tasks.fixed.image_mlp_ae import ImageMLPAETask
from learned_optimization.tasks.fixed.mlp_mixer import MLPMixerTask
from learned_optimization.tasks.fixed.resnet import ResNetTask
from learned_optimization.tasks.fixed.rnn_lm import RNNLanguageModelTask
from learned_optimization.tasks.fixed.transformer_lm import TransformerLanguageModelTask
from learned_optimization.tasks.fixed.vit import ViTTask
from learned_optimization.tasks.models.noisy_quadratic import NoisyQuadraticTask
from learned_optimization.tasks.quadratics import GaussianOffsets
from learned_optimization.tasks.registry import own_fixed_task


@own_fixed_task
def ImageMLP_FashionMnist8_32x32x32x32x32x32_Tanh() -> ImageMLPTask:
    """Fashion-MNIST at 8x8, six hidden layers of 32, tanh."""
    return ImageMLPTask(
        fashion_mnist(128, image_size=8), hidden=(32,) * 6, activation=jnp.tanh
    )


@own_fixed_task
def ImageMLP_FashionMnist8_64x64_Relu_MSE() -> ImageMLPTask:
    """Fashion-MNIST at 8x8, two hidden layers of 64, squared error."""
    return ImageMLPTask(
        fashion_mnist(128, image_size=8), hidden=(64, 64), loss_kind="mse"
    )


@own_fixed_task
def ImageMLPAE_FashionMnist8_64x8x64_bs128() -> ImageMLPAETask:
    """Fashion-MNIST at 8x8, hidden layers of 64, 8 and 64."""
    return ImageMLPAETask(fashion_mnist(128, image_size=8), hidden=(64, 8, 64))


@own_fixed_task
def Conv_FashionMnist8_16x32() -> ConvTask:
    """Fashion-MNIST at 8x8, convolutions to 16x32 channels, batches of 64."""
    return ConvTask(fashion_mnist(64, image_size=8), channels=(16, 32))


@own_fixed_task
def Conv_FashionMnist8_16x16x16_batchnorm() -> ConvTask:
    """Fashion-MNIST at 8x8, convolutions to 16x16x16 channels, batch norm."""
    return ConvTask(
        fashion_mnist(64, image_size=8), channels=(16, 16, 16), norm="batch"
    )


@own_fixed_task
def Conv_FashionMnist8_16x16x16_layernorm() -> ConvTask:
    """Fashion-MNIST at 8x8, convolutions to 16x16x16 channels, layer norm."""
    return ConvTask(
        fashion_mnist(64, image_size=8), channels=(16, 16, 16), norm="layer"
    )


@own_fixed_task
def Resnet_FashionMnist8_8x16x16x32() -> ResNetTask:
    """Fashion-MNIST at 8x8, four blocks of 8x16x16x32 channels, batches of 32."""
    return ResNetTask(
        fashion_mnist(32, image_size=8),
        channels_per_group=(8, 16, 16, 32),
        stem_kernel_size=3,
        use_max_pool=False,
    )


@own_fixed_task
def VIT_FashionMnist8_2layer_24width() -> ViTTask:
    """Fashion-MNIST at 8x8 in patches of 2x2, two layers of width 24."""
    return ViTTask(
        fashion_mnist(32, image_size=8),
        hidden=24,
        mlp=48,
        num_heads=2,
        num_layers=2,
        patch_size=2,
    )


@own_fixed_task
def MLPMixer_FashionMnist8_2block_32width() -> MLPMixerTask:
    """Fashion-MNIST at 8x8 in patches of 2x2, two blocks of width 32."""
    return MLPMixerTask(
        fashion_mnist(32, image_size=8),
        hidden=32,
        num_blocks=2,
        tokens_mlp=16,
        channels_mlp=64,
        patch_size=2,
    )


@own_fixed_task
def RNNLM_kjvbytes_Patch16_GRU64_Embed32() -> RNNLanguageModelTask:
    """The King James Bible as bytes, GRU of width 64, 16 tokens, batches of 16."""
    return RNNLanguageModelTask(kjv_bytes(16, 16), cell="GRU", hidden=64, embedding=32)


@own_fixed_task
def TransformerLM_kjvbytes_Patch16_1layer_32width() -> TransformerLanguageModelTask:
    """The King James Bible as bytes, one layer of width 32, 2 heads, 16 tokens."""
    return TransformerLanguageModelTask(
        kjv_bytes(16, 16), num_heads=2, d_model=32, num_layers=1
    )


@own_fixed_task
def ESWrapped_8pair_ImageMLP_FashionMnist8_Relu32() -> ESTask:
    """`ImageMLP_FashionMnist8_Relu32`, eight antithetic pairs."""
    return ESTask(image_mlp.ImageMLP_FashionMnist8_Relu32(), std=0.01, n_pairs=8)


@own_fixed_task
def NoisyQuadratic_100dim_condition1000() -> NoisyQuadraticTask:
    """A noisy quadratic of 100 parameters, curvatures from 1 to a thousandth."""
    return NoisyQuadraticTask(GaussianOffsets(100, batch_size=8), condition=1000.0)
