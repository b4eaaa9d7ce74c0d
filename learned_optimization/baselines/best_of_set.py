"""The best configuration of a set, as `baselines.analysis.best_of_set` finds it.

Kept for scripts that import it by this path.
"""

from __future__ import annotations

from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    comparable_ends,
    load_curves,
    load_final_losses,
)

__all__ = ["best_of_set", "comparable_ends", "load_curves", "load_final_losses"]
