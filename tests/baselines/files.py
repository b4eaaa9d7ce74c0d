"""Result files of trials that nobody trained, made in an instant."""

import numpy as np

from learned_optimization.baselines import utils
from learned_optimization.baselines.results.format import SCHEMA_VERSION, diverged_from
from learned_optimization.baselines.sets.hparam_set import HParamSet

TASK = "TinyRegression"
SPLITS = ("train", "outer_valid", "test")


def result(opt_name, seed, num_steps=20, diverges_at=None, **changes):
    """What the file of one trial holds."""
    losses = np.linspace(3, 1, num_steps + 1, dtype=np.float32) + np.float32(seed)
    if diverges_at is not None:
        losses[diverges_at:] = np.nan
    step = diverged_from(losses)
    evals = losses[::10]
    return {
        "train/xs": np.arange(num_steps + 1),
        "train/loss": losses,
        "eval/xs": np.arange(0, num_steps + 1, 10),
        **{f"eval/{split}/loss": evals for split in SPLITS},
        "eval_every": np.int64(10),
        "eval_batches": np.int64(5),
        "last_eval_batches": np.int64(10),
        "num_steps": np.int64(num_steps),
        "task_name": TASK,
        "opt_name": opt_name,
        "opt_config": opt_name,
        "seed": np.int64(seed),
        "schema_version": np.int64(SCHEMA_VERSION),
        "status": "done" if step < 0 else "diverged",
        "diverged_from": np.int64(step),
        "synthetic_data": np.bool_(False),
        "timing/run_seconds": 0.5,
        **changes,
    }


def write(opt_name, seed, **changes):
    """Write the file of one trial; returns its path."""
    return utils.write_baseline_result(result(opt_name, seed, **changes))


def write_set(hparam_set: HParamSet, task=TASK):
    """Write the files of all trials of a set; returns their paths."""
    return [
        write(opt_name, seed, num_steps=hparam_set.num_steps, task_name=task)
        for opt_name in hparam_set.opt_names
        for seed in range(hparam_set.repetitions)
    ]
