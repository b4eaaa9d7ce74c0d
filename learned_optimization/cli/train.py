"""`lopt train`: one trial, as gin configures it."""

from __future__ import annotations

from learned_optimization.cli.options import GinBindings, GinFiles, load_gin


def train(gin_file: GinFiles = None, gin_bindings: GinBindings = None) -> None:
    """Train one task with one optimizer, configured by gin."""
    from learned_optimization.baselines.run_trainer import train_and_print

    load_gin(gin_file, gin_bindings)
    train_and_print()
