"""Trials, hyper-parameter sets, results and their comparison.

`load_archive` is here as well as in `baselines.utils`, `to_frame` as well as in
`baselines.exporting`. The package itself imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learned_optimization.baselines.exporting import to_frame
    from learned_optimization.baselines.utils import load_archive

__all__ = ["load_archive", "to_frame"]


def __getattr__(name: str) -> Any:
    if name == "load_archive":
        from learned_optimization.baselines.utils import load_archive

        return load_archive
    if name == "to_frame":
        from learned_optimization.baselines.exporting import to_frame

        return to_frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
