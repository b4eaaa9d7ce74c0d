"""The final losses of sets on one task as the verdict takes them.

They are clipped at the loss before training. Seed t is reported for the configuration
that the seeds before it choose (forward chaining), so that what chooses is not what
reports.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.stats.chains import chain

# Seeds are whole numbers below it.
_APART = 2**40


def ceiling_of(row: Sequence[SetResult]) -> float:
    """Return the loss before training: what a trial that diverged counts as.

    It is the median over sets of their mean; inf if no such loss is finite.

    Args:
      row: all sets on a task.
    """
    initial = [r.initial_loss for r in row if np.isfinite(r.initial_loss)]
    return float(np.median(initial)) if initial else float("inf")


def counted(result: SetResult, ceiling: float) -> np.ndarray:
    """Return the configurations that have a loss at every seed, int64.

    With a ceiling all have one. Without, nothing says what a trial that diverged
    counts as.
    """
    valid, test = (result.ends[split] for split in (result.select, result.report))
    has = np.isfinite(valid) & np.isfinite(test) | np.isfinite(ceiling)
    return np.flatnonzero(has.all(axis=1))


def clipped(result: SetResult, split: str, ceiling: float) -> np.ndarray:
    """Return float64 `[configs, seeds]` of those `counted`, seeds in order."""
    losses = result.ends[split][counted(result, ceiling)][:, seed_order(result)]
    return np.where(losses <= ceiling, losses, ceiling)


def seed_order(result: SetResult) -> np.ndarray:
    """Return the places of a set's seeds, lowest seed first."""
    if result.seeds is None:
        return np.arange(result.num_seeds)
    return np.argsort(result.seeds, kind="stable")


def reported(result: SetResult, ceiling: float) -> np.ndarray:
    """Return what each seed shows of the configuration that earlier seeds choose.

    Returns:
      Float64 `[seeds - 1]`; of a single seed, which both chooses and is reported,
      `[1]`. Inf if no configuration has a loss.
    """
    valid, test = (clipped(result, s, ceiling) for s in (result.select, result.report))
    if not len(test):
        return np.full(max(result.num_seeds - 1, 1), np.inf)
    if result.num_seeds == 1:
        return test[np.argmin(valid[:, 0])]
    return chain(valid, test).test


def chosen(result: SetResult, ceiling: float) -> int:
    """Return the configuration that all seeds choose together."""
    valid = clipped(result, result.select, ceiling)
    if not len(valid):
        return result.best.index
    return int(counted(result, ceiling)[valid.sum(axis=1).argmin()])


def num_diverged(result: SetResult, ceiling: float) -> int:
    """Return how many seeds of `chosen` diverged, or ended worse than they began."""
    index = chosen(result, ceiling)
    ends = [result.ends[split][index] for split in (result.select, result.report)]
    return int(np.any([~np.isfinite(x) | (x > ceiling) for x in ends], axis=0).sum())


def seed_ids(row: Sequence[SetResult]) -> list[np.ndarray]:
    """Return for each set ids of its seeds, equal where trials share their numbers.

    Under another configuration of jax the same seed stands for other numbers. Seeds
    that are unknown are like no others.
    """
    configs = list(dict.fromkeys(result.jax_config for result in row))
    return [
        np.arange(r.num_seeds) - (i + 1) * _APART
        if r.seeds is None
        else r.seeds + configs.index(r.jax_config) * _APART
        for i, r in enumerate(row)
    ]


def num_shared_seeds(a: SetResult, b: SetResult) -> int:
    """Return how many seeds two sets on a task share."""
    of_a, of_b = seed_ids([a, b])
    return len(np.intersect1d(of_a, of_b))


def task_losses(
    row: Sequence[SetResult],
    ceiling: float,
    reference: float = 0.0,
    scale: float = 1.0,
) -> stats.TaskLosses:
    """Return the losses of sets as `stats.one_look` takes them.

    Args:
      row: sets on a task, at least one configuration of each `counted`.
      ceiling: as `ceiling_of`, of all sets on the task.
      reference: loss that counts 0.
      scale: difference in loss that counts 1.
    """

    def of(split: str) -> list[np.ndarray]:
        return [r.ends[split][counted(r, ceiling)] for r in row]

    return stats.TaskLosses(
        outer_valid=of(row[0].select),
        test=of(row[0].report),
        ceiling=ceiling,
        reference=reference,
        scale=scale,
        seeds=[ids.tolist() for ids in seed_ids(row)],
        name=row[0].task_name,
    )
