"""The verdict and its caveats, in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.overall import FEWEST_TASKS
from learned_optimization.baselines.analysis.scores import (
    TARGET_SHARE,
    why_no_reference,
)
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import LEVEL, TaskVerdict
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.numerics import shown


def interval(estimated: stats.Interval, digits: int = 4) -> str:
    """Return an estimate with its interval, as `0.4829 [0.4780, 0.4878]`."""
    text = f"{estimated.estimate:.{digits}f}"
    if math.isfinite(estimated.low):
        text += f" [{estimated.low:.{digits}f}, {estimated.high:.{digits}f}]"
    return text


def headline(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[str]:
    """Return what came out, in a few sentences."""
    if len(verdict.tasks) == 1:
        return _of_task(verdict.tasks[0], results[0])
    of_each = [
        _of_task(task, row)[0] for task, row in zip(verdict.tasks, results, strict=True)
    ]
    if not verdict.overall:
        return ["Nothing can be said over these tasks; see what is left out.", *of_each]
    best, scored = verdict.overall[0], verdict.over_tasks.task_names
    sentences = [
        f"Over {_count(len(scored), 'task')} {best.set_name} comes first: it has "
        f"{interval(best.score, 3)} of the improvement of {verdict.reference} over the "
        "initial loss (interquartile mean over tasks, mean over runs).",
        _may_be_best(
            [o.p_value for o in verdict.overall],
            verdict.not_told_apart,
            all(t.is_paired for t in verdict.tasks if t.task_name in scored),
        ),
    ]
    if wide := best.score_over_tasks:
        sentences.append(
            "That is about these tasks only. For other tasks of the same kind "
            f"the interval is [{wide.low:.3f}, {wide.high:.3f}]."
        )
    else:
        sentences.append(
            f"That is about these tasks only: with fewer than {FEWEST_TASKS} nothing "
            "can be said about others."
        )
    return sentences + of_each


def _of_task(task: TaskVerdict, row: Sequence[SetResult]) -> list[str]:
    best = task.standings[0]
    comparable = [s for s in task.standings if s.has_loss]
    if not comparable:
        return [f"On {task.task_name} no set has a loss to compare."]
    result = next(r for r in row if r.set_name == best.set_name)
    return [
        f"On {task.task_name} {best.set_name} comes first: final {result.report} loss "
        f"{interval(best.loss)} over {_count(result.num_seeds, 'seed')}. Together they "
        f"choose {result.best.opt_name}.",
        _may_be_best(
            [s.p_value for s in comparable], task.not_told_apart, task.is_paired
        ),
    ]


def _may_be_best(
    p_values: Sequence[float], equals: Sequence[str], is_paired: bool
) -> str:
    others = len(p_values) - 1
    if not others:
        return "There is no other set to compare it with."
    if all(math.isnan(p) for p in p_values):
        return "With so few seeds nobody can say which set is the best."
    how = "compared seed by seed" if is_paired else "not all of the same seeds"
    sure = f"({LEVEL:.0%} sure, {how})"
    if not equals:
        return f"No other set may be the best {sure}."
    worse = others - len(equals)
    rest = f"The {worse} other{'s' * (worse > 1)} cannot." if worse else ""
    return f"But the best may also be {_listed(equals, 'or')} {sure}. {rest}".strip()


def caveats(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[str]:
    """Return what a careful reader should know before believing the verdict."""
    everything = [result for row in results for result in row]
    said = []

    def place(set_name: str, task_name: str) -> str:
        return set_name if len(results) == 1 else f"{set_name} on {task_name}"

    def places(of: Callable[[SetResult], bool]) -> str:
        return _listed([place(r.set_name, r.task_name) for r in everything if of(r)])

    if any("True" in r.facts.get("synthetic_data", "") for r in everything):
        said.append(
            "MADE-UP DATA: some results were trained on LOPT_SYNTHETIC_DATA=1. They "
            "say nothing about optimizers."
        )
    configs = sorted({r.jax_config for r in everything})
    if len(configs) > 1:
        said.append(
            "Sets were trained under different configurations of jax, which gives "
            "seeds other numbers."
        )
    for config in filter(None, configs):
        of_config = places(lambda r, config=config: r.jax_config == config)
        said.append(f"Trained with {shown(config)}: {of_config}.")
    lengths = sorted({r.num_steps for r in everything})
    if len(lengths) > 1:
        steps = _listed([f"{n:,}" for n in lengths])
        said.append(f"Sets were trained for different numbers of steps: {steps}.")
    seeds = sorted({r.num_seeds for r in everything})
    if seeds[0] < 4:
        said.append(
            f"There are sets with {_count(seeds[0], 'seed')} only: intervals over so "
            "few are wide or missing."
        )
    if len(seeds) > 1:
        said.append(
            f"Sets and tasks have from {seeds[0]} to {_count(seeds[-1], 'seed')}: "
            "scores over tasks use as many as all tasks of a set have."
        )
    if single := places(lambda r: r.num_seeds == 1):
        said.append(
            f"The only seed both chooses and reports, which flatters: {single}."
        )
    at_edge = [r for r in everything if r.best.at_edge]
    if edges := _listed([place(r.set_name, r.task_name) + _edges(r) for r in at_edge]):
        said.append(
            "The best configuration is at the edge of its set, so a better one may lie "
            f"outside: {edges}."
        )
    if failed := places(lambda r: r.best.all_diverged):
        said.append(f"Every configuration has a diverged seed: {failed}.")
    notes = {note for r in everything for note in _notes(r)}
    for note in sorted(notes):
        of_note = places(lambda r, note=note: note in _notes(r))
        said.append(f"Of some diverged trials is known: {note} ({of_note}).")
    if unknown := places(lambda r: not math.isfinite(r.initial_loss)):
        said.append(
            "No loss before the first update is finite, so nothing says how much they "
            f"improve, and they are no reference: {unknown}."
        )
    said += _other_references(results, verdict)
    if diverged := places(lambda r: r.num_diverged > 0 and r.has_loss):
        said.append(
            "Of what the other seeds choose a seed diverged, and counts as not "
            f"trained: {diverged}."
        )
    biases = np.asarray([float(r.nested.bias) for r in everything])
    if (known := biases[np.isfinite(biases)]).size:
        said.append(
            "Each seed is reported for the configuration that the other seeds choose. "
            "Choosing and reporting on the same ones would have shown losses that are "
            f"from {-known.max():+.4f} to {-known.min():+.4f} away (selection bias, in "
            "the tables). Curves, times and learning rates are of what all seeds "
            "together choose."
        )
    unreached = [
        f"{place(s.set_name, task.task_name)} ({s.censored:.0%})"
        for task in verdict.tasks
        for s in task.standings
        if s.censored > 0
    ]
    if unreached:
        said.append(
            f"Seeds that never reach the target, {TARGET_SHARE:.0%} of the improvement "
            f"of {verdict.reference}: {_listed(unreached)}. Their times are censored, "
            "not left out."
        )
    easy = [
        place(r.set_name, r.task_name)
        for task, row in zip(verdict.tasks, results, strict=True)
        for r in row
        if (r.best_curves()[:, 0] <= task.target).any()
    ]
    if easy:
        said.append(
            "Seeds that begin at the target or below count as reaching it with one "
            f"update: {_listed(easy)}."
        )
    if math.isfinite(verdict.critical_difference):
        num_tasks = len(verdict.over_tasks.task_names)
        said.append(
            f"Mean ranks must differ by {verdict.critical_difference:.2f} to be told "
            f"apart over {num_tasks} tasks (Nemenyi test; Friedman p = "
            f"{verdict.friedman_p:.3g})."
        )
    return said


def _notes(result: SetResult) -> list[str]:
    """Return what is known of why trials of a set diverged."""
    return [n for n in result.facts.get("divergence_note", "").split(" | ") if n]


def _other_references(
    results: Sequence[Sequence[SetResult]], verdict: Verdict
) -> list[str]:
    """Return why a set that would be the reference is not."""
    would_be = [name for name in verdict.set_names if name.startswith("AdamLR_")]
    if not verdict.reference or verdict.reference in would_be:
        return []
    reasons = [why_no_reference(row, name) for name in would_be for row in results]
    instead = f"{verdict.reference} is what the others are measured by"
    return [f"{instead}, as {why}" for why in reasons if why]


def _edges(result: SetResult) -> str:
    """Return at which edges the best is, where a set has several hyper-parameters."""
    if len(result.curves.hparams.varied()) < 2:
        return ""
    return f" (of {_listed(result.best.edges)})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _listed(items: Sequence[str], word: str = "and") -> str:
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} {items[-1]}"
