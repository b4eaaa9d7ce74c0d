"""Mixes of task families to meta-train on, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from learned_optimization.errors import UnknownNameError
from learned_optimization.tasks.base import (
    Task,
    TaskFamily,
    get_task_from_name,
    single_task_to_family,
)
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.text import kjv_bytes
from learned_optimization.tasks.es_wrapper import ESTask
from learned_optimization.tasks.fixed.conv import ConvTask
from learned_optimization.tasks.fixed.image_mlp import ImageMLPTask
from learned_optimization.tasks.fixed.image_mlp_ae import ImageMLPAETask
from learned_optimization.tasks.fixed.mlp_mixer import MLPMixerTask
from learned_optimization.tasks.fixed.resnet import ResNetTask
from learned_optimization.tasks.fixed.rnn_lm import RNNLanguageModelTask
from learned_optimization.tasks.fixed.transformer_lm import TransformerLanguageModelTask
from learned_optimization.tasks.fixed.vit import ViTTask
from learned_optimization.tasks.parametric.image_mlp import ImageMLPFamily


def families_of(task_names: Sequence[str], mix: str | None = None) -> list[TaskFamily]:
    """Return what is trained on: fixed tasks, as families of their own, and a mix.

    Args:
      task_names: names of fixed tasks.
      mix: one of `MIXES`, or none.

    Raises:
      UnknownNameError: if there is no task or no mix of a name.
    """
    if mix is not None and mix not in MIXES:
        raise UnknownNameError("mix", mix, MIXES)
    tasks = [single_task_to_family(get_task_from_name(name)) for name in task_names]
    return [*tasks, *(MIXES[mix]() if mix is not None else [])]


def small_perceptrons() -> list[TaskFamily]:
    """Return three families of small perceptrons on 8x8 Fashion-MNIST.

    They differ in width, depth and batch size, and draw activations and losses.
    """
    both = {"cross_entropy": 0.5, "mse": 0.5}
    return [
        _perceptrons(128, (32,), 0.7),
        _perceptrons(32, (16, 16), 0.5, losses=both),
        _perceptrons(64, (16, 16, 16), 0.7, losses={"cross_entropy": 0.7, "mse": 0.3}),
    ]


def small_models() -> list[TaskFamily]:
    """Return families of the architectures of the suite `laptop`, in about its sizes.

    None is a task of `laptop` or `laptop_heldout`. Batches are as large as there: steps
    learned in smaller ones, where gradients are noisier, are too short.
    """
    tasks: dict[str, Task] = {
        "ImageMLPAE_48x6x48": ImageMLPAETask(_images(128), hidden=(48, 6, 48)),
        "Conv_12x32": ConvTask(_images(64), channels=(12, 32)),
        "Conv_24x16": ConvTask(_images(128), channels=(24, 16)),
        "Conv_16x24_batchnorm": ConvTask(_images(64), channels=(16, 24), norm="batch"),
        "Conv_12x24_layernorm": ConvTask(_images(64), channels=(12, 24), norm="layer"),
        "Resnet_8x8x16x24": ResNetTask(
            _images(32),
            channels_per_group=(8, 8, 16, 24),
            stem_kernel_size=3,
            use_max_pool=False,
        ),
        "VIT_1layer_24width": ViTTask(
            _images(32), hidden=24, mlp=48, num_heads=2, num_layers=1, patch_size=2
        ),
        "MLPMixer_2block_20width": MLPMixerTask(
            _images(32),
            hidden=20,
            num_blocks=2,
            tokens_mlp=16,
            channels_mlp=40,
            patch_size=2,
        ),
        "RNNLM_GRU48_Embed24": RNNLanguageModelTask(
            kjv_bytes(16, 16), cell="GRU", hidden=48, embedding=24
        ),
        "ESWrapped_4pair_ImageMLP_24": ESTask(
            ImageMLPTask(_images(128), hidden=(24,)), std=0.01, n_pairs=4
        ),
        "TransformerLM_1layer_24width": TransformerLanguageModelTask(
            kjv_bytes(16, 16), num_heads=2, d_model=24, num_layers=1
        ),
    }
    losses = {"cross_entropy": 0.7, "mse": 0.3}
    perceptrons = [
        (128, (48,)),
        (64, (24, 24)),
        (128, (32, 32, 32)),
        (128, (24,) * 5),
        (128, (96, 48)),
    ]
    return [
        *(
            _perceptrons(size, hidden, 0.6, losses=losses)
            for size, hidden in perceptrons
        ),
        *(single_task_to_family(task, name) for name, task in tasks.items()),
    ]


MIXES: dict[str, Callable[[], list[TaskFamily]]] = {
    "small_perceptrons": small_perceptrons,
    "small_models": small_models,
}
"""Functions that return families to meta-train on, by name."""


def _images(batch_size: int):
    return fashion_mnist(batch_size, image_size=8)


def _perceptrons(
    batch_size: int, hidden: tuple[int, ...], relu: float, **given: dict[str, float]
) -> TaskFamily:
    activations = {"relu": relu, "tanh": 1 - relu}
    return ImageMLPFamily(_images(batch_size), hidden, activations, **given)
