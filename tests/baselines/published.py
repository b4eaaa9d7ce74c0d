"""Result files as the published system writes them, without training anything.

None of the keys that are this package's own is in them: no seed, no schema version, no
setting. They name the class of the task and of the optimizer, not those of their
folders, and numbers of steps may be floats.
"""

import os
import uuid

import numpy as np

from learned_optimization.baselines import utils

RATES = [
    "1e-07", "3e-07", "1e-06", "3e-06", "1e-05", "3e-05", "0.0001", "0.0003", "0.001",
    "0.003", "0.01", "0.03", "0.1", "0.3", "1",
]  # fmt: skip
"""As they are written in the names of folders, the fifteenth one first."""

SPLITS = ("train", "outer_valid", "test")


def final_loss(config: int, seed: int) -> float:
    """Return the loss a trial ends at: the tenth rate is the best."""
    return 0.5 + 0.1 * abs(config - 9) + 0.01 * seed


def curves(config: int, seed: int, num_steps: int, opt="Adam", gin="", floats=True):
    """What the file of one trial holds."""
    xs = np.arange(num_steps + 1)
    loss = np.linspace(2.3, final_loss(config, seed), num_steps + 1)
    return {
        "train/xs": xs.astype(np.float64 if floats else np.int64),
        "train/loss": loss.astype(np.float32),
        "eval/xs": xs[::10].astype(np.float64 if floats else np.int64),
        **{f"eval/{s}/loss": loss[::10].astype(np.float32) for s in SPLITS},
        **{f"eval/{s}/loss_normalized": loss[::10].astype(np.float32) for s in SPLITS},
        "eval/eval_batches": 5,
        "eval/last_eval_batches": 10,
        "gin_operative_config": gin,
        "num_steps": num_steps,
        "opt_name": opt,
        "task_name": "MLPTask",
        "eval_task_name": "MLPTask",
        "eval_every": 10,
        "eval_batches": 5,
        "last_eval_batches": 10,
        "accelerator_devs": 1,
        "accelerator_platform": "tpu",
        "accelerator_kind": "TPU v2",
    }


def write(task: str, opt_name: str, num_steps: int, data: dict) -> str:
    """Write one file with numpy alone, at the published place."""
    folder = f"{utils.get_root_baseline_dir()}/{task}/{opt_name}/{num_steps}_10_5_10"
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/20220101_120000_{str(uuid.uuid4())[:10]}.curves"
    with open(path, "wb") as file:
        np.savez_compressed(file, **data)
    return path


def write_rates(
    task: str, opt_name: str, num_steps: int, repetitions: int, **options
) -> None:
    """Write the files of a set over the fifteen rates."""
    for config, rate in enumerate(RATES):
        for seed in range(repetitions):
            data = curves(config, seed, num_steps, **options)
            write(task, f"{opt_name}_lr{rate}", num_steps, data)
