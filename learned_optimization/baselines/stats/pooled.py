"""The interquartile mean of all runs of all tasks, of which some have more runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.stats.aggregates import iqm
from learned_optimization.baselines.stats.resampling import (
    Interval,
    Over,
    bootstrap,
    wider_tail,
)


def pooled_iqm(
    scores: Sequence[np.ndarray],
    *,
    over: Sequence[Over],
    num_resamples: int = 2000,
    level: float = 0.95,
    seed: int,
) -> Interval:
    """Return the interquartile mean of all runs together, with a bootstrap interval.

    It is `bootstrap` of `iqm`, adjusted for few runs, where tasks need not have as
    many runs as others: each run counts once.

    Args:
      scores: per task, `[runs]`, finite.
      over: as of `bootstrap`; `("runs",)` or `("runs", "tasks")`.
      num_resamples: how often the scores are resampled.
      level: nominal probability to cover the true value.
      seed: decides every random number.

    Returns:
      The interval; its ends are NaN where a task has a single run.
    """
    if min(map(len, scores)) < 2:
        nan = float("nan")
        return Interval(float(iqm(np.concatenate(scores), axis=-1)), nan, nan, level)
    if len(set(map(len, scores))) == 1:
        return bootstrap(
            iqm,
            np.stack(scores, axis=1),
            num_resamples=num_resamples,
            level=level,
            over=over,
            seed=seed,
        )
    rng = np.random.default_rng(seed)
    resampled = np.sort(
        [iqm(_resample(scores, over, rng), axis=-1) for _ in range(num_resamples)]
    )
    # The tail of few runs, or tasks, as `bootstrap_band` has it.
    degrees = sum(len(x) - 1 for x in scores)
    if "tasks" in over:
        degrees = len(scores) - 1
    rank = int(wider_tail((1 - level) / 2, degrees) * (num_resamples - 1))
    return Interval(
        float(iqm(np.concatenate(scores), axis=-1)),
        float(resampled[rank]),
        float(resampled[-1 - rank]),
        level,
    )


def _resample(
    scores: Sequence[np.ndarray], over: Sequence[Over], rng: np.random.Generator
) -> np.ndarray:
    """Return one fewer of the runs of each task, and of tasks where they are drawn."""
    tasks = range(len(scores))
    if "tasks" in over:
        tasks = rng.integers(len(scores), size=len(scores) - 1).tolist()
    of_tasks = [scores[q] for q in tasks]
    return np.concatenate([x[rng.integers(len(x), size=len(x) - 1)] for x in of_tasks])
