"""The verdict and its caveats, in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from learned_optimization.baselines.analysis.losses import num_shared_seeds
from learned_optimization.baselines.analysis.overall import FEWEST_TASKS, Failure
from learned_optimization.baselines.analysis.scores import why_no_reference
from learned_optimization.baselines.analysis.set_results import SetResult, of_set
from learned_optimization.baselines.analysis.standings import TaskVerdict
from learned_optimization.baselines.analysis.times import EMA_OF_TIMES
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.release.thin import Thinned
from learned_optimization.baselines.report.cost_words import not_measured
from learned_optimization.baselines.report.verdict_words import (
    Told,
    interval,
    own_seeds,
)
from learned_optimization.baselines.stats.race_words import count, listed
from learned_optimization.numerics import shown


def headline(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[str]:
    """Return what came out, in a few sentences."""
    if len(verdict.tasks) == 1:
        task, row = verdict.tasks[0], results[0]
        return [_first_on(task, row), *_told_of_task(task, row, verdict)]
    of_each = [
        _first_on(task, row) for task, row in zip(verdict.tasks, results, strict=True)
    ]
    if not verdict.overall:
        return ["Nothing can be said over these tasks; see what is left out.", *of_each]
    best, scored = verdict.overall[0], verdict.over_tasks.task_names
    failures = [f for f in verdict.over_tasks.failures if f.set_name == best.set_name]
    others = [f for f in verdict.over_tasks.failures if f not in failures]
    but = f", but fails on {_failures(failures)}" if failures else ""
    sentences = [
        f"Over {count(len(scored), 'task')} {best.set_name} comes first{but}: it has "
        f"{interval(best.score, 3)} of the improvement of {verdict.reference} over the "
        "initial loss (mean over tasks and runs; interquartile mean of all runs "
        f"{interval(best.iqm, 3)}).",
        *_worse_on(best.set_name, results, verdict),
    ]
    if others:
        sentences.append(
            "Less than half of that improvement, which no mean should hide: "
            f"{_failures(others, with_sets=True)}."
        )
    comparison = verdict.over_tasks.comparison
    if comparison is None:
        sentences.append("There is no other set to compare it with.")
    else:
        rows = [row for row in results if row[0].task_name in scored]
        told = Told(comparison, best.set_name, rows, within(verdict), is_score=True)
        sentences += told.sentences()
    if wide := best.iqm_over_tasks:
        sentences.append(
            "That is about these tasks only. For other tasks of the same kind the "
            f"interval of the interquartile mean is [{wide.low:.3f}, {wide.high:.3f}]."
        )
    else:
        sentences.append(
            f"That is about these tasks only: with fewer than {FEWEST_TASKS} nothing "
            "can be said about others."
        )
    return sentences + of_each


def within(verdict: Verdict) -> str:
    """Return in words by how much two sets may differ that are equivalent."""
    return f"{100 * verdict.tolerance:.3g}% of the improvement of {verdict.reference}"


def _first_on(task: TaskVerdict, row: Sequence[SetResult]) -> str:
    best = task.standings[0]
    if not best.has_loss:
        return f"On {task.task_name} no set has a loss to compare."
    result = of_set(row, best.set_name)
    own = "" if _has_same_seeds(row) else "its own "
    return (
        f"On {task.task_name} {best.set_name} comes first: final {result.report} loss "
        f"{interval(best.loss)} over {own}{count(result.num_seeds, 'seed')}. Together "
        f"they choose {best.config}."
    )


def _told_of_task(
    task: TaskVerdict, row: Sequence[SetResult], verdict: Verdict
) -> list[str]:
    if task.comparison is None:
        alone = "There is no other set to compare it with."
        return [alone] if task.standings[0].has_loss else []
    first = task.standings[0].set_name
    told = Told(task.comparison, first, [row], within(verdict), is_score=False)
    return told.sentences()


def _worse_on(
    set_name: str, results: Sequence[Sequence[SetResult]], verdict: Verdict
) -> list[str]:
    """Return on which tasks the set that comes first is worse than others."""
    said = []
    for task, row in zip(verdict.tasks, results, strict=True):
        if task.task_name not in verdict.over_tasks.task_names:
            continue
        # The first of the task is never out.
        own, best = task.standing(set_name), task.standings[0]
        if own.is_out:
            of_own = of_best = ""
            if not _has_same_seeds(row):
                num_seeds = {r.set_name: r.num_seeds for r in row}
                of_own = own_seeds([num_seeds[set_name]]) + ","
                of_best = own_seeds([num_seeds[best.set_name]])
            said.append(
                f"{task.task_name} (loss {own.loss.estimate:.4f}{of_own} against "
                f"{best.loss.estimate:.4f} of {best.set_name}{of_best})"
            )
    return [f"Yet it is worse than another set on {listed(said)}."] if said else []


def _has_same_seeds(row: Sequence[SetResult]) -> bool:
    """Return whether all sets on a task have as many seeds, and share them or none."""
    return all(
        r.num_seeds == row[0].num_seeds
        and num_shared_seeds(row[0], r) in (0, r.num_seeds)
        for r in row
    )


def _failures(failures: Sequence[Failure], with_sets: bool = False) -> str:
    return listed(
        [
            (f"{f.set_name} on " if with_sets else "")
            + f"{f.task_name} (score {f.score:.2f})"
            for f in failures
        ]
    )


def caveats(results: Sequence[Sequence[SetResult]], verdict: Verdict) -> list[str]:
    """Return what a careful reader should know before believing the verdict."""
    everything = [result for row in results for result in row]
    said = []

    def place(set_name: str, task_name: str) -> str:
        return set_name if len(results) == 1 else f"{set_name} on {task_name}"

    def places(of: Callable[[SetResult], bool]) -> str:
        return listed([place(r.set_name, r.task_name) for r in everything if of(r)])

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
    said += _measured_by(results)
    said += not_measured(results)
    said += _thinned(results)
    seeds = sorted({r.num_seeds for r in everything})
    if seeds[0] < 4:
        said.append(
            f"There are sets with {count(seeds[0], 'seed')} only: intervals over so "
            "few are wide or missing."
        )
    if len(seeds) > 1:
        said.append(
            f"Sets and tasks have from {seeds[0]} to {count(seeds[-1], 'seed')}: sets "
            "are compared on the seeds both have."
        )
    said += _unshared(results)
    if single := places(lambda r: r.num_seeds == 1):
        said.append(
            f"The only seed both chooses and reports, which flatters: {single}."
        )
    at_edge = [r for r in everything if r.best.at_edge]
    if edges := listed([place(r.set_name, r.task_name) + _edges(r) for r in at_edge]):
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
    diverged = [
        f"{place(s.set_name, task.task_name)} ({s.num_diverged})"
        for task in verdict.tasks
        for s in task.standings
        if s.num_diverged and s.has_loss
    ]
    if diverged:
        said.append(
            "Of the configuration that all seeds of a set choose, seeds diverged or "
            "ended above the loss before training, and count as not trained: "
            f"{listed(diverged)}."
        )
    biases = np.asarray([r.bias for r in everything])
    if (known := biases[np.isfinite(biases)]).size:
        # Not -0.0000.
        low, high = (round(-bias, 4) + 0.0 for bias in (known.max(), known.min()))
        away = ""
        if low or high:
            away = (
                " To choose by and report on all of them would have shown losses from "
                f"{low:+.4f} to {high:+.4f} away (selection bias, in the tables)."
            )
        said.append(
            "Each seed is reported for the configuration that the seeds before it "
            f"choose.{away} Curves and learning rates are of what all seeds together "
            "choose."
        )
    if other := _drawn_otherwise(results, verdict):
        said.append(
            "Curves are of a configuration none of whose seeds diverged, though all "
            f"seeds together choose another: {listed(other)}."
        )
    unreached = [
        f"{place(s.set_name, task.task_name)} ({s.censored:.0%})"
        for task in verdict.tasks
        for s in task.standings
        if s.censored > 0
    ]
    if unreached:
        said.append(
            f"Seeds that never reach the target, {verdict.target_share:.0%} of the "
            f"improvement of {verdict.reference} (curves smoothed by an average of "
            f"{EMA_OF_TIMES} per evaluation): {listed(unreached)}. Their times are "
            "censored, not left out: a speed-up is at most what is said (≤) where the "
            "set misses a target, at least that (≥) where the reference does, and "
            "rough (~) where both do."
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
            f"update: {listed(easy)}."
        )
    if math.isfinite(verdict.critical_difference):
        num_tasks = len(verdict.over_tasks.task_names)
        said.append(
            f"Mean ranks must differ by {verdict.critical_difference:.2f} to be told "
            f"apart over {num_tasks} tasks (Nemenyi test; Friedman p = "
            f"{verdict.friedman_p:.3g})."
        )
    return said


def _measured_by(results: Sequence[Sequence[SetResult]]) -> list[str]:
    """Return over which part of the splits final losses are."""
    whole = [row[0].task_name for row in results if row[0].is_of_whole]
    if len(whole) == len(results):
        return ["Final losses are over whole splits."]
    some = f"; on {listed(whole)} over whole splits" if whole else ""
    return [f"Final losses are of the last evaluation, over a few batches{some}."]


def _thinned(results: Sequence[Sequence[SetResult]]) -> list[str]:
    """Return which curves are of thin archives, and what that means."""
    thin = [r for row in results for r in row if r.curves.thinned is not None]
    if not thin:
        return []
    kept = sorted({(len(r.curves.xs), t.evaluations) for r, t in _with_thinned(thin)})
    of_all = sum(map(len, results))
    widest = max(int(np.diff(r.curves.xs).max(initial=0)) for r in thin)
    errors = {2.0 ** -(t.loss_bits + 1) for _, t in _with_thinned(thin)}
    return [
        f"Of {len(thin)} of {of_all} archives, mostly a release's, curves are thin: "
        f"{listed([f'{k} of {n} evaluations' for k, n in kept])}, log-spaced, their "
        f"losses rounded by up to {100 * max(errors):.1g}%. Sets of one length are "
        "compared at the evaluations that all of them have. Final losses over whole "
        "splits are as they were measured; times to a target are read between "
        f"evaluations up to {count(widest, 'update')} apart."
    ]


def _with_thinned(
    results: Sequence[SetResult],
) -> list[tuple[SetResult, Thinned]]:
    return [(r, r.curves.thinned) for r in results if r.curves.thinned is not None]


def _unshared(results: Sequence[Sequence[SetResult]]) -> list[str]:
    """Return whose seeds are compared as independent."""
    found = [
        f"{result.set_name} on {result.task_name}"
        for row in results
        for result in row[1:]
        if not num_shared_seeds(row[0], result)
    ]
    if not found:
        return []
    return [
        "Seeds are unknown, or shared with no seed of the first set, so they are "
        f"compared as independent: {listed(found)}."
    ]


def _drawn_otherwise(
    results: Sequence[Sequence[SetResult]], verdict: Verdict
) -> list[str]:
    """Return where the best configuration is not the one that losses choose."""
    return [
        f"{r.set_name} on {r.task_name} ({r.best.opt_name}, not {chosen})"
        for task, row in zip(verdict.tasks, results, strict=True)
        for r in row
        if (chosen := task.standing(r.set_name).config) != r.best.opt_name
    ]


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
    return f" (of {listed(result.best.edges)})"
