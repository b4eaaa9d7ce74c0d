"""The final losses of sets on one task as the verdict takes them.

They are clipped at the loss before training, each split at its own. Seed t is reported
for the configuration that the seeds before it choose (forward chaining), so that what
chooses is not what reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.stats.chains import chain

# Seeds are whole numbers below it.
_APART = 2**40


Ceilings = Mapping[str, float]
"""Of the splits that select and that are reported, the loss before training."""


def ceilings_of(row: Sequence[SetResult]) -> dict[str, float]:
    """Return the losses before training: what a trial that diverged counts as.

    Of each split it is the median over sets of their mean; inf if no such loss is
    finite.

    Args:
      row: all sets on a task.
    """
    return {split: _ceiling(row, split) for split in (row[0].select, row[0].report)}


def _ceiling(row: Sequence[SetResult], split: str) -> float:
    initial = [x for r in row if np.isfinite(x := r.initial_loss_on(split))]
    return float(np.median(initial)) if initial else float("inf")


def counted(result: SetResult, ceilings: Ceilings) -> np.ndarray:
    """Return the configurations that have a loss at every seed, int64.

    With a ceiling all have one. Without, nothing says what a trial that diverged
    counts as.
    """
    has = [
        np.isfinite(result.ends[split]) | np.isfinite(ceilings[split])
        for split in (result.select, result.report)
    ]
    return np.flatnonzero(np.all(has, axis=(0, 2)))


def clipped(result: SetResult, split: str, ceilings: Ceilings) -> np.ndarray:
    """Return float64 `[configs, seeds]` of those `counted`, seeds in order."""
    losses = result.ends[split][counted(result, ceilings)][:, seed_order(result)]
    return np.where(losses <= ceilings[split], losses, ceilings[split])


def seed_order(result: SetResult) -> np.ndarray:
    """Return the places of a set's seeds, lowest seed first."""
    if result.seeds is None:
        return np.arange(result.num_seeds)
    return np.argsort(result.seeds, kind="stable")


def reported(result: SetResult, ceilings: Ceilings) -> np.ndarray:
    """Return what each seed shows of the configuration that earlier seeds choose.

    Returns:
      Float64 `[seeds - 1]`; of a single seed, which both chooses and is reported,
      `[1]`. Inf if no configuration has a loss.
    """
    valid, test = (clipped(result, s, ceilings) for s in (result.select, result.report))
    if not len(test):
        return np.full(max(result.num_seeds - 1, 1), np.inf)
    if result.num_seeds == 1:
        return test[np.argmin(valid[:, 0])]
    return chain(valid, test).test


def chosen(result: SetResult, ceilings: Ceilings) -> int:
    """Return the configuration that all seeds choose together."""
    valid = clipped(result, result.select, ceilings)
    if not len(valid):
        return result.best.index
    return int(counted(result, ceilings)[valid.sum(axis=1).argmin()])


def num_diverged(result: SetResult, ceilings: Ceilings) -> int:
    """Return how many seeds of `chosen` diverged, or ended worse than they began."""
    index = chosen(result, ceilings)
    diverged = [
        ~np.isfinite(result.ends[split][index])
        | (result.ends[split][index] > ceilings[split])
        for split in (result.select, result.report)
    ]
    return int(np.any(diverged, axis=0).sum())


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
    ceilings: Ceilings,
    reference: float = 0.0,
    scale: float = 1.0,
) -> stats.TaskLosses:
    """Return the losses of sets as `stats.one_look` takes them.

    Args:
      row: sets on a task, at least one configuration of each `counted`.
      ceilings: as `ceilings_of`, of all sets on the task.
      reference: loss that counts 0.
      scale: difference in loss that counts 1.
    """

    def of(split: str) -> list[np.ndarray]:
        return [r.ends[split][counted(r, ceilings)] for r in row]

    return stats.TaskLosses(
        outer_valid=of(row[0].select),
        test=of(row[0].report),
        ceiling=ceilings[row[0].report],
        outer_valid_ceiling=ceilings[row[0].select],
        reference=reference,
        scale=scale,
        seeds=[ids.tolist() for ids in seed_ids(row)],
        name=row[0].task_name,
    )
