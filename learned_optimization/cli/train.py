"""`lopt train`: one trial, as gin configures it."""

from __future__ import annotations

from learned_optimization.baselines.run_trainer import train_and_print
from learned_optimization.cli.choosing import import_files, load_gin
from learned_optimization.cli.options import (
    GinBindings,
    GinFiles,
    GinImports,
    Imports,
    SkipUnknown,
)


def train(
    gin_file: GinFiles = None,
    gin_bindings: GinBindings = None,
    imports: Imports = None,
    gin_import: GinImports = None,
    skip_unknown: SkipUnknown = False,
) -> None:
    """Train one task with one optimizer, configured by gin."""
    import_files(imports)
    load_gin(gin_file, gin_bindings, gin_import, skip_unknown)
    train_and_print()
