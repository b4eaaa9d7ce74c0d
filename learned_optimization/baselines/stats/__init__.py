"""Which optimizer is better, and how sure are we: functions of plain arrays.

Everything here takes arrays and returns arrays or small dataclasses; nothing reads a
result file. See docs/statistics.md for which figure to use when.
"""

from __future__ import annotations

from learned_optimization.baselines.stats.aggregates import (
    iqm,
    mark_diverged,
    mean,
    median,
    optimality_gap,
)
from learned_optimization.baselines.stats.best import (
    mean_interval,
    p_value_of_worse,
    p_values_of_being_best,
)
from learned_optimization.baselines.stats.pairs import (
    PairedComparison,
    holm,
    paired_comparison,
    probability_of_improvement,
)
from learned_optimization.baselines.stats.ranks import (
    cliques,
    critical_difference,
    friedman_p,
    mean_ranks,
)
from learned_optimization.baselines.stats.resampling import (
    Band,
    Interval,
    Over,
    bootstrap,
    bootstrap_band,
)
from learned_optimization.baselines.stats.selection import (
    NestedSelection,
    nested_selection,
)
from learned_optimization.baselines.stats.sensitivity import (
    Sensitivity,
    sensitivity_width,
)
from learned_optimization.baselines.stats.targets import (
    geometric_mean_speedup,
    integrated_profile,
    performance_profile,
    performance_ratios,
    score_profile,
    steps_to_target,
)
from learned_optimization.baselines.stats.tuning import TuningCurve, best_after

__all__ = [
    "Band",
    "Interval",
    "NestedSelection",
    "Over",
    "PairedComparison",
    "Sensitivity",
    "TuningCurve",
    "best_after",
    "bootstrap",
    "bootstrap_band",
    "cliques",
    "critical_difference",
    "friedman_p",
    "geometric_mean_speedup",
    "holm",
    "integrated_profile",
    "iqm",
    "mark_diverged",
    "mean",
    "mean_interval",
    "mean_ranks",
    "median",
    "nested_selection",
    "optimality_gap",
    "p_value_of_worse",
    "p_values_of_being_best",
    "paired_comparison",
    "performance_profile",
    "performance_ratios",
    "probability_of_improvement",
    "score_profile",
    "sensitivity_width",
    "steps_to_target",
]
