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
    """Return families of the architectures of the suite `laptop`, in smaller sizes.

    None is a task of `laptop` or `laptop_heldout`.
    """
    tasks: dict[str, Task] = {
        "ImageMLPAE_32x6x32": ImageMLPAETask(_images(64), hidden=(32, 6, 32)),
        "Conv_12x32": ConvTask(_images(32), channels=(12, 32)),
        "Conv_8x8_batchnorm": ConvTask(_images(32), channels=(8, 8), norm="batch"),
        "Conv_8x16_layernorm": ConvTask(_images(32), channels=(8, 16), norm="layer"),
        "Resnet_8x8x8x16": ResNetTask(
            _images(16),
            channels_per_group=(8, 8, 8, 16),
            stem_kernel_size=3,
            use_max_pool=False,
        ),
        "VIT_1layer_16width": ViTTask(
            _images(16), hidden=16, mlp=32, num_heads=2, num_layers=1, patch_size=2
        ),
        "MLPMixer_1block_16width": MLPMixerTask(
            _images(16),
            hidden=16,
            num_blocks=1,
            tokens_mlp=16,
            channels_mlp=32,
            patch_size=2,
        ),
        "RNNLM_GRU48_Embed24": RNNLanguageModelTask(
            kjv_bytes(12, 12), cell="GRU", hidden=48, embedding=24
        ),
        "ESWrapped_4pair_ImageMLP_16": ESTask(
            ImageMLPTask(_images(64), hidden=(16,)), std=0.01, n_pairs=4
        ),
        "TransformerLM_1layer_16width": TransformerLanguageModelTask(
            kjv_bytes(8, 12), num_heads=2, d_model=16, num_layers=1
        ),
    }
    losses = {"cross_entropy": 0.7, "mse": 0.3}
    perceptrons = [
        (64, (24,)),
        (32, (16, 16)),
        (64, (16, 16, 16)),
        (64, (24,) * 5),
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
