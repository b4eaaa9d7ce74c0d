"""The suites of the package: two of ours, and all published tasks by architecture."""

from __future__ import annotations

from learned_optimization.baselines.suites.registry import add_suite
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.tasks.registry import all_fixed_tasks

LAPTOP = (
    "ImageMLP_FashionMnist8_Relu32",
    "ImageMLP_FashionMnist8_32x32x32x32x32x32_Tanh",
    "ImageMLP_FashionMnist8_64x64_Relu_MSE",
    "ImageMLPAE_FashionMnist8_64x8x64_bs128",
    "Conv_FashionMnist8_16x32",
    "Conv_FashionMnist8_16x16x16_batchnorm",
    "Conv_FashionMnist8_16x16x16_layernorm",
    "Resnet_FashionMnist8_8x16x16x32",
    "VIT_FashionMnist8_2layer_24width",
    "MLPMixer_FashionMnist8_2block_32width",
    "RNNLM_kjvbytes_Patch16_GRU64_Embed32",
    "TransformerLM_kjvbytes_Patch16_1layer_32width",
    "ESWrapped_8pair_ImageMLP_FashionMnist8_Relu32",
    "NoisyQuadratic_100dim_condition1000",
)
"""Tasks of `laptop`."""

LAPTOP_HELDOUT = (
    "ImageMLP_FashionMnistMiddle6_48x24x12_Relu",
    "ImageMLPAE_FashionMnistMiddle6_32x4x32_bs64",
    "Conv_FashionMnistMiddle6_8x16x24_layernorm",
    "Resnet_FashionMnistMiddle6_16x16x32x32",
    "VIT_FashionMnistMiddle6_3layer_24width",
    "MLPMixer_FashionMnistMiddle6_3block_24width",
    "RNNLM_kjvbytes_Patch24_LSTM32_Embed16",
    "TransformerLM_kjvbytes_Patch24_2layer_24width",
)
"""Tasks of `laptop_heldout`."""

# How the names of an architecture's published tasks begin, and what it is.
_PUBLISHED = {
    "published_mlp": ("ImageMLP_", "perceptrons that classify images"),
    "published_ae": ("ImageMLPAE_", "autoencoders of images"),
    "published_conv": ("Conv_", "convolutional networks that classify images"),
    "published_resnet": ("Resnet_", "residual networks that classify ImageNet"),
    "published_vit": ("VIT_", "Vision Transformers that classify images"),
    "published_mixer": ("MLPMixer_", "MLP-Mixers that classify images"),
    "published_rnn_lm": ("RNNLM_", "recurrent networks that model text"),
    "published_lm": ("TransformerLM_", "transformers that model text"),
    "published_es": ("ESWrapped_", "perceptrons trained by evolution strategies"),
    "published_lopt": ("LOpt", "learned optimizers whose meta-parameters are trained"),
}


def _suites() -> list[Suite]:
    published = [n for n, task in all_fixed_tasks().items() if task.is_published]
    return [
        Suite(
            "laptop",
            LAPTOP,
            num_steps=1_000,
            description="every architecture on embedded data: minutes on two cores",
        ),
        Suite(
            "laptop_heldout",
            LAPTOP_HELDOUT,
            num_steps=1_000,
            description="its architectures in other sizes, on which nothing is tuned",
            is_heldout=True,
        ),
        *(
            Suite(
                name,
                tuple(n for n in published if n.startswith(prefix)),
                num_steps=10_000,
                description=f"the published {what}",
            )
            for name, (prefix, what) in _PUBLISHED.items()
        ),
    ]


for _suite in _suites():
    add_suite(_suite, origin=__name__)
