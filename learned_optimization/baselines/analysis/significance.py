"""How sure a comparison of sets is: intervals and p-values, NaN where unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult

LEVEL = 0.95
"""Confidence of every interval."""

_RESAMPLES = 2000


def mean_interval(losses: np.ndarray) -> stats.Interval:
    """Student's interval of a mean over seeds."""
    mean, count = float(losses.mean()), len(losses)
    if count < 2 or not np.isfinite(losses).all():
        return stats.Interval(mean, float("nan"), float("nan"), LEVEL)
    half = float(
        scipy_stats.t.ppf((1 + LEVEL) / 2, count - 1)
        * losses.std(ddof=1)
        / np.sqrt(count)
    )
    return stats.Interval(mean, mean - half, mean + half, LEVEL)


def score_interval(
    scores: np.ndarray, over: Sequence[stats.Over], seed: int
) -> stats.Interval:
    """Bootstrap interval of the interquartile mean; without ends for a single run.

    Args:
      scores: float `[runs, tasks]`.
      over: what is resampled.
      seed: of the bootstrap.
    """
    if len(scores) < 2:
        nan = float("nan")
        return stats.Interval(float(stats.iqm(scores)), nan, nan, LEVEL)
    return stats.bootstrap(
        stats.iqm,
        scores,
        num_resamples=_RESAMPLES,
        level=LEVEL,
        over=over,
        seed=seed,
    )


def p_value(worse: SetResult, best: SetResult) -> float:
    """Of the difference in nested loss: paired where the seeds are the same.

    Student's paired test, or Welch's where seeds differ.

    Args:
      worse: a set on a task.
      best: another on the same task; 0 if it has no diverged seed and `worse` has.
    """
    a, b = worse.nested.report, best.nested.report
    if not np.isfinite(a).all():
        return 0.0 if np.isfinite(b).all() else float("nan")
    if min(len(a), len(b)) < 2 or not np.isfinite(b).all():
        return float("nan")
    shared = (
        worse.seeds is not None
        and best.seeds is not None
        and np.array_equal(worse.seeds, best.seeds)
    )
    if shared:
        return stats.paired_comparison(a, b, LEVEL).p_value
    if np.ptp(a) == np.ptp(b) == 0:
        return float("nan")
    return float(
        scipy_stats.ttest_ind_from_stats(
            *(a.mean(), a.std(ddof=1), len(a)),
            *(b.mean(), b.std(ddof=1), len(b)),
            equal_var=False,
        ).pvalue
    )


def p_value_of_scores(best: np.ndarray, other: np.ndarray) -> float:
    """Of the difference in the mean score over tasks, paired over runs.

    Args:
      best: float `[runs, tasks]`.
      other: of another set.
    """
    runs = min(len(best), len(other))
    if runs < 2:
        return float("nan")
    return stats.paired_comparison(best[:runs], other[:runs], LEVEL).p_value


def holm_of_known(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values; those that are NaN are not counted."""
    values = np.asarray(p_values, np.float64)
    known = ~np.isnan(values)
    if known.any():
        values[known] = stats.holm(values[known])
    return values.tolist()
