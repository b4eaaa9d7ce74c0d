"""Optimizers that others have published for PyTorch train a task as they come."""

import numpy as np
import pytest

from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.torch_optimizers import torch_class
from tests.components import require

TASK = "ImageMLP_FashionMnist8_Relu32"
LIBRARIES = {
    "pytorch_optimizer": (
        *("ADOPT", "AdEMAMix", "AdaBelief", "AdaFactor", "AdaMax", "AdamP", "AdamS"),
        *("Adan", "CAME", "DiffGrad", "Grams", "Lamb", "LaProp", "Lion", "MADGRAD"),
        *("MARS", "NovoGrad", "Prodigy", "QHAdam", "SOAP", "SPlus", "StableAdamW"),
        *("ScheduleFreeAdamW", "Tiger"),
    ),
    "schedulefree": (
        "AdamWScheduleFree",
        "AdamWScheduleFreeClosure",
        "RAdamScheduleFree",
        "SGDScheduleFree",
    ),
    "heavyball": ("AdamW", "SFAdamW", "Muon", "SOAP"),
}
# It compiles kernels of its own, for minutes.
EXHAUSTIVE = ("heavyball",)


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(
            name,
            marks=pytest.mark.exhaustive if name in EXHAUSTIVE else pytest.mark.slow,
        )
        for name in LIBRARIES
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_optimizers_of_a_library_train(torch, library: str) -> None:
    require(library)
    task, losses = get_task_from_name(TASK), {}
    for name in LIBRARIES[library]:
        opt = torch_class(f"{library}.{name}")()
        curves = single_task_training_curves(
            task, opt, 20, key_of_seed(0), eval_batches=1, last_eval_batches=1
        )
        losses[name] = curves["train/loss"][[0, -1]]
    first = [of_one[0] for of_one in losses.values()]
    # All begin where every trial of the seed begins, and go down.
    np.testing.assert_array_equal(first, first[0])
    up = {n: of_one for n, of_one in losses.items() if not of_one[1] < of_one[0]}
    assert not up
