"""PyTorch's own optimizers step like ours: each is an independent check of the other.

Where the two mean different things by an argument, as where epsilon is added, values
are taken for which that makes no difference.
"""

from dataclasses import dataclass

import numpy as np
import optax
import pytest

from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.optimizers.optax_optimizer import OptaxOptimizer
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.torch_optimizers import torch_class
from tests.tiny import NUM_FEATURES, StatefulTask, TinyTask

STEPS = 100
_NO_EPSILON = 1e-30
# Each compiles two programs.
_FAST, _SLOW = ("SGD", "Adam"), pytest.mark.slow

# Class of torch.optim, its arguments, our optimizer, its hyper-parameters.
PAIRS = [
    ("SGD", {"learning_rate": 0.1}, "SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}, "SGDM", {"learning_rate": 0.1}),
    (
        "Adam",
        {"learning_rate": 0.01, "beta1": 0.8},
        "Adam",
        {"learning_rate": 0.01, "beta1": 0.8, "epsilon_root": 0.0},
    ),
    (
        "AdamW",
        {"learning_rate": 0.01, "weight_decay": 0.1},
        "AdamW",
        {"learning_rate": 0.01, "weight_decay": 0.1},
    ),
    (
        "RMSprop",
        {"learning_rate": 0.01, "alpha": 0.9, "eps": _NO_EPSILON},
        "RMSProp",
        {"learning_rate": 0.01, "decay": 0.9, "epsilon": _NO_EPSILON},
    ),
    (
        "Adagrad",
        {
            "learning_rate": 0.1,
            "initial_accumulator_value": 0.1,
            "eps": _NO_EPSILON,
        },
        "AdaGrad",
        {"learning_rate": 0.1, "eps": _NO_EPSILON},
    ),
    # Its momentum rises along a schedule, which is over at once for this decay.
    ("NAdam", {"learning_rate": 0.01, "momentum_decay": 1e6}, "nadam", {}),
]


@dataclass(frozen=True)
class Watched(TinyTask):
    """Reports its parameters."""

    def loss_and_aux(self, params, key, data):
        loss, _ = TinyTask.loss_and_aux(self, params, key, data)
        return loss, {"b": params["b"]} | {
            f"w{i}": params["w"][i] for i in range(NUM_FEATURES)
        }


def _ours(name: str, hparams: dict[str, float]) -> Optimizer:
    if name == "nadam":
        return OptaxOptimizer(optax.nadam(0.01))
    return get_optimizer(name)(**hparams)


@pytest.mark.parametrize(
    ("torchs", "arguments", "ours", "hparams"),
    [
        pytest.param(*pair, id=pair[2], marks=[] if pair[2] in _FAST else _SLOW)
        for pair in PAIRS
    ],
)
def test_steps_as_ours_does(torch, torchs, arguments, ours, hparams) -> None:
    theirs = torch_class(f"torch.optim.{torchs}")(**arguments)
    got, want = (
        single_task_training_curves(
            Watched(), opt, STEPS, key_of_seed(3), eval_every=1, eval_batches=1
        )
        for opt in (theirs, _ours(ours, hparams))
    )
    assert got.keys() == want.keys()
    # Bias is corrected in double precision there, and in single precision here.
    for name in ("b", *(f"w{i}" for i in range(NUM_FEATURES))):
        key = f"eval/test/{name}"
        assert got[key].shape == (STEPS + 1,)
        np.testing.assert_allclose(got[key], want[key], rtol=0, atol=1e-5, err_msg=name)
    for key in got:
        np.testing.assert_allclose(
            got[key], want[key], rtol=1e-4, atol=1e-4, err_msg=key
        )
    # It has learned, or the test says nothing.
    assert got["train/loss"][-10:].mean() < 0.7 * got["train/loss"][0]


@pytest.mark.slow
def test_the_state_of_the_model_is_carried(torch) -> None:
    curves = [
        single_task_training_curves(StatefulTask(), opt, 20, key_of_seed(0))
        for opt in (torch_class("torch.optim.SGD")(), get_optimizer("SGD")(1e-3))
    ]
    # What the state has counted, at each evaluation.
    assert curves[0]["eval/test/calls"].tolist() == [1.0, 11.0, 21.0]
    assert (
        curves[0]["eval/test/calls"].tolist() == curves[1]["eval/test/calls"].tolist()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "task_name",
    [
        "ImageMLP_FashionMnist8_Relu32",
        "Conv_FashionMnist8_16x16x16_batchnorm",
        pytest.param("VIT_FashionMnist8_2layer_24width", marks=pytest.mark.exhaustive),
        pytest.param(
            "RNNLM_kjvbytes_Patch16_GRU64_Embed32", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_pairs_on_real_tasks(torch, task_name: str) -> None:
    task = get_task_from_name(task_name)
    curves = [
        single_task_training_curves(task, opt, 30, key_of_seed(1), last_eval_batches=2)
        for opt in (
            torch_class("torch.optim.Adam")(learning_rate=1e-3),
            get_optimizer("Adam")(1e-3, epsilon_root=0.0),
        )
    ]
    for key, values in curves[0].items():
        np.testing.assert_allclose(
            values, curves[1][key], rtol=1e-3, atol=2e-3, err_msg=key
        )
    for key in ("train/loss", "eval/test/loss"):
        np.testing.assert_allclose(curves[0][key][0], curves[1][key][0], rtol=1e-6)
