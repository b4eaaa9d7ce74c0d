"""The loss of the best configuration, free of selection bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.baselines.stats.checks import checked_array
from learned_optimization.errors import LoptError


@dataclass(frozen=True)
class NestedSelection:
    """A configuration chosen on some seeds, and its loss on another.

    Attributes:
      index: the configuration chosen on all seeds.
      report: float64 `[seeds]`, the loss of each seed, of the configuration that the
        other seeds chose.
      chosen: int64 `[seeds]`, which configuration that is.
      naive: mean loss of `index`, over the seeds that chose it.
      nested: mean of `report`.
      bias: `nested - naive`, how much better choosing and reporting on the same seeds
        looks; 0 if both are infinite.
    """

    index: int
    report: np.ndarray
    chosen: np.ndarray
    naive: float
    nested: float
    bias: float


def nested_selection(select: ArrayLike, report: ArrayLike) -> NestedSelection:
    """Choose a configuration with every seed left out, and report on that seed.

    The best of many configurations is in part the luckiest. A seed that took no part
    in the choice has no such luck. This is cross-validation over seeds: Cawley &
    Talbot 2010, "On Over-fitting in Model Selection and Subsequent Selection Bias in
    Performance Evaluation", JMLR 11. Each choice rests on one seed less than there
    are, so that `nested` is, if anything, too high.

    The configuration chosen is the one of the lowest mean loss, the first of those
    that tie. One with a diverged seed ranks below any without.

    Args:
      select: `[configs, seeds]`, losses that decide, e.g. on `outer_valid`; `+inf` is
        diverged, see `mark_diverged`.
      report: `[configs, seeds]`, losses that are reported, e.g. on `test`.

    Raises:
      LoptError: on NaN, `-inf`, shapes that differ, or fewer than 2 seeds.
    """
    select = checked_array("select losses", select, "[configs, seeds]", infinities="+")
    report = checked_array("report losses", report, "[configs, seeds]", infinities="+")
    if select.shape != report.shape or select.shape[1] < 2:
        raise LoptError(
            "select and report losses must be of the same configurations and seeds, of "
            f"at least 2 seeds, got shapes {select.shape} and {report.shape}."
        )
    num_seeds = select.shape[1]
    others = ~np.eye(num_seeds, dtype=bool)
    chosen = np.array(
        [np.argmin(select[:, others[seed]].mean(axis=1)) for seed in range(num_seeds)]
    )
    index = int(np.argmin(select.mean(axis=1)))
    left_out = report[chosen, np.arange(num_seeds)]
    naive, nested = float(report[index].mean()), float(left_out.mean())
    return NestedSelection(
        index=index,
        report=left_out,
        chosen=chosen,
        naive=naive,
        nested=nested,
        bias=0.0 if naive == nested else nested - naive,
    )
