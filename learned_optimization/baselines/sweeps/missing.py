"""Which trials of a sweep have a result, and which have none yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from learned_optimization import numerics
from learned_optimization.baselines.results.index import TrialEntry
from learned_optimization.baselines.results.matching import (
    check_jax_config,
    check_setting,
    fill,
    scan,
)
from learned_optimization.baselines.sweeps.trials import Trial


def by_folder(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Return the trials of each folder of results."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.save_dir].append(trial)
    return dict(groups)


def missing_trials(trials: Iterable[Trial]) -> tuple[list[Trial], list[str]]:
    """Return those trials that have no readable result yet.

    A result on synthetic data stands in only for a trial on synthetic data.

    Returns:
      The trials, and the paths of the result files that could not be read.

    Raises:
      ResultError: if there is a result of another setting, or under another
        configuration of jax, under a trial's name.
    """
    trials = list(trials)
    found, unreadable = found_results(trials)
    return [trial for trial in trials if trial not in found], unreadable


def found_results(
    trials: Iterable[Trial],
) -> tuple[dict[Trial, TrialEntry], list[str]]:
    """Return the result of each trial that has a readable one.

    Files that record no seed stand in for the trials without result, in their order.

    Returns:
      The results, and the paths of the result files that could not be read.

    Raises:
      ResultError: as `missing_trials`.
    """
    groups = by_folder(trials)
    entries_of, jax_config = scan(groups), numerics.record()
    found, unreadable = dict[Trial, TrialEntry](), list[str]()
    for folder, group in groups.items():
        entries = entries_of[folder]
        check_setting(folder, entries, group[0].opt.name)
        check_jax_config(folder, entries, jax_config)
        filled = fill(entries, [t.seed for t in group], group[0].is_synthetic)
        found |= {t: filled[t.seed] for t in group if t.seed in filled}
        unreadable += [entry.path for entry in entries if entry.status == "bad"]
    return found, unreadable
