"""The report's tables, as rows; and these as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from learned_optimization.baselines.analysis.losses import ceilings_of, reported
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.exporting.escapes import csv_text
from learned_optimization.baselines.report.content import numbers
from learned_optimization.baselines.report.verdict_words import pair_sentence
from learned_optimization.baselines.report.words import within

Row = dict[str, Any]


def task_rows(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[Row]:
    """Return one row per task and set, best set of a task first.

    `loss` is the final one of what earlier seeds choose, with Student's interval over
    seeds. `p_value` is that no other set is better, among all sets. `worse_by` is how
    much worse a set is than the best other one. `state_bytes_per_parameter`,
    `step_ratio` (to SGD), `step_seconds` and `seconds_alone_to_target` are what
    `lopt bench --optimizers` measured of one trial alone; NaN where it did not.
    """
    rows = []
    for row, task in zip(results, verdict.tasks, strict=True):
        by_name = {result.set_name: result for result in row}
        for place, standing in enumerate(task.standings, 1):
            result = by_name[standing.set_name]
            best, width, cost = result.best, result.sensitivity, result.cost
            rows.append(
                {
                    "task": task.task_name,
                    "set": standing.set_name,
                    "rank": place,
                    "config": standing.config,
                    "configs": result.num_configs,
                    "loss": standing.loss.estimate,
                    "loss_low": standing.loss.low,
                    "loss_high": standing.loss.high,
                    "diverged_seeds": standing.num_diverged,
                    "is_out": standing.is_out,
                    "p_value": standing.p_value,
                    "worse_by": standing.difference.estimate,
                    "worse_by_low": standing.difference.low,
                    "worse_by_high": standing.difference.high,
                    "bias": result.bias,
                    **{
                        f"final_{split}": float(values.mean())
                        for split, values in best.final.items()
                    },
                    "at_edge": best.at_edge,
                    "diverged": best.num_diverged,
                    "trials": best.num_trials,
                    "steps_to_target": standing.steps,
                    "seconds_to_target": standing.seconds,
                    "seconds_alone_to_target": result.seconds_alone(standing.steps),
                    "state_bytes_per_parameter": cost.bytes_per_parameter
                    if cost
                    else math.nan,
                    "step_ratio": cost.step_ratio.median if cost else math.nan,
                    "step_seconds": cost.step_seconds if cost else math.nan,
                    "censored": standing.censored,
                    "speedup": standing.speedup.estimate,
                    "speedup_low": standing.speedup.low,
                    "speedup_high": standing.speedup.high,
                    "speedup_is_bound": bool(standing.bound),
                    "speedup_bound": standing.bound.sign.strip(),
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
    "iqm",
    "iqm_low",
    "iqm_high",
    "iqm_low_over_tasks",
    "iqm_high_over_tasks",
    "is_out",
    "p_value",
    "worse_by",
    "worse_by_low",
    "worse_by_high",
    "failures",
    "median",
    "optimality_gap",
    "improvement",
    "mean_rank",
    "profile_score",
    "speedup",
    "speedup_low",
    "speedup_high",
    "speedup_is_bound",
    "speedup_bound",
)
"""What `overall_rows` says of each set."""


def overall_rows(verdict: Verdict) -> list[Row]:
    """Return one row per set over all tasks, best first; none if nothing can be."""
    rows = []
    for place, o in enumerate(verdict.overall, 1):
        wide = o.iqm_over_tasks
        failures = [
            f.task_name for f in verdict.over_tasks.failures if f.set_name == o.set_name
        ]
        values = (
            o.set_name,
            place,
            o.score.estimate,
            o.score.low,
            o.score.high,
            o.iqm.estimate,
            o.iqm.low,
            o.iqm.high,
            wide.low if wide else math.nan,
            wide.high if wide else math.nan,
            o.is_out,
            o.p_value,
            o.difference.estimate,
            o.difference.low,
            o.difference.high,
            ", ".join(failures),
            o.median,
            o.optimality_gap,
            o.improvement,
            o.mean_rank,
            o.profile_score,
            o.speedup.estimate,
            o.speedup.low,
            o.speedup.high,
            bool(o.bound),
            o.bound.sign.strip(),
        )
        rows.append(dict(zip(OVERALL_COLUMNS, values, strict=True)))
    return rows


PAIR_COLUMNS = (
    "task",
    "a",
    "b",
    "outcome",
    "difference",
    "low",
    "high",
    "p_value",
    "seeds",
    "more_seeds",
    "sentence",
)
"""What `pair_rows` says of every two sets."""


def pair_rows(verdict: Verdict) -> list[Row]:
    """Return one row per two sets, over the tasks (no `task`) and on each of them.

    `difference` is the loss of `a` minus that of `b`; over tasks, of losses in units
    of what the reference improves. `p_value` is two-sided, of this pair alone; NaN
    for too few seeds.
    """
    looks = [("", verdict.over_tasks.comparison)] if len(verdict.tasks) > 1 else []
    looks += [(task.task_name, task.comparison) for task in verdict.tasks]
    rows = []
    for task_name, comparison in looks:
        if comparison is None:
            continue
        for pair in comparison.look.pairs:
            values = (
                task_name,
                comparison.name(pair.a),
                comparison.name(pair.b),
                pair.outcome.name.lower().replace("_", " "),
                pair.difference,
                pair.low,
                pair.high,
                pair.p_value,
                pair.num_seeds,
                math.nan if pair.more_seeds is None else pair.more_seeds,
                pair_sentence(comparison, pair, within(verdict)),
            )
            rows.append(dict(zip(PAIR_COLUMNS, values, strict=True)))
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
        "tolerance": verdict.tolerance,
        "select": results[0][0].select,
        "report": results[0][0].report,
        "critical_difference": numbers([verdict.critical_difference])[0],
        "friedman_p": numbers([verdict.friedman_p])[0],
        "targets": clean({task.task_name: task.target for task in verdict.tasks}),
        "overall": [clean(row) for row in overall_rows(verdict)],
        "tasks": [clean(row) for row in task_rows(results, verdict)],
        "pairs": [clean(row) for row in pair_rows(verdict)],
        "losses_of_seeds": {
            row[0].task_name: {
                result.set_name: numbers(reported(result, ceilings_of(row)))
                for result in row
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
