"""Figures of sets, which `baselines.plots` draws.

Kept for scripts that import it by this path.
"""

from __future__ import annotations

from learned_optimization.baselines.plots.figures import (
    plot_many_tasks,
    plot_profile,
    plot_search,
    plot_sensitivity,
    plot_tuning,
)

__all__ = [
    "plot_many_tasks",
    "plot_profile",
    "plot_search",
    "plot_sensitivity",
    "plot_tuning",
]
