"""`lopt train`: one trial, as gin configures it."""

from __future__ import annotations

from learned_optimization.cli.options import (
    GinBindings,
    GinFiles,
    Imports,
    import_files,
    load_gin,
)


def train(
    gin_file: GinFiles = None,
    gin_bindings: GinBindings = None,
    imports: Imports = None,
) -> None:
    """Train one task with one optimizer, configured by gin."""
    from learned_optimization.baselines.run_trainer import train_and_print

    import_files(imports)
    load_gin(gin_file, gin_bindings)
    train_and_print()
