"""`lopt challenge`: is an optimizer of one's own better than what there is?"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.report.build import (
    PAGE,
    analyse,
    files_of_report,
    write,
)
from learned_optimization.baselines.report.challenge import (
    on_tasks,
    said_by_itself,
    sentence,
    what_would_decide,
)
from learned_optimization.baselines.results.archives import list_hparam_sets_for_task
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.race_words import count
from learned_optimization.baselines.suites.challengers import (
    BASELINES,
    baseline_sets,
    set_of_checkpoint,
    sets_of_file,
    sets_of_name,
)
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.baselines.sweeps.own_code import OwnCode
from learned_optimization.baselines.sweeps.retraining import forget
from learned_optimization.cli import challenge_table, optimizer_costs
from learned_optimization.cli.checkpoints import load_checkpoints
from learned_optimization.cli.choosing import load_sets
from learned_optimization.cli.completion import completer
from learned_optimization.cli.drawing import Form, Kind, draw_kind
from learned_optimization.cli.options import Checkpoints, Imports, SetFiles, TimeLimit
from learned_optimization.cli.output import folder_of, say, say_left_out
from learned_optimization.cli.race import run_and_report
from learned_optimization.cli.sweep import run_and_archive
from learned_optimization.cli.tables import console, print_json
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.eval_training import keep_compiled, use_all_cores

# More lines in a panel of the figure would hide each other.
_DRAWN_BASELINES = 4
FIGURE = "curves.pdf"


def challenge(
    challengers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|OPTIMIZER|SET]...",
            help="A .py, .yaml or .gin file of your own that defines optimizers or "
            "sets, or the name of an optimizer or a set. An optimizer is trained with "
            "14 learning rates.",
            autocompletion=completer("optimizer", "set"),
        ),
    ] = None,
    checkpoints: Checkpoints = None,
    suite_name: Annotated[
        str,
        typer.Option(
            "--suite",
            metavar="SUITE",
            help="The suite of tasks; `lopt suites` lists them.",
            autocompletion=completer("suite"),
        ),
    ] = "laptop",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK",
            help="Only this task of the suite, for a first minute; repeatable.",
            autocompletion=completer("task"),
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTIMIZER",
            help="A baseline, in place of the usual ones; with Cosine or Linear at "
            "the end of its name on that schedule; repeatable.",
            autocompletion=completer("optimizer"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Seeds of every configuration, in place of the suite's; those that "
            "are trained already are not trained again.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="SHARE",
            help="Share of what Adam improves that does not matter. With --race, as "
            "`lopt race` has it.",
        ),
    ] = TOLERANCE,
    race: Annotated[
        bool,
        typer.Option(
            "--race", help="Spend seeds only where they decide, as `lopt race` does."
        ),
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain",
            help="Delete what the challenger has trained on these tasks, and train it "
            "again.",
        ),
    ] = False,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder of the report, the figure and the tables.",
        ),
    ] = "challenge",
    time_limit: TimeLimit = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the outcome as one JSON object instead."),
    ] = False,
) -> None:
    """Compare an optimizer of yours with the baselines, on a suite of small tasks.

    It is trained on every task of the suite, and so are baselines that have no results
    yet. Ctrl-C stops it; the same command goes on where it was.
    """
    start = time.monotonic()
    load_sets(set_files, imports)
    suite = get_suite(suite_name)
    suite = replace(suite, seeds=seeds or suite.seeds)
    tasks = _tasks(suite, only)
    own = _challengers(challengers, checkpoints, suite)
    names = [s.name for s in own]
    baselines = baseline_sets(suite, against or BASELINES)
    others = [s for s in baselines if s.name not in names]
    folder = folder_of(output)
    filesystem.check_writable(folder)
    use_all_cores()
    keep_compiled()
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        _check_code(tasks, own, others, retrain)
    if race:
        run_and_report(
            tasks,
            [*own, *others],
            stats.RaceRules(tolerance),
            output,
            time_limit=time_limit,
            as_json=as_json,
        )
        return
    deadline = None if time_limit is None else start + 60.0 * time_limit
    sets = [*names, *(s.name for s in others)]
    # With --json nothing but the object is printed.
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        _train(tasks, own, others, suite, deadline)
        results, verdict = analyse(tasks, sets, tolerance=tolerance)
        if _measure_costs(tasks[0], [*own, *others], results):
            results, verdict = analyse(tasks, sets, tolerance=tolerance)
    write(
        files_of_report(
            results,
            verdict,
            f"{' and '.join(names)} against {count(len(others), 'baseline')}",
            notes={
                "The challenge": [
                    said
                    for n in names
                    for said in (
                        sentence(results, verdict, n),
                        said_by_itself(verdict, n),
                    )
                    if said
                ]
            },
        ),
        folder,
    )
    _print(results, verdict, names, folder, as_json)
    if as_json:
        return
    if "://" not in folder:
        _draw(tasks, verdict, names, Path(folder) / FIGURE)
    say(f"report: {filesystem.join(folder, PAGE)}")
    say(f"table for LaTeX: {filesystem.join(folder, 'table.tex')}")
    say(f"{(time.monotonic() - start) / 60:.1f} minutes")
    for name in names:
        if advice := what_would_decide(verdict, name):
            say(f"{advice} --seeds trains more, --race only where they decide.")
    for name in names:
        if alone := said_by_itself(verdict, name):
            say(alone)
    for name in names:
        say(sentence(results, verdict, name))


def _tasks(suite: Suite, only: Sequence[str] | None) -> list[str]:
    """Return the tasks of a suite, or some of them."""
    for name in only or ():
        if name not in suite.tasks:
            raise UnknownNameError(f"task of suite {suite.name}", name, suite.tasks)
    return [name for name in suite.tasks if not only or name in only]


def _challengers(
    given: Sequence[str] | None, checkpoints: list[str] | None, suite: Suite
) -> list[HParamSet]:
    """Return the sets of the challengers."""
    sets = [set_of_checkpoint(c, suite) for c in load_checkpoints(checkpoints)]
    for text in given or ():
        is_file = Path(text).suffix in (".py", ".yaml", ".yml", ".gin")
        sets += sets_of_file(text, suite) if is_file else sets_of_name(text, suite)
    if not sets:
        raise LoptError(
            "who challenges? Name a file that defines an optimizer, such as "
            "my_opt.py, an optimizer, a set, or a learned optimizer by --checkpoint."
        )
    return list({s.name: s for s in sets}.values())


def _check_code(
    tasks: Sequence[str],
    own: Sequence[HParamSet],
    others: Sequence[HParamSet],
    retrain: bool,
) -> None:
    """Refuse results of code of one's own that has changed since they were trained."""
    code = OwnCode(tasks, [*own, *others])
    for what, pairs in {} if retrain else code.changed().items():
        stale = list(dict.fromkeys(task for task, _ in pairs))
        raise LoptError(
            f"{what} has changed since it was trained on "
            f"{count(len(stale), 'task')} ({', '.join(stale)}): --retrain deletes "
            "those results and trains it again, or give the changed one another "
            "name to keep both."
        )
    if retrain:
        for hparam_set in own:
            deleted = sum(forget(task, hparam_set) for task in tasks)
            say(f"deleted {deleted:,} files of {hparam_set.name}")
        code.forget_changed()
    code.note()


