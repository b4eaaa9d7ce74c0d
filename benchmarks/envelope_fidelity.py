"""Our baselines beside the published ones: how low tuned optimizers come, and when.

The published normalizers hold, for each task, the lowest training loss that a tuned
baseline has reached by each step (Metz et al. 2022, arXiv:2211.09760). The same curve
is made here from our own training, by the rule that normalizers are built by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from learned_optimization.baselines.baseline_envelope import BaselineCurve, build_curve
from learned_optimization.baselines.hparam_set import HParamSet, learning_rates
from learned_optimization.baselines.hparam_sets import add_hparam_set, get_hparam_set

NUM_STEPS = 10_000
# As far apart as the points of the published curves: 512 on 100,000 steps.
_NUM_POINTS = 52

Published = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Normalizer to task to step to the lowest loss by then."""


@dataclass(frozen=True, eq=False)
class EnvelopeComparison:
    """One published curve beside ours.

    Attributes:
      task: the task's name.
      baseline: names of the optimizers whose learning rates are tuned.
      published: step to the published loss.
      curve: ours, with a band of resampled seeds.
    """

    task: str
    baseline: Sequence[str]
    published: Mapping[int, float]
    curve: BaselineCurve

    def ours(self, step: int) -> float:
        """Return our loss at a step."""
        return float(np.interp(step, self.curve.steps, self.curve.losses))

    def band(self, step: int) -> tuple[float, float]:
        """Return the ends of our band at a step."""
        band = self.curve.band
        assert band is not None, "the sets have several seeds"
        low, high = (
            float(np.interp(step, self.curve.steps, end))
            for end in (band.low, band.high)
        )
        return low, high


def baseline_sets(normalizer: str) -> dict[str, HParamSet]:
    """Return the sets of a published baseline, ended after `NUM_STEPS`.

    None of their schedules depends on the length of the run, so their first steps are
    those of the published, longer runs.

    Args:
      normalizer: `speedup_over_adam` or `speedup_over_multiple_baselines`.

    Returns:
      Optimizer to set.
    """
    optimizers = ["Adam"]
    if normalizer == "speedup_over_multiple_baselines":
        optimizers += ["AdamSqrtDecayLR", "AdamExpDecayLR", "RAdam"]
    found = {}
    for optimizer in optimizers:
        prefix = optimizer.removesuffix("LR") + "LR"
        [made] = learning_rates(prefix, optimizer, [(NUM_STEPS, 5)])
        found[optimizer] = add_hparam_set(made)
        assert get_hparam_set(made.name) == made
    return found


def compare_envelopes(published: Published) -> list[EnvelopeComparison]:
    """Compare every published curve with ours, from archives that are there.

    Args:
      published: as read from the published files.

    Raises:
      ResultError: if an archive is missing, naming the command that makes it.
    """
    rows = []
    for normalizer, tasks in published.items():
        sets = baseline_sets(normalizer)
        names = [s.name for s in sets.values()]
        for task, losses in tasks.items():
            curve = build_curve(task, names, _NUM_POINTS)
            rows.append(EnvelopeComparison(task, list(sets), losses, curve))
    return rows


def draw(rows: Sequence[EnvelopeComparison], path: Path) -> None:
    """Draw every curve with its band, and the published points, one panel per task."""
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 6.5), layout="constrained")
    for ax, row in zip(axes.flat, rows, strict=True):
        curve, band = row.curve, row.curve.band
        assert band is not None
        ax.plot(curve.steps, curve.losses, color="#1f5fa8", label="ours", linewidth=1.6)
        ax.fill_between(
            curve.steps,
            band.low,
            band.high,
            color="#1f5fa8",
            alpha=0.2,
            linewidth=0,
            label="ours, other seeds (95%)",
        )
        ax.plot(
            list(row.published),
            list(row.published.values()),
            "o",
            color="#c4570c",
            markersize=6,
            label="published",
        )
        ax.set_yscale("log")
        ax.set_xlim(0, NUM_STEPS * 1.03)
        lowest = min(float(band.low[-1]), *row.published.values())
        highest = max(row.published.values())
        ax.set_ylim(lowest * 0.93, highest * 1.15)
        ax.set_title(f"{row.task}\n{', '.join(row.baseline)}", fontsize=9)
        ax.grid(alpha=0.25, linewidth=0.6, which="both")
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("lowest training loss so far")
    for ax in axes[-1]:
        ax.set_xlabel("updates")
    axes.flat[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)
