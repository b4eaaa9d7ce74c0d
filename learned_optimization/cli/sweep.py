"""`lopt sweep`: every trial of some sets, then their archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.cli.options import (
    GinBindings,
    GinFiles,
    Imports,
    SetFiles,
    SetNames,
    TaskName,
    chosen_sets,
    load_gin,
)

if TYPE_CHECKING:
    from learned_optimization.baselines.hparam_set import HParamSet
    from learned_optimization.baselines.shards import Shard
    from learned_optimization.eval_training import Strategy


def sweep(
    task: TaskName,
    sets: SetNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    archive: Annotated[
        bool, typer.Option(help="Archive each set once it is complete.")
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Train only part I of N, e.g. 3/10: the N parts may run anywhere.",
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="How devices compute their trials: 'auto' measures, or for example "
            "'trials_at_once=8,library_kernels=no'."
        ),
    ] = "auto",
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print the strategies.")
    ] = False,
    gin_file: GinFiles = None,
    gin_bindings: GinBindings = None,
) -> None:
    """Train every trial of the sets that has no result yet.

    Ctrl-C stops it; the same command goes on where it was.
    """
    from learned_optimization.baselines.shards import Shard
    from learned_optimization.eval_training import (
        Strategy,
        keep_compiled,
        use_all_cores,
    )
    from learned_optimization.tasks import registry

    hparam_sets = chosen_sets(sets, set_files, imports)
    registry.get(task)
    use_all_cores()
    keep_compiled()
    load_gin(gin_file, gin_bindings)
    run_and_archive(
        task,
        hparam_sets,
        archive,
        strategy=None if strategy == "auto" else Strategy.parse(strategy),
        shard=None if shard is None else Shard.parse(shard),
        verbose=verbose,
    )


def run_and_archive(
    task: str,
    hparam_sets: list[HParamSet],
    archive: bool = True,
    *,
    strategy: Strategy | None = None,
    shard: Shard | None = None,
    verbose: bool = False,
) -> None:
    """Runs a sweep under a progress bar, prints what it did, and archives."""
    from learned_optimization import filesystem
    from learned_optimization.baselines import archiving
    from learned_optimization.baselines.sweep import (
        missing_trials,
        run_sweep,
        set_trials,
    )
    from learned_optimization.baselines.utils import (
        get_baseline_archive_rootdir,
        get_root_baseline_dir,
    )
    from learned_optimization.cli.progress import ProgressBar
    from learned_optimization.cli.signals import stop_requests
    from learned_optimization.eval_training import RunStoppedError

    if archive:
        filesystem.check_writable(get_baseline_archive_rootdir())
    with ProgressBar(verbose) as bar, stop_requests() as should_stop:
        try:
            summary = run_sweep([task], hparam_sets, bar, should_stop, strategy, shard)
        except (KeyboardInterrupt, RunStoppedError):
            bar.stop()
            typer.echo("stopped; the same command goes on from there.", err=True)
            raise typer.Exit(130) from None
    for path in summary.unreadable:
        typer.echo(f"warning: unreadable, its trial ran again: {path}", err=True)
    ran = summary.num_trials - summary.num_skipped
    typer.echo(
        f"{ran} trials run, {summary.num_skipped} had results, "
        f"{summary.num_diverged} diverged"
    )
    if ran:
        typer.echo(
            f"{summary.run_seconds:.1f} s training, {summary.compile_seconds:.1f} s "
            f"compiling, {summary.trial_steps / summary.run_seconds:,.0f} trial-steps/s"
        )
    typer.echo(f"results in {get_root_baseline_dir()}")
    if archive:
        for hparam_set in hparam_sets:
            missing = missing_trials(set_trials(task, hparam_set))[0] if shard else []
            if missing:
                typer.echo(
                    f"{hparam_set.name}: {len(missing)} trials are left to other "
                    f"shards; then: lopt archive {task} {hparam_set.name}"
                )
            else:
                typer.echo(f"archived {archiving.archive(task, hparam_set)}")
