"""How optimizers of PyTorch become optimizers here: names, hyper-parameters, errors."""

import importlib.util

import jax
import numpy as np
import pytest

from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sweeps.sweep import set_trials
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import get_optimizer
from learned_optimization.torch_optimizers import (
    Parameters,
    torch_class,
    torch_optimizer,
)
from learned_optimization.torch_optimizers.arrangement import TorchArrangement

TASK = "ImageMLP_FashionMnist8_Relu32"


def test_a_class_has_its_arguments_as_hyper_parameters(torch) -> None:
    adam = torch_class("torch:torch.optim.Adam")
    assert adam is torch_class("torch.optim.Adam")
    assert adam is get_optimizer("torch_optim_Adam")
    opt = adam(learning_rate=0.003, beta2=0.95)
    assert opt.name.startswith(
        "torch_optim_Adam_lr0.003_b10.9_b20.95_eps1e-08_wd0_amsgradFalse"
    )
    param = torch.nn.Parameter(torch.ones(2))
    [group] = opt.make(Parameters(["bias"], [param]), num_steps=7).param_groups
    assert (group["lr"], group["betas"]) == (0.003, (0.9, 0.95))
    assert opt.packages == ("torch",)


def test_a_lambda_is_named_after_what_it_makes(torch) -> None:
    class MyOpt(torch.optim.SGD):
        pass

    made = torch_optimizer(
        lambda params, learning_rate=1e-3, num_steps=0: MyOpt(params, lr=learning_rate)
    )
    assert made.__name__ == "MyOpt"
    # The length of the run is nothing to tune.
    assert made().name == "MyOpt_lr0.001"
    assert made(learning_rate=0.1).name == "MyOpt_lr0.1"
    with pytest.raises(LoptError, match="there is an optimizer Adam already"):
        torch_optimizer(lambda params: torch.optim.Adam(params))
    named = torch_optimizer(lambda params: torch.optim.Adam(params), name="Theirs")
    assert named().name == "Theirs"
    with pytest.raises(LoptError, match=r"without a name .* Give it a name"):
        torch_optimizer(lambda params: 1 / 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "must take the parameters as its first argument"),
        (lambda params, betas=((1, 2),): None, "has the argument betas"),
        (lambda params, step=print: None, "has the argument step with the default"),
    ],
)
def test_what_cannot_be_an_optimizer_is_refused(torch, make, message) -> None:
    with pytest.raises(LoptError, match=message):
        torch_optimizer(make, name="Wrong")
    with pytest.raises(LoptError, match="unknown optimizer"):
        get_optimizer("Wrong")


def test_what_is_made_is_checked(torch) -> None:
    with pytest.raises(LoptError, match=r"returns a torch\.optim\.Optimizer"):
        torch_optimizer(lambda params: None)
    with pytest.raises(LoptError, match="returns at least one optimizer"):
        torch_optimizer(lambda params: [])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Adam", "torch:Adam names no class"),
        ("torch.optim.Adan", "did you mean Adam"),
        ("torch.optim.lr_scheduler.StepLR", "is no class of torch.optim.Optimizer"),
        ("no_such_library.Adam", "cannot be imported: .*Install the package"),
    ],
)
def test_a_path_is_that_of_a_class(torch, path: str, message: str) -> None:
    with pytest.raises(LoptError, match=message):
        torch_class(path)


def test_without_pytorch_it_says_what_to_install(monkeypatch) -> None:
    made = torch_optimizer(lambda params: None, name="NeedsTorch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (lambda: torch_class("torch.optim.NoSuch"), made().prepare):
        with pytest.raises(LoptError, match=r"pip install .*\[torch\]"):
            call()


def test_it_cannot_be_traced(torch) -> None:
    opt = torch_class("torch.optim.SGD")()
    with pytest.raises(LoptError, match="steps in Python"):
        opt.init({"w": np.ones(2)})
    with pytest.raises(LoptError, match="steps in Python"):
        opt.update(None, None)


def test_yaml_names_a_class(torch, tmp_path) -> None:
    path = tmp_path / "sets.yaml"
    path.write_text(
        "name: TheirAdam_20_R2\n"
        "optimizer: torch:torch.optim.Adam\n"
        "num_steps: 20\n"
        "seeds: 2\n"
        "space: {learning_rate: [0.001, 0.01]}\n"
        "fixed: {beta2: 0.99, amsgrad: true}\n"
    )
    [made] = load_user_file(path)
    assert made.opt_names == tuple(
        f"torch_optim_Adam_lr{lr}_b20.99_amsgradTrue" for lr in (0.001, 0.01)
    )
    trials = set_trials(TASK, made)
    assert [(t.seed, vars(t.opt)["learning_rate"]) for t in trials] == [
        (0, 0.001),
        (0, 0.01),
        (1, 0.001),
        (1, 0.01),
    ]
    for wrong, message in (
        ("lr: 0.1", "has no hyper-parameter 'lr': it is called learning_rate here"),
        ("betas: 0.1", "it is called beta1 and beta2 here"),
        ("bta1: 0.1", "did you mean beta1"),
    ):
        path.write_text(
            "name: Wrong\noptimizer: torch:torch.optim.Adam\nnum_steps: 2\n"
            f"fixed: {{{wrong}}}\n"
        )
        with pytest.raises(LoptError, match=message):
            load_user_file(path)


def test_parameters_are_laid_out_as_torch_has_them() -> None:
    shapes = {
        "Conv_0": {"kernel": (3, 5, 2, 7), "bias": (7,)},
        "Dense_0": {"kernel": (4, 6)},
        "Attention": {
            "key": {"kernel": (8, 2, 3), "bias": (2, 3)},
            "out": {"kernel": (2, 3, 9)},
        },
        "embedding": (11, 4),
        "scale": (),
    }
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda s: rng.normal(size=s).astype(np.float32),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )
    arrangement = TorchArrangement.of(params)
    arrays = dict(zip(arrangement.names, arrangement.to_arrays(params), strict=True))
    assert {name: x.shape for name, x in arrays.items()} == {
        "Attention/key/bias": (2, 3),
        "Attention/key/kernel": (6, 8),
        "Attention/out/kernel": (9, 6),
        "Conv_0/bias": (7,),
        "Conv_0/kernel": (7, 2, 3, 5),
        "Dense_0/kernel": (6, 4),
        "embedding": (11, 4),
        "scale": (),
    }
    window = params["Conv_0"]["kernel"]
    assert arrays["Conv_0/kernel"][6, 1, 2, 4] == window[2, 4, 1, 6]
    assert (
        arrays["Attention/key/kernel"][5, 7]
        == params["Attention"]["key"]["kernel"][7, 1, 2]
    )
    assert (
        arrays["Attention/out/kernel"][8, 4]
        == params["Attention"]["out"]["kernel"][1, 1, 8]
    )
    back = arrangement.to_params(list(arrays.values()))
    jax.tree.map(np.testing.assert_array_equal, params, back)
