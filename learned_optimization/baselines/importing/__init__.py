"""Curves of runs that were trained elsewhere, as archives beside one's own."""

from learned_optimization.baselines.importing.curves import import_curves

__all__ = ["import_curves"]
