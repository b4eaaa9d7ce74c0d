"""Learned optimizers whose meta-parameters are trained."""

from __future__ import annotations

from learned_optimization.learned_optimizers.adafac_mlp_lopt import AdafacMLPLOpt
from learned_optimization.learned_optimizers.learnable import LearnableAdam
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.outer_trainers.lopt_tasks import LOptTask, TruncatedPESTask
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.es_wrapper import ESTask
from learned_optimization.tasks.fixed import conv, image_mlp
from learned_optimization.tasks.registry import fixed_task

# "FahionMnist" is the published spelling.

_STD = 0.01


def _pes(
    task: Task, num_tasks: int, total_length: int, trunc_length: int
) -> TruncatedPESTask:
    return TruncatedPESTask(
        task, AdafacMLPLOpt(), num_tasks, total_length, trunc_length, _STD
    )


@fixed_task
def LOpt_MLPLOpt_FahionMnist_100() -> LOptTask:
    """`MLPLOpt` on `ImageMLP_FashionMnist8_Relu32`, 100 steps."""
    return LOptTask(image_mlp.ImageMLP_FashionMnist8_Relu32(), MLPLOpt(), num_steps=100)


@fixed_task
def LOpt_MLPLOpt_FahionMnist_50() -> LOptTask:
    """`MLPLOpt` on `ImageMLP_FashionMnist8_Relu32`, 50 steps."""
    return LOptTask(image_mlp.ImageMLP_FashionMnist8_Relu32(), MLPLOpt(), num_steps=50)


@fixed_task
def LOpt_MLPLOpt_FahionMnist_10() -> LOptTask:
    """`MLPLOpt` on `ImageMLP_FashionMnist8_Relu32`, 10 steps."""
    return LOptTask(image_mlp.ImageMLP_FashionMnist8_Relu32(), MLPLOpt(), num_steps=10)


@fixed_task
def LOpt_MLPLOpt_Cifar10_16_10() -> LOptTask:
    """`MLPLOpt` on `Conv_Cifar10_16_32x64x64`, 10 steps."""
    return LOptTask(conv.Conv_Cifar10_16_32x64x64(), MLPLOpt(), num_steps=10)


@fixed_task
def LOpt_MLPLOpt_Cifar10_8_50() -> LOptTask:
    """`MLPLOpt` on `Conv_Cifar10_8_16x32`, 50 steps."""
    return LOptTask(conv.Conv_Cifar10_8_16x32(), MLPLOpt(), num_steps=50)


@fixed_task
def LOpt_AdafacMLPLOpt_Cifar10_8_10() -> LOptTask:
    """`AdafacMLPLOpt` on `Conv_Cifar10_8_16x32`, 10 steps."""
    return LOptTask(conv.Conv_Cifar10_8_16x32(), AdafacMLPLOpt(), num_steps=10)


@fixed_task
def LOpt_AdafacMLPLOpt_FashionMnist_50() -> LOptTask:
    """`AdafacMLPLOpt` on `ImageMLP_FashionMnist8_Relu32`, 50 steps."""
    return LOptTask(
        image_mlp.ImageMLP_FashionMnist8_Relu32(), AdafacMLPLOpt(), num_steps=50
    )


@fixed_task
def LOpt_AdafacMLPLOpt_FashionMnist_20() -> LOptTask:
    """`AdafacMLPLOpt` on `ImageMLP_FashionMnist8_Relu32`, 20 steps."""
    return LOptTask(
        image_mlp.ImageMLP_FashionMnist8_Relu32(), AdafacMLPLOpt(), num_steps=20
    )


@fixed_task
def LOpt_LearnableAdam_Cifar10_8_50() -> LOptTask:
    """`LearnableAdam` on `Conv_Cifar10_8_16x32`, 50 steps."""
    return LOptTask(conv.Conv_Cifar10_8_16x32(), LearnableAdam(), num_steps=50)


@fixed_task
def LOpt_LearnableAdam_Cifar10_8_200() -> LOptTask:
    """`LearnableAdam` on `Conv_Cifar10_8_16x32`, 200 steps."""
    return LOptTask(conv.Conv_Cifar10_8_16x32(), LearnableAdam(), num_steps=200)


