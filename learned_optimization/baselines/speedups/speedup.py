"""How much faster than the baseline of a normalizer a set's best configuration is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    check_eval_split,
    load_curves,
)
from learned_optimization.baselines.analysis.smoothing import spacings
from learned_optimization.baselines.speedups.curve import ema
from learned_optimization.baselines.speedups.normalizer import Normalizer
from learned_optimization.errors import LoptError


@dataclass(frozen=True, eq=False)
class Speedup:
    """The baseline's steps along the curve of a set's best configuration.

    Attributes:
      hparam_set: the set.
      normalizer: what maps its losses.
      opt_name: its best configuration.
      at_edge: it is at the edge of its set: a better one may lie outside.
      select: split whose final loss selected it.
      split: split whose loss was mapped.
      xs: int64 `[evals]`, own steps, from the first evaluation after step 0.
      steps: float `[evals]`, steps of the baseline for the same loss; the horizon
        where the loss is censored.
      low, high: float `[evals]`, with other seeds of the baseline; `high` is
        infinite beyond the horizon. None where the normalizer has no band.
      is_censored: bool `[evals]`, the baseline never got as low.
      is_worse_than_start: bool `[evals]`, the loss is above the baseline's first.
      censored_share: float `[evals]`, share of its own seeds that are censored.
    """

    hparam_set: str
    normalizer: Normalizer
    opt_name: str
    at_edge: bool
    select: str
    split: str
    xs: np.ndarray
    steps: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    is_censored: np.ndarray
    is_worse_than_start: np.ndarray
    censored_share: np.ndarray

    def ratio(self, steps: np.ndarray) -> np.ndarray:
        """Return steps of the baseline over own steps, `[evals]`: above 1 is faster."""
        return steps / self.xs


def speedup_of_set(
    normalizer: Normalizer,
    hparam_set: str,
    split: str = "train",
    select: str = "train",
) -> Speedup:
    """Map the curve of a set's best configuration to steps of the baseline.

    Its losses are treated as the baseline's were: mean over seeds, then the same
    average over evaluations. On `train`, whose loss the baseline's curve is made of
    and tuned for, like is compared with like. On another split the difference between
    the splits counts as slowness, and so does a selection by another split.

    The band is of the baseline's seeds alone; those of the set are its own to vary.

    Args:
      normalizer: of the task.
      hparam_set: name of a set archived for that task.
      split: split whose loss is mapped.
      select: split whose final loss selects the configuration.

    Raises:
      ResultError: if the archive is missing, naming the command that makes it.
      LoptError: if every configuration of the set diverged, or a split is unknown.
    """
    check_eval_split(split)
    curves = load_curves(normalizer.task, hparam_set)
    best = best_of_set(curves, select)
    if best.all_diverged:
        raise LoptError(
            f"every configuration of {hparam_set} on {normalizer.task} diverged: there "
            "is no best one to compare. Sweep a set with lower learning rates."
        )
    later = curves.xs > 0
    losses = ema(curves.losses[split][best.index], gaps=spacings(curves.xs))[:, later]
    mean = losses.mean(axis=0)
    has_band = normalizer.band is not None
    low, high = normalizer.interval(mean) if has_band else (None, None)
    return Speedup(
        hparam_set=hparam_set,
        normalizer=normalizer,
        opt_name=best.opt_name,
        at_edge=best.at_edge,
        select=select,
        split=split,
        xs=curves.xs[later],
        steps=np.asarray(normalizer(mean)),
        low=None if low is None else np.asarray(low),
        high=None if high is None else np.asarray(high),
        is_censored=np.asarray(normalizer.is_censored(mean)),
        is_worse_than_start=np.asarray(normalizer.is_worse_than_start(mean)),
        censored_share=np.asarray(normalizer.is_censored(losses)).mean(axis=0),
    )
