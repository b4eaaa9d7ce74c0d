"""`lopt sweep`: every trial of some sets, then their archives."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines.layout import (
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.sets.files import source_of
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.observing import SweepSummary
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.sweep import (
    missing_trials,
    run_sweep,
    set_trials,
)
from learned_optimization.cli import ray_options
from learned_optimization.cli.advice import with_its_file
from learned_optimization.cli.choosing import from_seed, load_gin, tasks_and_sets_to_run
from learned_optimization.cli.options import (
    Checkpoints,
    GinBindings,
    GinFiles,
    Imports,
    Names,
    SeedOffset,
    SetFiles,
    TimeLimit,
    remember_verbose,
)
from learned_optimization.cli.output import say
from learned_optimization.cli.progress import ClusterBar, ProgressBar
from learned_optimization.cli.signals import stop_requests
from learned_optimization.cluster.connection import connected
from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    RunStoppedError,
    Strategy,
    keep_compiled,
    use_all_cores,
)


def sweep(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    seed_offset: SeedOffset = None,
    archive: Annotated[
        bool, typer.Option(help="Archive each set on each task once it is complete.")
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Train only part I of N, e.g. 3/10: the N parts may run anywhere. All "
            "of it by default.",
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="How devices compute their trials: 'auto' measures which is fastest; "
            "or for example 'trials_at_once=8,library_kernels=no'."
        ),
    ] = "auto",
    time_limit: TimeLimit = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            callback=remember_verbose,
            help="Print how each grid of trials is computed; after an error, also "
            "where in the code it arose.",
        ),
    ] = False,
    ray: ray_options.Address = None,
    ray_cpus: ray_options.Cpus = None,
    ray_gpus: ray_options.Gpus = None,
    ray_trials: ray_options.Trials = None,
    gin_file: GinFiles = None,
    gin_bindings: GinBindings = None,
) -> None:
    """Train every trial of the sets that has no result yet, on every task named.

    All names and data are checked before anything is trained. Ctrl-C stops it; the
    same command goes on where it was.
    """
    resources = ray_options.group_resources(ray, ray_cpus, ray_gpus, ray_trials)
    if ray is not None and (
        shard or verbose or gin_file or gin_bindings or time_limit is not None
    ):
        raise LoptError(
            "with --ray, leave out --shard, --verbose, --time-limit, --gin_file and "
            "--gin_bindings: groups are shards, and what they run on is said by "
            "--ray-cpus and --ray-gpus."
        )
    tasks, chosen = tasks_and_sets_to_run(names, set_files, imports, checkpoints)
    hparam_sets = from_seed(chosen, seed_offset)
    parsed = None if strategy == "auto" else Strategy.parse(strategy)
    if ray is not None:
        _check_archives(archive)
        _train_on_cluster(tasks, hparam_sets, ray, resources, parsed)
        _archive(tasks, hparam_sets, archive, in_shards=False)
        return
    use_all_cores()
    keep_compiled()
    load_gin(gin_file, gin_bindings)
    run_and_archive(
        tasks,
        hparam_sets,
        archive,
        strategy=parsed,
        shard=None if shard is None else Shard.parse(shard),
        verbose=verbose,
        time_limit=time_limit,
    )


def run_and_archive(
    tasks: list[str],
    hparam_sets: list[HParamSet],
    archive: bool = True,
    *,
    strategy: Strategy | None = None,
    shard: Shard | None = None,
    verbose: bool = False,
    time_limit: float | None = None,
    say_each_archive: bool = True,
) -> None:
    """Run a sweep under a progress bar, print what it did, and archive.

    Args:
      tasks: names of fixed tasks.
      hparam_sets: the sets.
      archive: whether to archive the sets.
      strategy: as of `run_sweep`, and so is `shard`.
      shard: the part of the trials to train.
      verbose: whether to print how each grid is computed.
      time_limit: minutes after which it saves and stops.
      say_each_archive: whether to print the path of every archive.
    """
    _check_archives(archive)
    deadline = math.inf
    if time_limit is not None:
        deadline = time.monotonic() + 60.0 * time_limit
    with (
        _saying_what_stops(),
        ProgressBar(verbose) as bar,
        stop_requests() as should_stop,
    ):
        summary = run_sweep(
            tasks, hparam_sets, bar, should_stop, strategy, shard, deadline
        )
    rate = summary.trial_steps / max(summary.run_seconds, 1e-9)
    _print_summary(
        summary,
        f"{summary.run_seconds:.1f} s training, {summary.compile_seconds:.1f} s "
        f"compiling, {rate:,.0f} trial-steps/s",
    )
    _check_failures(summary)
    _archive(tasks, hparam_sets, archive, shard is not None, say_each_archive)


def _train_on_cluster(
    tasks: list[str],
    hparam_sets: list[HParamSet],
    address: str,
    resources: GroupResources,
    strategy: Strategy | None,
) -> None:
    # Ray takes the signals over when it connects, so `stop_requests` comes after.
    with connected(address):
        # `connected` says what to do where the extra `ray` is not installed.
        from learned_optimization.cluster.sweep import run_ray_sweep

        start = time.monotonic()
        with (
            _saying_what_stops(),
            ClusterBar() as bar,
            stop_requests() as should_stop,
        ):
            summary = run_ray_sweep(
                tasks,
                hparam_sets,
                resources,
                bar,
                should_stop,
                strategy,
                may_grow=address != "local",
            )
    seconds = time.monotonic() - start
    _print_summary(
        summary,
        f"{seconds:.1f} s, {summary.trial_steps / seconds:,.0f} trial-steps/s; over "
        f"all groups {summary.run_seconds:.1f} s training, "
        f"{summary.compile_seconds:.1f} s compiling",
    )
    _check_failures(summary)


@contextmanager
def _saying_what_stops() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, RunStoppedError):
        say("stopped; the same command goes on from there.", err=True)
        raise typer.Exit(130) from None


def _print_summary(summary: SweepSummary, speed: str) -> None:
    for path in summary.unreadable:
        say(f"warning: unreadable, its trial ran again: {path}", err=True)
    ran = summary.num_trials - summary.num_skipped - summary.num_failed
    say(
        f"{ran} trials run, {summary.num_skipped} had results, "
        f"{summary.num_diverged} diverged"
    )
    if ran:
        say(speed)
    say(f"results in {get_root_baseline_dir()}")


def _check_failures(summary: SweepSummary) -> None:
    """End with exit code 1 where trials have failed: their sets are incomplete."""
    if not summary.num_failed:
        return
    for failure in summary.failures:
        say(f"failed: {failure}", err=True)
    say(
        f"{summary.num_failed} trials failed; `lopt status -v` says how, the same "
        "command tries them again.",
        err=True,
    )
    raise typer.Exit(1)


def _check_archives(archive: bool) -> None:
    if archive:
        filesystem.check_writable(get_baseline_archive_rootdir())


def _archive(
    tasks: list[str],
    hparam_sets: list[HParamSet],
    archive: bool,
    in_shards: bool,
    say_each: bool = True,
) -> None:
    pairs = [(task, hparam_set) for task in tasks for hparam_set in hparam_sets]
    for task, hparam_set in pairs if archive else []:
        missing = missing_trials(set_trials(task, hparam_set))[0] if in_shards else []
        if missing:
            chosen = with_its_file(hparam_set.name, source_of(hparam_set.name))
            say(
                f"{hparam_set.name}: {len(missing)} trials are left to other "
                f"shards; then: lopt archive {task} {chosen}"
            )
        else:
            path = archiving.archive(task, hparam_set)
            if say_each:
                say(f"archived {path}")
