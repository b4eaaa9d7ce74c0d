"""`lopt train`: one trial, as gin configures it."""

from __future__ import annotations

import typer

from learned_optimization.cli.options import GinBindings, GinFiles


def train(gin_file: GinFiles = None, gin_bindings: GinBindings = None) -> None:
    """Train one task with one optimizer, configured by gin."""
    from learned_optimization.baselines import run_trainer

    raise typer.Exit(run_trainer.run(gin_file or [], gin_bindings or []))