@fixed_task
def LOpt_ES4_AdafacMLPLOpt_FashionMnist_20() -> ESTask:
    """`LOpt_AdafacMLPLOpt_FashionMnist_20`, four antithetic pairs."""
    return ESTask(LOpt_AdafacMLPLOpt_FashionMnist_20(), std=_STD, n_pairs=4)


@fixed_task
def LOpt_ES4_LOpt_MLPLOpt_FahionMnist_50() -> ESTask:
    """`LOpt_MLPLOpt_FahionMnist_50`, four antithetic pairs."""
    return ESTask(LOpt_MLPLOpt_FahionMnist_50(), std=_STD, n_pairs=4)


@fixed_task
def LOpt_ES4_LOpt_MLPLOpt_Cifar10_16_10() -> ESTask:
    """`LOpt_MLPLOpt_Cifar10_16_10`, four antithetic pairs."""
    return ESTask(LOpt_MLPLOpt_Cifar10_16_10(), std=_STD, n_pairs=4)


@fixed_task
def LOptPES_Adafac_Fashion_OuterBS16_Length50_Trunc10() -> TruncatedPESTask:
    """16 pairs, truncations of 10 of 50 steps."""
    return _pes(image_mlp.ImageMLP_FashionMnist8_Relu32(), 16, 50, 10)


@fixed_task
def LOptPES_Adafac_Fashion_OuterBS16_Length200_Trunc10() -> TruncatedPESTask:
    """16 pairs, truncations of 10 of 200 steps."""
    return _pes(image_mlp.ImageMLP_FashionMnist8_Relu32(), 16, 200, 10)


@fixed_task
def LOptPES_Adafac_Fashion_OuterBS8_Length50_Trunc5() -> TruncatedPESTask:
    """8 pairs, truncations of 5 of 50 steps."""
    return _pes(image_mlp.ImageMLP_FashionMnist8_Relu32(), 8, 50, 5)


@fixed_task
def LOptPES_Adafac_Fashion_OuterBS4_Length50_Trunc10() -> TruncatedPESTask:
    """4 pairs, truncations of 10 of 50 steps."""
    return _pes(image_mlp.ImageMLP_FashionMnist8_Relu32(), 4, 50, 10)


@fixed_task
def LOptPES_Adafac_Fashion_OuterBS4_Length50_Trunc5() -> TruncatedPESTask:
    """4 pairs, truncations of 5 of 50 steps."""
    return _pes(image_mlp.ImageMLP_FashionMnist8_Relu32(), 4, 50, 5)


@fixed_task
def LOptPES_Adafac_Cifar_OuterBS16_Length50_Trunc10() -> TruncatedPESTask:
    """16 pairs, truncations of 10 of 50 steps."""
    return _pes(image_mlp.ImageMLP_Cifar10BW8_Relu32(), 16, 50, 10)


@fixed_task
def LOptPES_Adafac_Cifar_OuterBS16_Length200_Trunc10() -> TruncatedPESTask:
    """16 pairs, truncations of 10 of 200 steps."""
    return _pes(image_mlp.ImageMLP_Cifar10BW8_Relu32(), 16, 200, 10)


@fixed_task
def LOptPES_Adafac_Cifar_OuterBS8_Length50_Trunc5() -> TruncatedPESTask:
    """8 pairs, truncations of 5 of 50 steps."""
    return _pes(image_mlp.ImageMLP_Cifar10BW8_Relu32(), 8, 50, 5)


@fixed_task
def LOptPES_Adafac_Cifar_OuterBS4_Length50_Trunc10() -> TruncatedPESTask:
    """4 pairs, truncations of 10 of 50 steps."""
    return _pes(image_mlp.ImageMLP_Cifar10BW8_Relu32(), 4, 50, 10)


@fixed_task
def LOptPES_Adafac_Cifar_OuterBS4_Length50_Trunc5() -> TruncatedPESTask:
    """4 pairs, truncations of 5 of 50 steps."""
    return _pes(image_mlp.ImageMLP_Cifar10BW8_Relu32(), 4, 50, 5)
