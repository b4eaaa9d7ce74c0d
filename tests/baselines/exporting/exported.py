"""Archives written by hand, and the sets they are of."""

import numpy as np

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.sets.hparam_set import HParamSet

TASK = "Handmade"
SPLITS = ("train", "outer_valid", "test")
STEPS = np.array([0, 10, 20])

MOMENTUM = HParamSet(
    name="Momentum_20_R3",
    optimizer="SGDM",
    opt_names=("SGDM_lr0.1", "SGDM_lr1"),
    hparams=(
        {"learning_rate": 0.1, "SGDM.momentum": 0.9, "nesterov": True},
        {"learning_rate": 1.0, "SGDM.momentum": 0.5, "nesterov": False},
    ),
    num_steps=20,
    repetitions=3,
)
COSINE = HParamSet(
    name="Cosine_20_R3",
    optimizer="Adam",
    opt_names=("AdamCosine_lr0.1", "AdamCosine_lr1"),
    hparams=tuple(
        {
            "learning_rate": "@CosineDecay()",
            "CosineDecay.learning_rate": lr,
            "average": 2,
            "momentum": 1,
            "nesterov": "sometimes",
        }
        for lr in (0.1, 1.0)
    ),
    num_steps=20,
    repetitions=3,
)


def arrays(hparam_set: HParamSet, seed: int = 0) -> dict[str, np.ndarray]:
    """Return what a set's archive holds; its second configuration is the better.

    The last seed of the first configuration diverges in step 13.
    """
    rng = np.random.default_rng(seed)
    shape = (hparam_set.num_configs, hparam_set.repetitions)
    worse = np.array([1.0, 0.0])[:, None, None]

    def losses(length: int) -> np.ndarray:
        return (rng.random((*shape, length)) + worse).astype(np.float32)

    evals = [
        f"eval/{split}/{name}"
        for split in SPLITS
        for name in ("loss", "loss_normalized", "accuracy")
    ]
    data = {key: losses(len(STEPS)) for key in evals}
    for key in evals:
        data[key][0, -1, 1:] = [np.inf, np.nan]
    data["train/loss"] = losses(21)
    data["train/loss"][0, -1, 13:] = np.nan
    status = np.full(shape, "done", "<U8")
    status[0, -1] = "diverged"
    step = np.full(shape, -1)
    step[0, -1] = 13
    names = np.array(hparam_set.opt_names)[:, None]
    return data | {
        "train/xs": np.broadcast_to(np.arange(21), (*shape, 21)),
        "eval/xs": np.broadcast_to(STEPS, (*shape, len(STEPS))),
        "opt_name": np.broadcast_to(names, shape),
        "seed": np.broadcast_to(np.arange(7, 7 + shape[1]), shape),
        "num_steps": np.full(shape, 20),
        "status": status,
        "diverged_from": step,
        "timing/run_seconds_per_trial": rng.random(shape),
        "synthetic_data": np.zeros(shape, bool),
        "accelerator_platform": np.full(shape, "cpu"),
        "accelerator_kind": np.full(shape, "some cpu"),
        "strategy": np.full(shape, "vmap"),
        "versions": np.full(shape, "jax==1.2\nnumpy==3.4"),
    }


def published() -> dict[str, np.ndarray]:
    """Return an archive of another's: fewer keys, float64, 2 evaluations, 1 seed."""
    losses = np.array([[[3.0, 0.1]], [[2.0, np.nan]]])
    return {
        "eval/xs": np.broadcast_to([0.0, 50.0], losses.shape),
        "train/xs": np.broadcast_to([0.0, 50.0], losses.shape),
        "train/loss": losses,
        "opt_name": np.array([["Old_lr1"], ["Old_lr2"]]),
        **{f"eval/{split}/loss": losses * (i + 1) for i, split in enumerate(SPLITS)},
    }


def register() -> None:
    """Make both sets known for the length of a test."""
    for hparam_set in (MOMENTUM, COSINE):
        add_hparam_set(hparam_set)


def write_both() -> dict[str, dict[str, np.ndarray]]:
    """Write the archives of both sets; returns what they hold, by the sets' names."""
    data = {MOMENTUM.name: arrays(MOMENTUM), COSINE.name: arrays(COSINE, seed=1)}
    for name, held in data.items():
        utils.write_archive(TASK, name, held)
    return data
