"""`lopt compare`: the verdict on sets, on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import typer

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import TOLERANCE, Comparison
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import TaskVerdict
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.report.build import analyse
from learned_optimization.baselines.report.cost_words import three_digits
from learned_optimization.baselines.report.rows import as_json as results_as_json
from learned_optimization.baselines.report.verdict_words import interval
from learned_optimization.baselines.report.words import caveats, headline
from learned_optimization.cli.choosing import split_tasks_and_archives
from learned_optimization.cli.jax_variables import leave_memory_to_others
from learned_optimization.cli.options import (
    ArchiveNames,
    Checkpoints,
    Imports,
    SetFiles,
)
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.cli.tables import Table, console

Split = Annotated[
    str,
    typer.Option(help="Split whose loss is reported: train, outer_valid or test."),
]
Select = Annotated[
    str,
    typer.Option(
        help="Split whose final loss selects the best configuration: train, "
        "outer_valid or test."
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="SET",
        help="Set that scores and speed-ups refer to; Adam's by default.",
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="SHARE",
        help="Share of what the reference improves that does not matter: sets that "
        "differ by less are equivalent.",
    ),
]


def compare(
    names: ArchiveNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    split: Split = "test",
    select: Select = "outer_valid",
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the tables as one JSON object.")
    ] = False,
) -> None:
    """Say which of several archived sets is best, and how sure that is.

    A table per task, one over all of them, and the verdict in words; `lopt report`
    makes a page of the same with charts.
    """
    leave_memory_to_others()
    tasks, sets = split_tasks_and_archives(names, set_files, imports, checkpoints)
    results, verdict = analyse(tasks, sets, select, split, reference, tolerance)
    if as_json:
        say(results_as_json(results, verdict))
    else:
        out = console()
        for task, row in zip(verdict.tasks, results, strict=True):
            out.print(_task_table(task, split))
            if any(result.cost for result in row):
                out.print(_cost_table(task, row))
        if len(verdict.tasks) > 1 and verdict.overall:
            out.print(_overall_table(verdict))
        for remark in caveats(results, verdict):
            say(f"note: {remark}")
        for sentence in headline(results, verdict):
            say(sentence)
    for left in verdict.left_out:
        say_left_out(left)


def _task_table(task: TaskVerdict, split: str) -> Table:
    columns = (f"{split} loss", "above the best", "p, none better", "speed-up")
    table = _table(task.task_name, ("configuration",), columns)
    for s in task.standings:
        table.add_row(
            s.set_name,
            _place(s.set_name, s.is_out, task.comparison),
            s.config,
            interval(s.loss) if s.has_loss else "n/a",
            _estimate(s.difference),
            _p_value(s.p_value),
            s.bound.sign + _estimate(s.speedup, 2),
        )
    return table


def _cost_table(task: TaskVerdict, row: Sequence[SetResult]) -> Table:
    """Return what each set costs, as far as `lopt bench --optimizers` measured it."""
    results = {result.set_name: result for result in row}
    table = Table(title=f"cost on {task.task_name}, one trial alone on this machine")
    table.add_column("set", overflow="fold")
    for column in (
        "updates to target",
        "seconds to target",
        "step x SGD",
        "state/param",
    ):
        table.add_column(column, justify="right", overflow="fold")
    for s in task.standings:
        result = results[s.set_name]
        cost = result.cost
        table.add_row(
            s.set_name,
            three_digits(s.steps),
            three_digits(result.seconds_alone(s.steps)),
            three_digits(cost.step_ratio.median) if cost else "-",
            three_digits(cost.bytes_per_parameter) + " B" if cost else "-",
        )
    return table


def _overall_table(verdict: Verdict) -> Table:
    over = verdict.over_tasks
    columns = ("score", "IQM", "below the best", "p, none better", "speed-up")
    table = _table(f"over {len(over.task_names)} tasks", ("fails on",), columns)
    for o in over.sets:
        fails = [f.task_name for f in over.failures if f.set_name == o.set_name]
        table.add_row(
            o.set_name,
            _place(o.set_name, o.is_out, over.comparison),
            ", ".join(fails),
            interval(o.score, 3),
            interval(o.iqm, 3),
            _estimate(o.difference, 3),
            _p_value(o.p_value),
            o.bound.sign + _estimate(o.speedup, 2),
        )
    return table


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title)
    for column in ("set", "verdict", *texts):
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _place(set_name: str, is_out: bool, comparison: Comparison | None) -> str:
    if comparison is None or set_name not in comparison.set_names:
        return ""
    if math.isnan(comparison.of(set_name).p_value):
        return "too few seeds"
    return "out" if is_out else "may be best"


def _estimate(estimated: stats.Interval, digits: int = 4) -> str:
    return interval(estimated, digits) if math.isfinite(estimated.estimate) else "n/a"


def _p_value(p_value: float) -> str:
    if math.isnan(p_value):
        return "n/a"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"
