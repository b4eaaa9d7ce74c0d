"""The verdict and its caveats, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import TaskVerdict, Verdict


def interval(found: stats.Interval, digits: int = 4) -> str:
    """An estimate with its interval, as `0.4829 [0.4780, 0.4878]`."""
    if not math.isfinite(found.estimate):
        return "diverged"
    text = f"{found.estimate:.{digits}f}"
    if math.isfinite(found.low):
        text += f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return text


def headline(results: Sequence[Sequence[SetResult]], found: Verdict) -> list[str]:
    """What came out, in a few sentences."""
    if len(found.tasks) == 1:
        return _of_task(found.tasks[0], results[0])
    best = found.overall[0]
    wide = best.score_over_tasks
    assert wide is not None
    sentences = [
        f"Over {len(found.tasks)} tasks {best.set_name} is best: it has "
        f"{interval(best.score, 3)} of the improvement of {found.reference} over the "
        "initial loss (interquartile mean over runs and tasks).",
        _told_apart([o.p_value for o in found.overall], found.not_told_apart),
        "The interval speaks of these tasks; for tasks drawn anew from where these "
        f"come from it is [{wide.low:.3f}, {wide.high:.3f}].",
    ]
    for task, row in zip(found.tasks, results, strict=True):
        sentences.append(_of_task(task, row)[0])
    return sentences


def _of_task(task: TaskVerdict, row: Sequence[SetResult]) -> list[str]:
    best = task.standings[0]
    result = next(r for r in row if r.set_name == best.set_name)
    if not math.isfinite(best.loss.estimate):
        return [f"On {task.task_name} every set has diverged."]
    return [
        f"On {task.task_name} {best.set_name} is best: final {result.report} loss "
        f"{interval(best.loss)} over {result.num_seeds} seeds, with "
        f"{result.best.opt_name}.",
        _told_apart([s.p_value for s in task.standings], task.not_told_apart),
    ]


def _told_apart(p_values: Sequence[float], equals: Sequence[str]) -> str:
    others = len(p_values) - 1
    if not others:
        return "There is no other set to tell it apart from."
    if all(math.isnan(p) for p in p_values[1:]):
        return "With so few seeds no set can be told apart from it."
    worse = others - len(equals)
    verb = "is" if worse == 1 else "are"
    count = f"all others {verb}" if worse == others else f"{worse} of {others} {verb}"
    if not equals:
        return f"It can be told apart from every other set: {count} worse (p < 0.05)."
    return (
        f"It cannot be told apart from {_listed(equals)}; {count} worse beyond chance "
        "(paired over seeds, p < 0.05 after Holm's correction)."
    )


def caveats(results: Sequence[Sequence[SetResult]], found: Verdict) -> list[str]:
    """What a careful reader should know before believing the verdict."""
    everything = [result for row in results for result in row]
    said = []

    def place(set_name: str, task_name: str) -> str:
        return set_name if len(results) == 1 else f"{set_name} on {task_name}"

    if any("True" in r.facts.get("synthetic_data", "") for r in everything):
        said.append(
            "MADE-UP DATA: some results were trained on LOPT_SYNTHETIC_DATA=1. They "
            "say nothing about optimizers."
        )
    lengths = sorted({r.num_steps for r in everything})
    if len(lengths) > 1:
        steps = _listed([f"{n:,}" for n in lengths])
        said.append(f"Sets were trained for different numbers of steps: {steps}.")
    seeds = min(r.num_seeds for r in everything)
    if seeds < 3:
        said.append(
            f"There are sets with {seeds} seed{'s' * (seeds > 1)} only: intervals over "
            "so few are wide or missing."
        )
    if edges := [place(r.set_name, r.task_name) for r in everything if r.best.at_edge]:
        said.append(
            "The best configuration is at the edge of its set, so a better one may lie "
            f"outside: {_listed(edges)}."
        )
    failed = [place(r.set_name, r.task_name) for r in everything if r.best.all_diverged]
    if failed:
        said.append(f"Every configuration has a diverged seed: {_listed(failed)}.")
    biases = [float(r.nested.bias) for r in everything]
    known = np.asarray([bias for bias in biases if math.isfinite(bias)])
    if known.size:
        said.append(
            "Choosing and reporting on the same seeds would have made losses lower by "
            f"{known.mean():.4f} on average, and by {known.max():.4f} at most; the "
            "losses here are free of that (each seed is reported for the configuration "
            "the other seeds choose)."
        )
    unreached = [
        f"{place(s.set_name, task.task_name)} ({s.censored:.0%})"
        for task in found.tasks
        for s in task.standings
        if s.censored > 0
    ]
    if unreached:
        said.append(
            f"Seeds that never reach the target, what at least half of the seeds of "
            f"{found.reference} reach: "
            f"{_listed(unreached)}. Their times are censored, not left out."
        )
    if len(found.tasks) > 1 and math.isfinite(found.critical_difference):
        said.append(
            f"Mean ranks must differ by {found.critical_difference:.2f} to be told "
            f"apart over {len(found.tasks)} tasks (Nemenyi test; Friedman p = "
            f"{found.friedman_p:.3g})."
        )
    return said


def _listed(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" and {items[-1]}"
