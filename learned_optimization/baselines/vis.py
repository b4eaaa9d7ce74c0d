"""Figures that compare sets: the best configuration of each, over training."""

from __future__ import annotations

from learned_optimization.baselines.analysis.best_of_set import Curves
from learned_optimization.baselines.analysis.smoothing import smooth
from learned_optimization.baselines.plots.curves import (
    load_curves,
    plot_tasks_and_sets,
)

__all__ = ["Curves", "load_curves", "plot_tasks_and_sets", "smooth"]
