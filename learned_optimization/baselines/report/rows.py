"""The report's tables, as rows; and these as CSV, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.exporting.escapes import csv_text, latex_text
from learned_optimization.baselines.report.content import numbers

Row = dict[str, Any]

_NONE = "--"


def task_rows(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[Row]:
    """Return one row per task and set, best set of a task first.

    Losses are of the last evaluation. `loss` and its interval are nested (see
    `stats.nested_selection`), `naive` is where the same seeds choose and report.
    """
    rows = []
    for row, task in zip(results, verdict.tasks, strict=True):
        by_name = {result.set_name: result for result in row}
        for place, standing in enumerate(task.standings, 1):
            result = by_name[standing.set_name]
            best, nested, width = result.best, result.nested, result.sensitivity
            rows.append(
                {
                    "task": task.task_name,
                    "set": standing.set_name,
                    "rank": place,
                    "config": best.opt_name,
                    "loss": standing.loss.estimate,
                    "loss_low": standing.loss.low,
                    "loss_high": standing.loss.high,
                    "diverged_seeds": standing.num_diverged,
                    "p_value": standing.p_value,
                    "naive": float(nested.naive),
                    "bias": float(nested.bias),
                    **{
                        f"final_{split}": float(values.mean())
                        for split, values in best.final.items()
                    },
                    "at_edge": best.at_edge,
                    "diverged": best.num_diverged,
                    "trials": best.num_trials,
                    "steps_to_target": standing.steps,
                    "seconds_to_target": standing.seconds,
                    "censored": standing.censored,
                    "good_decades": width.decades if width else math.nan,
                    "steps": result.num_steps,
                    "seeds": result.num_seeds,
                }
            )
    return rows


OVERALL_COLUMNS = (
    "set",
    "rank",
    "score",
    "score_low",
    "score_high",
    "score_low_over_tasks",
    "score_high_over_tasks",
    "median",
    "optimality_gap",
    "improvement",
    "mean_rank",
    "profile_score",
    "speedup",
    "speedup_is_bound",
    "p_value",
)
"""What `overall_rows` says of each set."""


def overall_rows(verdict: Verdict) -> list[Row]:
    """Return one row per set over all tasks, best first; none if nothing can be."""
    rows = []
    for place, o in enumerate(verdict.overall, 1):
        wide = o.score_over_tasks
        values = (
            o.set_name,
            place,
            o.score.estimate,
            o.score.low,
            o.score.high,
            wide.low if wide else math.nan,
            wide.high if wide else math.nan,
            o.median,
            o.optimality_gap,
            o.improvement,
            o.mean_rank,
            o.profile_score,
            o.speedup,
            o.is_bound,
            o.p_value,
        )
        rows.append(dict(zip(OVERALL_COLUMNS, values, strict=True)))
    return rows


def as_csv(rows: Sequence[Row], columns: Sequence[str] = ()) -> str:
    """Return rows as CSV with a header; numbers with all their digits.

    Args:
      rows: the rows.
      columns: names of the columns; those of the first row if there are none.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns or rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: csv_text(v) if isinstance(v, str) else v for k, v in row.items()}
        for row in rows
    )
    return text.getvalue()


def as_json(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> str:
    """Return both tables, what they rest on and what they lack; not finite is null."""

    def clean(row: Row) -> Row:
        return {
            key: None if isinstance(v, float) and not math.isfinite(v) else v
            for key, v in row.items()
        }

    whole = {
        "reference": verdict.reference,
        "select": results[0][0].select,
        "report": results[0][0].report,
        "critical_difference": numbers([verdict.critical_difference])[0],
        "friedman_p": numbers([verdict.friedman_p])[0],
        "targets": clean({task.task_name: task.target for task in verdict.tasks}),
        "overall": [clean(row) for row in overall_rows(verdict)],
        "tasks": [clean(row) for row in task_rows(results, verdict)],
        "nested_losses": {
            row[0].task_name: {
                result.set_name: numbers(result.nested.report) for result in row
            }
            for row in results
        },
        "left_out": [
            {
                "task": left.task_name,
                "set": left.set_name or None,
                "figure": left.figure or None,
                "reason": left.reason,
            }
            for left in verdict.left_out
        ],
    }
    return json.dumps(whole, indent=1, allow_nan=False)


def as_latex(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> str:
    """Return a booktabs table of sets by tasks: all that may be the best are bold."""
    names = dict.fromkeys([*(o.set_name for o in verdict.overall), *verdict.set_names])
    cells = {
        (task.task_name, s.set_name): _latex_cell(
            s.loss.estimate,
            s.loss.high - s.loss.estimate,
            bold=place == 0 or not s.is_told_apart,
        )
        for task in verdict.tasks
        for place, s in enumerate(task.standings)
    }
    report = latex_text(results[0][0].report)
    lines = [
        rf"% Final {report} loss, configurations chosen by the other seeds; half-width",
        "% of the 95% interval over seeds. Bold: all that may be the best set.",
        "% Needs \\usepackage{booktabs}.",
        rf"\begin{{tabular}}{{l{'r' * len(verdict.tasks)}}}",
        r"\toprule",
        " & ".join(["set", *(latex_text(t.task_name) for t in verdict.tasks)]) + r" \\",
        r"\midrule",
        *(
            " & ".join(
                [
                    latex_text(n),
                    *(cells.get((t.task_name, n), _NONE) for t in verdict.tasks),
                ]
            )
            + r" \\"
            for n in names
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(mean: float, half: float, bold: bool) -> str:
    if not math.isfinite(mean):
        return _NONE
    text = f"{mean:.4f}" + (rf" \pm {half:.4f}" if math.isfinite(half) else "")
    return rf"$\mathbf{{{text}}}$" if bold else f"${text}$"
