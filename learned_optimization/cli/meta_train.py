"""`lopt meta-train`: train a learned optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated

import typer

from learned_optimization import configuration, filesystem
from learned_optimization.baselines.exporting.frames import require
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.cli import ray_options
from learned_optimization.cli.choosing import import_files, load_gin
from learned_optimization.cli.completion import completer
from learned_optimization.cli.meta_progress import Display
from learned_optimization.cli.meta_verdict import compare_with_adam
from learned_optimization.cli.options import (
    GinBindings,
    GinFiles,
    GinImports,
    Imports,
    SkipUnknown,
)
from learned_optimization.cli.output import folder_of, say
from learned_optimization.cli.signals import stop_requests
from learned_optimization.cluster.connection import connected
from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    RunStoppedError,
    keep_compiled,
    use_all_cores,
)
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    get_learned_optimizer,
)
from learned_optimization.learned_optimizers.opt_from_checkpoint import lopt_and_theta
from learned_optimization.outer_trainers.mixes import MIXES, families_of
from learned_optimization.outer_trainers.program import MetaProgram
from learned_optimization.outer_trainers.recipe import Recipe
from learned_optimization.outer_trainers.run import (
    CURVES,
    PARAMS,
    HeldOut,
    MetaRun,
    Runner,
    on_this_machine,
    refuse_result,
)
from learned_optimization.tasks.registry import TASKS

_QUICK_OPTIMIZER = "NormalizedStepLOpt"
_QUICK_TASK = "ImageMLP_FashionMnist8_Relu32"
# Neither trained on nor compared on at the end: it chooses among checkpoints.
_QUICK_HELD_OUT = ("ImageMLP_FashionMnist8_64x64_Relu_MSE",)
_QUICK_STEPS = 400
_QUICK_MIX = "small_perceptrons"
_DEFAULTS = Recipe()


def meta_train(
    optimizer: Annotated[
        str | None,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            help="A learned optimizer; `lopt lopts` lists them. NormalizedStepLOpt by "
            "default.",
            autocompletion=completer("learned optimizer"),
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="A task to train on; repeatable.",
            autocompletion=completer("task"),
        ),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="SUITE",
            help="Train on the tasks of a suite.",
            autocompletion=completer("suite"),
        ),
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="MIX",
            help=f"Train on a mix of task families: {' or '.join(MIXES)}.",
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Where it goes; the same command goes on with a run that was stopped.",
        ),
    ] = "meta_run",
    length: Annotated[
        str,
        typer.Option(
            metavar="MIN-MAX",
            help="Updates of the runs that are trained on, drawn log-uniformly.",
        ),
    ] = "200-2000",
    estimator: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of the meta-gradient: pes, es, grad, full_es or full_grad.",
        ),
    ] = _DEFAULTS.estimator,
    meta_steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Meta-steps in all.")
    ] = _DEFAULTS.num_steps,
    pairs: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Pairs of runs on each task, at a time."),
    ] = _DEFAULTS.num_tasks,
    truncation: Annotated[
        int, typer.Option(min=1, metavar="N", help="Updates of each run per meta-step.")
    ] = _DEFAULTS.truncation,
    std: Annotated[
        float, typer.Option(metavar="STD", help="Standard deviation of perturbations.")
    ] = _DEFAULTS.std,
    outer_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="Learning rate of the outer Adam; it falls to a tenth of that.",
        ),
    ] = _DEFAULTS.learning_rate,
    meta_loss: Annotated[
        str,
        typer.Option(metavar="NAME", help="What counts of a loss: log or normalized."),
    ] = _DEFAULTS.meta_loss,
    lateness: Annotated[
        float,
        typer.Option(
            metavar="POWER",
            help="Weigh losses by this power of the share of a run that is done: 0 "
            "weighs all alike, 1 the end twice as much as the mean.",
        ),
    ] = _DEFAULTS.lateness,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Tasks of a meta-step, in rotation; all by default.",
        ),
    ] = None,
    reparametrize: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Measure each tensor in units of up to so much, or down to so little.",
        ),
    ] = _DEFAULTS.reparametrize,
    held_out_task: Annotated[
        list[str] | None,
        typer.Option(
            "--held-out",
            metavar="TASK",
            help="A task that chooses the best meta-parameters, against Adam with "
            "cosine decay and the best of 14 rates; repeatable. None by default: the "
            "last are kept.",
            autocompletion=completer("task"),
        ),
    ] = None,
    held_out_steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Length of runs on those.")
    ] = 1000,
    evaluate_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Meta-steps between evaluations.")
    ] = 100,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="A checkpoint to begin from; --optimizer is that of its config.gin, "
            "if left out.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="SEED", help="Of all that is random.")
    ] = 0,
    tensorboard: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Also write the curves as TensorBoard reads them."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Train on small perceptrons for a minute or two, and compare with "
            "tuned Adam.",
        ),
    ] = False,
    ray: ray_options.Address = None,
    ray_cpus: ray_options.Cpus = None,
    ray_gpus: ray_options.Gpus = None,
    imports: Imports = None,
    gin_file: GinFiles = None,
    gin_bindings: GinBindings = None,
    gin_import: GinImports = None,
    skip_unknown: SkipUnknown = False,
) -> None:
    """Train a learned optimizer, and keep the best on held-out tasks.

    With gin bindings of `run_train`, it is configured as published ones are.
    """
    resources = ray_options.group_resources(ray, ray_cpus, ray_gpus)
    if ray is not None and (gin_file or gin_bindings):
        raise LoptError(
            "with --ray, leave out --gin_file and --gin_bindings: nodes are told the "
            "options alone."
        )
    import_files(imports)
    if gin_file or gin_bindings:
        from learned_optimization import outer_train

        load_gin(gin_file, gin_bindings, gin_import, skip_unknown)
        if _is_bound("run_train."):
            said = optimizer, task, suite, mix, quick, held_out_task, init_from
            if any(said):
                raise LoptError(
                    "run_train, which gin binds, says what is trained, and on what: "
                    "leave out --optimizer, --task, --suite, --mix, --quick, "
                    "--held-out, --init-from; or leave out its bindings."
                )
            _run_train(outer_train.run_train, folder_of(out))
            return
    # A task that is named twice is one.
    tasks = list(dict.fromkeys(task or []))
    if suite is not None:
        tasks = list(dict.fromkeys([*tasks, *get_suite(suite).tasks]))
    if quick:
        if tasks or mix:
            raise LoptError(
                "--quick chooses its tasks itself: leave out --task, --suite, --mix."
            )
        mix = _QUICK_MIX
    if not tasks and mix is None:
        raise LoptError(
            "nothing to train on: name tasks by --task, a suite by --suite, or a mix "
            "by --mix; or try --quick."
        )
    if optimizer is not None:
        get_learned_optimizer(optimizer)
    shortest, longest = _lengths(length)
    recipe = Recipe(
        estimator,
        _QUICK_STEPS if quick and meta_steps == _DEFAULTS.num_steps else meta_steps,
        shortest,
        longest,
        truncation,
        pairs,
        std,
        outer_rate,
        meta_loss,
        lateness,
        at_once,
        reparametrize,
        seed,
    )
    for name in held_out_task or ():
        TASKS.get(name)
    judged = HeldOut(
        tuple(held_out_task or (_QUICK_HELD_OUT if quick else ())),
        held_out_steps,
        every=evaluate_every,
    )
    if tensorboard is not None:
        require("tensorboard.summary.writer.record_writer", "tensorboard")
    folder = folder_of(out)
    filesystem.check_writable(folder)
    # Ray takes the signals over when it connects, and forks, which jax must not see.
    with nullcontext() if ray is None else connected(ray):
        use_all_cores()
        keep_compiled()
        lopt, theta = _begin(optimizer, init_from)
        runner_of = on_this_machine
        if ray is not None:
            job = lopt, tasks, recipe, mix
            runner_of = _on_cluster(*job, resources, may_grow=ray != "local")
        families = families_of(tasks, mix)
        identity = "\n".join(
            [
                f"optimizer={lopt!r}",
                f"tasks={[family.name for family in families]}",
                *(f"{k}={v!r}" for k, v in dataclasses.asdict(recipe).items()),
                f"held_out={judged}",
                f"init_from={init_from}",
                *configuration.bound_text().splitlines(),
            ]
        )
        program = recipe.program(lopt, families)
        run = MetaRun(program, judged, folder, identity, theta, runner_of)
        try:
            with Display() as display, stop_requests() as should_stop:
                best = run.run(display.show, should_stop)
        except (KeyboardInterrupt, RunStoppedError) as stopped:
            why = f"{stopped or 'stopped'}; the same command goes on from there."
            say(why, err=True)
            raise typer.Exit(130) from None
    say(f"{lopt.name}, meta-step {run.best_step:,}: {filesystem.join(folder, PARAMS)}")
    if tensorboard is not None:
        from learned_optimization.baselines.exporting.meta_events import (
            write_meta_events,
        )

        write_meta_events(filesystem.join(folder, CURVES), folder_of(tensorboard))
        say(f"tensorboard --logdir {tensorboard}")
    if quick:
        steps = HeldOut(()).num_steps
        compare_with_adam(lopt, best, [_QUICK_TASK], steps, thoroughly=True)
    elif judged.tasks:
        steps = judged.num_steps
        compare_with_adam(lopt, best, judged.tasks, steps, thoroughly=False)
        say("These tasks chose the meta-parameters: on others they may do worse.")


def _on_cluster(
    lopt: LearnedOptimizer,
    tasks: list[str],
    recipe: Recipe,
    mix: str | None,
    resources: GroupResources,
    *,
    may_grow: bool,
) -> Callable[[MetaProgram, MetaParams | None], Runner]:
    # `connected` says what to do where the extra `ray` is not installed.
    from learned_optimization.cluster.meta_training import ClusterRunner, meta_job

    job = meta_job(lopt, tasks, recipe, mix)

    def runner(program: MetaProgram, theta: MetaParams | None) -> Runner:
        return ClusterRunner(program, job, resources, theta, may_grow=may_grow)

    return runner


def _is_bound(start: str) -> bool:
    return any(name.startswith(start) for name in configuration.bound_parameters())


def _run_train(run_train: Callable[..., MetaParams], folder: str) -> None:
    """Run what gin binds, into a folder where it binds none."""
    where = {}
    if not _is_bound("run_train.train_log_dir"):
        refuse_result(folder)
        filesystem.check_writable(folder)
        where = {"run_train.train_log_dir": folder}
    use_all_cores()
    keep_compiled()
    with configuration.bound(where):
        configuration.call_bound(run_train)
    for path in where.values():
        say(filesystem.join(path, PARAMS))


def _begin(
    optimizer: str | None, init_from: str | None
) -> tuple[LearnedOptimizer, MetaParams | None]:
    """Return what is trained, and its first meta-parameters, None for new ones."""
    if init_from is None:
        return get_learned_optimizer(optimizer or _QUICK_OPTIMIZER)(), None
    named = [] if optimizer is None else [f"run_train.lopt = @{optimizer}()"]
    return lopt_and_theta(init_from, extra_bindings=named)


def _lengths(text: str) -> tuple[int, int]:
    parts = text.split("-")
    if len(parts) not in (1, 2) or not all(part.isdecimal() for part in parts):
        raise LoptError(
            f"--length must be a number of updates or MIN-MAX, as 200-2000, got {text}."
        )
    return int(parts[0]), int(parts[-1])
