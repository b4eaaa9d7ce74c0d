"""`hparam_set`, which is defined in `baselines.sets.define`.

Kept for scripts that import it by this path.
"""

from __future__ import annotations

from learned_optimization.baselines.sets.define import (
    hparam_set,
)

__all__ = ["hparam_set"]
