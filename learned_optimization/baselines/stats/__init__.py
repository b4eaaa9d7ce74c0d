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
from learned_optimization.baselines.stats.chains import TaskLosses
from learned_optimization.baselines.stats.divergence import (
    DivergenceComparison,
    compare_divergence,
    divergence_bound,
)
from learned_optimization.baselines.stats.evidence import EProcess, SmallerT
from learned_optimization.baselines.stats.looks import Look, look_levels
from learned_optimization.baselines.stats.luck import WinnersLuck
from learned_optimization.baselines.stats.pair_verdicts import PairOutcome, PairVerdict
from learned_optimization.baselines.stats.pairs import (
    PairedComparison,
    holm,
    paired_comparison,
    probability_of_improvement,
)
from learned_optimization.baselines.stats.race_rows import (
    MoreSeeds,
    RaceRow,
    low_scores,
    more_seeds,
    race_rows,
)
from learned_optimization.baselines.stats.race_words import (
    lost_sentence,
    more_seeds_sentence,
    race_sentence,
)
from learned_optimization.baselines.stats.racing import (
    Outcome,
    RaceLook,
    RaceResult,
    RaceRules,
    Wanted,
    race,
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
from learned_optimization.baselines.stats.single_look import (
    OneLook,
    SetStanding,
    one_look,
)
from learned_optimization.baselines.stats.student_hall import (
    critical_t,
    lower_bound_of_mean,
    seeds_needed,
    smaller_t,
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
    "DivergenceComparison",
    "EProcess",
    "Interval",
    "Look",
    "MoreSeeds",
    "NestedSelection",
    "OneLook",
    "Outcome",
    "Over",
    "PairOutcome",
    "PairVerdict",
    "PairedComparison",
    "RaceLook",
    "RaceResult",
    "RaceRow",
    "RaceRules",
    "Sensitivity",
    "SetStanding",
    "SmallerT",
    "TaskLosses",
    "TuningCurve",
    "Wanted",
    "WinnersLuck",
    "best_after",
    "bootstrap",
    "bootstrap_band",
    "cliques",
    "compare_divergence",
    "critical_difference",
    "critical_t",
    "divergence_bound",
    "friedman_p",
    "geometric_mean_speedup",
    "holm",
    "integrated_profile",
    "iqm",
    "look_levels",
    "lost_sentence",
    "low_scores",
    "lower_bound_of_mean",
    "mark_diverged",
    "mean",
    "mean_interval",
    "mean_ranks",
    "median",
    "more_seeds",
    "more_seeds_sentence",
    "nested_selection",
    "one_look",
    "optimality_gap",
    "p_value_of_worse",
    "p_values_of_being_best",
    "paired_comparison",
    "performance_profile",
    "performance_ratios",
    "probability_of_improvement",
    "race",
    "race_rows",
    "race_sentence",
    "score_profile",
    "seeds_needed",
    "sensitivity_width",
    "smaller_t",
    "steps_to_target",
]