def _train(
    tasks: list[str],
    own: list[HParamSet],
    others: list[HParamSet],
    suite: Suite,
    deadline: float | None,
) -> None:
    """Train the challengers, then baselines where they have no archive."""
    archived = {task: list_hparam_sets_for_task(task) for task in tasks}
    missing = {
        s.name: [task for task in tasks if s.name not in archived[task]] for s in others
    }
    found = len(others) - _num_untrained(missing, others)
    say(
        f"{suite.name}: {count(len(tasks), 'task')}, {suite.num_steps:,} steps; "
        f"{', '.join(s.name for s in own)} against {count(len(others), 'baseline')}, "
        f"of which {found} are trained already"
    )
    groups: dict[tuple[str, ...], list[HParamSet]] = {tuple(tasks): list(own)}
    for hparam_set in others:
        if of_set := tuple(missing[hparam_set.name]):
            groups.setdefault(of_set, []).append(hparam_set)
    for of_tasks, sets in groups.items():
        left = None
        if deadline is not None:
            left = max(0.0, deadline - time.monotonic()) / 60.0
        run_and_archive(list(of_tasks), sets, time_limit=left, say_each_archive=False)


def _num_untrained(
    unarchived: Mapping[str, Sequence[str]], sets: Sequence[HParamSet]
) -> int:
    """Return how many sets have trials to train, of the tasks without an archive."""
    lacking = [s for s in sets if unarchived[s.name]]
    tasks = dict.fromkeys(task for s in lacking for task in unarchived[s.name])
    rows = status(list(tasks), lacking) if lacking else []
    return len(
        {
            row.hparam_set
            for row in rows
            if row.task in unarchived[row.hparam_set]
            and row.num_with_results < row.num_trials
        }
    )


def _measure_costs(
    task: str, sets: Sequence[HParamSet], results: Sequence[Sequence[SetResult]]
) -> bool:
    """Measure what optimizers cost on a task, where that is unknown; say if any is."""
    unknown = {r.set_name for r in results[0] if r.cost is None}
    optimizers = {
        s.name: optimizer_costs.first_setting(s) for s in sets if s.name in unknown
    }
    if not optimizers:
        return False
    say(f"measuring what {count(len(optimizers), 'optimizer')} cost")
    optimizer_costs.measure_quietly(task, optimizers)
    return True


def _print(
    results: Sequence[Sequence[SetResult]],
    verdict: Verdict,
    challengers: Sequence[str],
    folder: str,
    as_json: bool,
) -> None:
    rows = challenge_table.ranking(results, verdict, challengers)
    if as_json:
        print_json(
            {
                "sentences": [sentence(results, verdict, n) for n in challengers],
                "ranking": rows,
                "tasks": {
                    name: [
                        challenge_table.task_row(one) for one in on_tasks(verdict, name)
                    ]
                    for name in challengers
                },
                "report": filesystem.join(folder, PAGE),
            }
        )
        return
    out = console()
    if len(verdict.tasks) > 1:
        for name in challengers:
            out.print(challenge_table.tasks_table(verdict, name))
    out.print(challenge_table.ranking_table(rows, verdict, challengers))
    for left in verdict.left_out:
        say_left_out(left)


def _draw(
    tasks: Sequence[str], verdict: Verdict, challengers: Sequence[str], path: Path
) -> None:
    """Draw the challengers and the best baselines."""
    ranked = [o.set_name for o in verdict.overall] or list(verdict.set_names)
    best = [name for name in ranked if name not in challengers][:_DRAWN_BASELINES]
    draw_kind(Kind.CURVES, tasks, [*challengers, *best], path, Form(), labels={})
