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
from matplotlib.ticker import StrMethodFormatter

from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.plots.axes import LINE_WIDTH, draw_band, finish
from learned_optimization.baselines.sets.hparam_set import (
    LEARNING_RATES,
    HParamSet,
    one_parameter,
    sets,
)
from learned_optimization.baselines.speedups.curve import (
    BaselineCurve,
    build_curve,
    ema,
)
from learned_optimization.baselines.utils import load_archive

NUM_STEPS = 10_000
# Of the published rates those that may be the lowest at some step; that none outside
# is missed is checked.
RATES = tuple(rate for rate in LEARNING_RATES if 1e-4 <= rate <= 1e-1)
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
    by_optimizer = {}
    for optimizer in optimizers:
        settings = one_parameter(optimizer, "lr", "learning_rate", RATES)
        prefix = f"{optimizer.removesuffix('LR')}LR_{RATES[0]}_to_{RATES[-1]}"
        [made] = sets(prefix, optimizer, settings, [(NUM_STEPS, 5)])
        by_optimizer[optimizer] = add_hparam_set(made)
    return by_optimizer


def check_rates(task: str, hparam_sets: Sequence[HParamSet], step: int) -> None:
    """Check that a lower or higher rate would not have come lower by a step.

    Raises:
      SystemExit: naming the set and the rate, if the lowest of all is at an edge.
    """
    lowest = []
    for hparam_set in hparam_sets:
        archive = load_archive(task, hparam_set.name, ["eval/xs", "eval/train/loss"])
        losses = ema(archive["eval/train/loss"].mean(axis=1))
        at = int(np.searchsorted(archive["eval/xs"][0, 0], step))
        best = int(np.nanargmin(losses[:, at]))
        lowest.append((losses[best, at], hparam_set.name, best))
    _, name, best = min(lowest)
    if best in (0, len(RATES) - 1):
        raise SystemExit(
            f"{task}: the lowest of {name} at step {step} is {RATES[best]}, at the "
            "edge of the rates trained: one outside may be lower. Train more of them."
        )


def compare_envelopes(published: Published) -> list[EnvelopeComparison]:
    """Compare every published curve with ours, from archives that are there.

    Args:
      published: as read from the published files.

    Raises:
      ResultError: if an archive is missing, naming the command that makes it.
      SystemExit: if learning rates outside of `RATES` might matter.
    """
    rows = []
    for normalizer, tasks in published.items():
        of_baseline = baseline_sets(normalizer)
        names = [hparam_set.name for hparam_set in of_baseline.values()]
        for task, losses in tasks.items():
            for step in losses:
                check_rates(task, list(of_baseline.values()), step)
            curve = build_curve(task, names, _NUM_POINTS)
            rows.append(EnvelopeComparison(task, list(of_baseline), losses, curve))
    return rows


def draw(rows: Sequence[EnvelopeComparison], path: Path) -> None:
    """Draw every curve with its band, and the published points, one panel per task."""
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 6.5), layout="constrained")
    for ax, row in zip(axes.flat, rows, strict=True):
        curve, band = row.curve, row.curve.band
        assert band is not None
        ax.plot(
            curve.steps,
            curve.losses,
            color="#1f5fa8",
            label="ours",
            linewidth=LINE_WIDTH,
        )
        draw_band(
            ax,
            curve.steps,
            band.low,
            band.high,
            color="#1f5fa8",
            alpha=0.2,
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
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
        ax.set_xlim(0, NUM_STEPS * 1.03)
        lowest = min(float(band.low[-1]), *row.published.values())
        highest = max(row.published.values())
        ax.set_ylim(lowest * 0.93, highest * 1.15)
        ax.set_title(f"{row.task}\n{', '.join(row.baseline)}", fontsize=9)
        finish(ax, grid="both")
    for ax in axes[:, 0]:
        ax.set_ylabel("lowest training loss so far")
    for ax in axes[-1]:
        ax.set_xlabel("updates")
    axes.flat[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)
