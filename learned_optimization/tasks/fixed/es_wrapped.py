"""Image MLPs whose gradient is estimated by evolution strategies."""

from __future__ import annotations

from learned_optimization.tasks.es_wrapper import ESTask
from learned_optimization.tasks.fixed import image_mlp
from learned_optimization.tasks.registry import fixed_task

_STD = 0.01


@fixed_task
def ESWrapped_1pair_ImageMLP_Cifar10_128x128x128_Relu() -> ESTask:
    """`ImageMLP_Cifar10_128x128x128_Relu`, one antithetic pair."""
    return ESTask(image_mlp.ImageMLP_Cifar10_128x128x128_Relu(), std=_STD, n_pairs=1)


@fixed_task
def ESWrapped_1pair_ImageMLP_Mnist_128x128x128_Relu() -> ESTask:
    """`ImageMLP_Mnist_128x128x128_Relu`, one antithetic pair."""
    return ESTask(image_mlp.ImageMLP_Mnist_128x128x128_Relu(), std=_STD, n_pairs=1)


@fixed_task
def ESWrapped_8pair_ImageMLP_Cifar10_128x128x128_Relu() -> ESTask:
    """`ImageMLP_Cifar10_128x128x128_Relu`, eight antithetic pairs."""
    return ESTask(image_mlp.ImageMLP_Cifar10_128x128x128_Relu(), std=_STD, n_pairs=8)


@fixed_task
def ESWrapped_8pair_ImageMLP_Mnist_128x128x128_Relu() -> ESTask:
    """`ImageMLP_Mnist_128x128x128_Relu`, eight antithetic pairs."""
    return ESTask(image_mlp.ImageMLP_Mnist_128x128x128_Relu(), std=_STD, n_pairs=8)


@fixed_task
def ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32() -> ESTask:
    """`ImageMLP_FashionMnist8_Relu32`, one antithetic pair."""
    return ESTask(image_mlp.ImageMLP_FashionMnist8_Relu32(), std=_STD, n_pairs=1)


@fixed_task
def ESWrapped_1pair_ImageMLP_Cifar10BW8_Relu32() -> ESTask:
    """`ImageMLP_Cifar10BW8_Relu32`, one antithetic pair."""
    return ESTask(image_mlp.ImageMLP_Cifar10BW8_Relu32(), std=_STD, n_pairs=1)
