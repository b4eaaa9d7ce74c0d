"""Losses of sets on tasks, and what the earlier seeds would have chosen of them.

What seed t shows of a configuration that seeds before t chose owes nothing to the
luck of the choice: forward chaining.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.errors import LoptError

LOW_SCORE = 0.5
"""A set with less of the reference's improvement on a task is named with the task."""


@dataclass(frozen=True, eq=False)
class TaskLosses:
    """Final losses of sets on one task.

    A loss that is not finite, or is above the ceiling, is of a trial that diverged:
    it counts as the ceiling of its split. A trial that has not run is missing, which
    is another thing: `ran` says so.

    Attributes:
      outer_valid: per set, losses `[configs, seeds]` that choose.
      test: per set, losses of the same trials that are reported.
      ceiling: the loss before training, of the split that is reported.
      reference: loss whose score is 1.
      scale: difference in loss between a score of 0 and of 1, above 0. Several tasks
        need these two, fixed beforehand, so that their losses can be added.
      seeds: per set, ids of the seeds; trials of the same id are compared with each
        other. None if they are unknown; a race takes column t of every set to be of
        the same seed.
      ran: per set, whether each trial has run; None if all have.
      name: of the task.
      outer_valid_ceiling: the ceiling of the split that chooses; None if it is the
        same.
    """

    outer_valid: Sequence[ArrayLike]
    test: Sequence[ArrayLike]
    ceiling: float = np.inf
    reference: float = 0.0
    scale: float = 1.0
    seeds: Sequence[Sequence[int]] | None = None
    ran: Sequence[ArrayLike] | None = None
    name: str = ""
    outer_valid_ceiling: float | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Losses of a task, checked, clipped and scaled: lower is better.

    Attributes:
      outer_valid: per set, float64 `[configs, seeds]`.
      test: per set, the same.
      diverged: per set, bool of the same shape.
      ran: per set, bool of the same shape.
      name: of the task.
    """

    outer_valid: list[np.ndarray]
    test: list[np.ndarray]
    diverged: list[np.ndarray]
    ran: list[np.ndarray]
    name: str = ""


@dataclass(frozen=True, eq=False)
class Chain:
    """What each seed shows of the configuration that the seeds before it choose.

    Attributes:
      chosen: int64 `[seeds - 1]`, that configuration, from the second seed on.
      total: float64 `[seeds - 1]`, sum over the seeds before of its outer_valid loss.
      test: float64 `[seeds - 1]`, its test loss.
    """

    chosen: np.ndarray
    total: np.ndarray
    test: np.ndarray


def chain(
    outer_valid: np.ndarray,
    test: np.ndarray,
    configs: Sequence[int] | None = None,
    first: int = 1,
) -> Chain:
    """Return the chain of one set; of configurations that tie the first is chosen.

    Args:
      outer_valid: `[configs, seeds]`, finite.
      test: the same.
      configs: the configurations that may be chosen, in order; None for all.
      first: the seed from 0, at least 1, that the chain starts at.
    """
    index = np.arange(len(test)) if configs is None else np.asarray(configs, np.int64)
    totals = np.cumsum(outer_valid[index], axis=1)[:, first - 1 : -1]
    place = np.argmin(totals, axis=0)
    columns = np.arange(totals.shape[1])
    chosen = index[place]
    return Chain(chosen, totals[place, columns], test[chosen, columns + first])


def joined(a: Chain, b: Chain) -> Chain:
    """Return one chain after the other."""
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return Chain(*(np.concatenate(pair) for pair in pairs))


def best_of_others(totals: np.ndarray) -> np.ndarray:
    """Return which other set has the least total; the first of those that tie.

    Args:
      totals: `[sets, seeds]`, of at least 2 sets; inf where a set cannot be chosen.

    Returns:
      int64 `[sets, seeds]`.
    """
    others = np.broadcast_to(totals, (len(totals), *totals.shape)).copy()
    others[np.arange(len(totals)), np.arange(len(totals))] = np.inf
    best = np.argmin(others, axis=1)
    # Of nothing but inf, argmin takes the first, which may be the set itself.
    itself = best == np.arange(len(totals))[:, None]
    return np.where(itself, 1, best)


def prepared(losses: TaskLosses) -> Prepared:
    """Return losses checked, clipped at the ceiling and scaled.

    Raises:
      LoptError: if there are no two sets, losses are not `[configs, seeds]`, those
        that choose and are reported differ in shape, one is not finite while there is
        no ceiling, or the scale is not above 0.
    """
    where = f" of {losses.name}" if losses.name else ""
    if len(losses.test) < 2 or len(losses.test) != len(losses.outer_valid):
        raise LoptError(
            f"losses{where} must be of the same sets on both splits, of at least 2, "
            f"got {len(losses.outer_valid)} and {len(losses.test)}."
        )
    if not (np.isfinite(losses.scale) and losses.scale > 0):
        raise LoptError(f"scale{where} must be above 0, got {losses.scale!r}.")
    of_valid = losses.outer_valid_ceiling
    ceilings = losses.ceiling if of_valid is None else of_valid, losses.ceiling
    if np.isnan(ceilings).any() or not np.isfinite(losses.reference):
        raise LoptError(
            f"ceilings and reference{where} must be numbers, got {ceilings[0]!r}, "
            f"{ceilings[1]!r} and {losses.reference!r}."
        )
    result = Prepared([], [], [], [], losses.name)
    for i, (select, report) in enumerate(
        zip(losses.outer_valid, losses.test, strict=True)
    ):
        valid, test = np.asarray(select, np.float64), np.asarray(report, np.float64)
        ran = np.ones(test.shape, bool)
        if losses.ran is not None:
            ran = np.asarray(losses.ran[i], bool)
        if (
            test.ndim != 2
            or not len(test)
            or not valid.shape == test.shape == ran.shape
        ):
            raise LoptError(
                f"losses{where} of set {i} must be [configs, seeds], the same on both "
                f"splits, got shapes {valid.shape} and {test.shape} (ran {ran.shape})."
            )
        both = list(zip((valid, test), ceilings, strict=True))
        lost = [~(x <= ceiling) | ~np.isfinite(x) for x, ceiling in both]
        has_none = [
            np.isinf(ceiling) and bool((is_lost & ran).any())
            for ceiling, is_lost in zip(ceilings, lost, strict=True)
        ]
        if any(has_none):
            raise LoptError(
                f"losses{where} of set {i} are not all finite: give ceiling, the loss "
                "before training, which counts for those that diverged."
            )
        clipped = [
            np.where(is_lost, ceiling, x)
            for (x, ceiling), is_lost in zip(both, lost, strict=True)
        ]
        # What has not run is never read: 0 keeps sums finite.
        valid, test = (
            np.where(ran, (x - losses.reference) / losses.scale, 0.0) for x in clipped
        )
        result.outer_valid.append(valid)
        result.test.append(test)
        result.diverged.append((lost[0] | lost[1]) & ran)
        result.ran.append(ran)
    return result
