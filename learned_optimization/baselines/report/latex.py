"""The report's table of losses, as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import Standing, TaskVerdict
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.exporting.escapes import latex_text
from learned_optimization.baselines.report.words import within

_NONE = "--"


def as_latex(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> str:
    """Return a booktabs table of sets by tasks, in the order of the report's.

    Bold is, on each task, the set that comes first and what is equivalent to it; a
    star is at the others that are not told apart from the best. Where nothing is
    claimed, as of fewer than 4 seeds, there is neither.
    """
    names = dict.fromkeys([*(o.set_name for o in verdict.overall), *verdict.set_names])
    cells = {
        (task.task_name, s.set_name): _latex_cell(
            s.loss.estimate, s.loss.high - s.loss.estimate, _mark(task, s)
        )
        for task in verdict.tasks
        for s in task.standings
    }
    report = latex_text(results[0][0].report)
    lines = [
        rf"% Final {report} loss of the configurations that earlier seeds choose;",
        "% half-width of the 95% interval over seeds.",
        *(
            [
                "% Bold: the first, and what is equivalent to it within",
                f"% {latex_text(within(verdict))}.",
            ]
            if verdict.reference
            else ["% Bold: the first."]
        ),
        "% Star: not told apart from the best. Neither: some set is better, or there",
        "% are fewer than 4 seeds.",
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


def _mark(task: TaskVerdict, standing: Standing) -> str:
    """Return `bold`, `star`, or nothing."""
    comparison, first = task.comparison, task.standings[0].set_name
    if comparison is None or standing.is_out or math.isnan(standing.p_value):
        return ""
    if standing.set_name == first:
        return "bold"
    outcome = comparison.pair(first, standing.set_name).outcome
    return "bold" if outcome is stats.PairOutcome.EQUIVALENT else "star"


def _latex_cell(mean: float, half: float, mark: str) -> str:
    if not math.isfinite(mean):
        return _NONE
    text = f"{mean:.4f}" + (rf" \pm {half:.4f}" if math.isfinite(half) else "")
    if mark == "bold":
        return rf"$\mathbf{{{text}}}$"
    return rf"${text}^{{*}}$" if mark == "star" else f"${text}$"
