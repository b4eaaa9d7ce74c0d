"""How good an optimizer is on tasks that it was not trained on, against tuned Adam.

`score` chooses among meta-parameters: a ratio of means, on the split for choices. It is
no verdict. That is of other seeds and of the test split, by `baselines.stats`, which
this package does not know; `trained` returns what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization.eval_training import multi_trial_training_curves
from learned_optimization.learning_rates import LEARNING_RATES
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.learning_rate_schedules import CosineDecay
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import get_task_from_name

_SELECTION, _REPORT = "outer_valid", "test"
_FIRST_SEED = 1000
FIRST_SEED_OF_VERDICTS = 2000
"""Seeds that choose among meta-parameters are below it."""


@dataclass(frozen=True)
class Losses:
    """Losses at the end of some runs.

    Attributes:
      selection: of the split that choices are made by, float `[configs, seeds]`.
      report: of the test split.
    """

    selection: np.ndarray
    report: np.ndarray


def trained(
    task_name: str,
    opts: Sequence[Optimizer],
    num_steps: int,
    num_seeds: int,
    first_seed: int = FIRST_SEED_OF_VERDICTS,
) -> dict[str, np.ndarray]:
    """Train a task with some optimizers, and return what an archive would hold.

    Runs are evaluated before training, over few batches, and at their end.

    Args:
      task_name: name of a fixed task.
      opts: optimizers that differ in numbers only.
      num_steps: length of the runs.
      num_seeds: runs of each.
      first_seed: the first of their seeds.

    Returns:
      Arrays `[configs, seeds, ...]` by the keys of a result file.
    """
    seeds = range(first_seed, first_seed + num_seeds)
    made = multi_trial_training_curves(
        get_task_from_name(task_name),
        opts,
        num_steps,
        [key_of_seed(seed) for seed in seeds],
        eval_every=num_steps,
        eval_batches=1,
        last_eval_batches=10,
    ).curves
    shape = len(opts), num_seeds
    of_all = {
        key: np.broadcast_to(made[key], (*shape, len(made[key])))
        for key in ("train/xs", "eval/xs")
    }
    names = np.asarray([opt.name for opt in opts])
    return {
        **made,
        **of_all,
        "opt_name": np.broadcast_to(names[:, None], shape),
        "seed": np.broadcast_to(np.asarray(seeds, np.int64), shape),
        "num_steps": np.full(shape, num_steps, np.int64),
    }


def final_losses(
    task_name: str,
    opts: Sequence[Optimizer],
    num_steps: int,
    num_seeds: int,
    first_seed: int = _FIRST_SEED,
) -> Losses:
    """Train a task with some optimizers, and return the losses at the end.

    Args:
      task_name: name of a fixed task.
      opts: optimizers that differ in numbers only.
      num_steps: length of the runs.
      num_seeds: runs of each.
      first_seed: the first of their seeds.
    """
    curves = trained(task_name, opts, num_steps, num_seeds, first_seed)

    def of(split: str) -> np.ndarray:
        whole = f"final/{split}/loss"
        if whole in curves:
            return np.asarray(curves[whole], np.float64)
        return np.asarray(curves[f"eval/{split}/loss"][..., -1], np.float64)

    return Losses(of(_SELECTION), of(_REPORT))


@dataclass(frozen=True)
class TunedAdam:
    """Adam on one task, with the best of `LEARNING_RATES`.

    Attributes:
      learning_rate: the best, by the mean loss on the split for choices.
      selection: that loss, one per seed.
      report: the test loss, one per seed.
    """

    learning_rate: float
    selection: list[float]
    report: list[float]


def adam_of_every_rate(num_steps: int, *, cosine: bool) -> list[Optimizer]:
    """Return Adam with each of `LEARNING_RATES`.

    Args:
      num_steps: length of the runs.
      cosine: whether the rate falls along half a cosine; else it is constant.
    """

    def opt(rate: float) -> Optimizer:
        if not cosine:
            return Adam(rate)
        return Adam(CosineDecay(num_steps=float(num_steps), learning_rate=rate))

    return list(map(opt, LEARNING_RATES))


def tune_adam(
    task_name: str, num_steps: int, num_seeds: int, *, cosine: bool
) -> TunedAdam:
    """Train a task with Adam of every rate, and return the best.

    Args:
      task_name: name of a fixed task.
      num_steps: length of the runs.
      num_seeds: runs of each rate.
      cosine: whether the rate falls along half a cosine; else it is constant.
    """
    opts = adam_of_every_rate(num_steps, cosine=cosine)
    losses = final_losses(task_name, opts, num_steps, num_seeds)
    means = np.nan_to_num(losses.selection.mean(1), nan=np.inf)
    best = int(np.argmin(means))
    return TunedAdam(
        LEARNING_RATES[best],
        losses.selection[best].tolist(),
        losses.report[best].tolist(),
    )


def score(
    opt: Optimizer, baselines: Mapping[str, TunedAdam], num_steps: int
) -> dict[str, float]:
    """Return the logarithm of an optimizer's loss over tuned Adam's, for each task.

    Args:
      opt: the optimizer.
      baselines: Adam by the name of the task.
      num_steps: length of the runs.

    Returns:
      Task name to the ratio's logarithm: below 0 is better than Adam; infinite where a
      run diverged.
    """
    scores: dict[str, float] = {}
    for name, adam in baselines.items():
        own = final_losses(name, [opt], num_steps, len(adam.selection)).selection[0]
        ratio: Any = np.log(np.maximum(own.mean(), 1e-12) / np.mean(adam.selection))
        scores[name] = float(ratio) if np.isfinite(ratio) else float("inf")
    return scores
