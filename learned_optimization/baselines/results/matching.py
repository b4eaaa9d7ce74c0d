"""Which result files belong to which trials of a set, and which trials have none."""

from __future__ import annotations

import itertools
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import (
    folders_to_search,
    present_folder,
)
from learned_optimization.baselines.results.index import TrialEntry, trial_entries
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.errors import JaxConfigError, ResultError
from learned_optimization.numerics import shown

SetFunction = Callable[[str], tuple[Sequence[Any], Sequence[tuple[str, int]]]]
"""A function of a task's name, like an `HParamSet`: it returns configurations, which
archiving does not use, and for each the folder of its results and the number of
repetitions."""

# From this many configurations on, one walk through the task's folder costs less.
_FEW = 20


def scan(save_dirs: Iterable[str]) -> dict[str, list[TrialEntry]]:
    """Return the result files of some configurations.

    Args:
      save_dirs: folders as of `get_save_dir`.

    Returns:
      Folder to its result files, bad ones too: first those in it, in the order of
      their names, then those in a folder of another name (`folder_names`). Folders
      that are empty or missing have an empty list.

    Raises:
      ResultError: if one of them cannot be listed: what it holds is not known, and is
        not missing.
    """
    entries_of: dict[str, list[TrialEntry]] = {folder: [] for folder in save_dirs}
    wanted = {present_folder(folder): folder for folder in entries_of}
    by_task: dict[str, list[str]] = defaultdict(list)
    unlisted: dict[str, str] = {}
    for folder in entries_of:
        by_task[posixpath.dirname(posixpath.dirname(folder))].append(folder)
    for task_folder, folders in by_task.items():
        roots = [task_folder]
        if len(folders) < _FEW:
            searched = (root for f in folders for root in folders_to_search(f))
            roots = list(dict.fromkeys(searched))
        for root in roots:
            for entry in trial_entries(root, on_unlisted=unlisted.__setitem__):
                if entry.folder in wanted:
                    entries_of[wanted[entry.folder]].append(entry)
    _check_listed(unlisted, entries_of)
    for folder, entries in entries_of.items():
        entries.sort(key=lambda entry: posixpath.dirname(entry.path) != folder)
    return entries_of


def _check_listed(unlisted: Mapping[str, str], save_dirs: Iterable[str]) -> None:
    """Refuse folders that cannot be listed and may hold results of these settings."""
    if not unlisted:
        return
    wanted = {place for folder in save_dirs for place in folders_to_search(folder)}
    for folder, reason in unlisted.items():
        if any(f"{place}/".startswith(f"{folder}/") for place in wanted):
            raise ResultError(
                f"cannot list {folder}: {reason}. Which trials have results there is "
                "not known. Change its permissions, or move it away."
            )
        filesystem.warn_of_unlisted(folder, reason)


def fill(
    entries: Iterable[TrialEntry], seeds: Sequence[int], synthetic: bool
) -> dict[int, TrialEntry]:
    """Assign results to repetitions.

    A repetition takes the first result with its seed, on real data if there is
    one. Results that record no seed, as those of older files, are of the lowest
    seeds from 0 on that no other result is of.

    Args:
      entries: result files of one configuration; bad ones are ignored.
      seeds: the repetitions' seeds.
      synthetic: whether results on synthetic data count.

    Returns:
      Seed to result, for those that have one.
    """
    usable = sorted(
        (e for e in entries if e.status != "bad" and (synthetic or not e.synthetic)),
        key=lambda entry: entry.synthetic,
    )
    filled: dict[int, TrialEntry] = {}
    for entry in usable:
        if entry.seed is not None and entry.seed in seeds:
            filled.setdefault(entry.seed, entry)
    recorded = {entry.seed for entry in usable}
    left = (seed for seed in itertools.count() if seed not in recorded)
    without_seed = (entry for entry in usable if entry.seed is None)
    assumed = zip(left, without_seed, strict=False)
    return filled | {seed: entry for seed, entry in assumed if seed in seeds}


def by_setting(entries: Iterable[TrialEntry]) -> dict[str, list[TrialEntry]]:
    """Return entries by the folder of their setting, in the order of `scan`."""
    by_folder: dict[str, list[TrialEntry]] = defaultdict(list)
    for entry in entries:
        by_folder[entry.folder].append(entry)
    for folder, group in by_folder.items():
        group.sort(key=lambda entry: posixpath.dirname(entry.path) != folder)
    return by_folder


def copies(entries: Iterable[TrialEntry]) -> list[TrialEntry]:
    """Return results of trials that have another one, which `fill` takes.

    Args:
      entries: result files of one configuration, in the order of `scan`; bad ones and
        those that record no seed are nobody's copies.
    """
    seen: set[tuple[Any, ...]] = set()
    extra = []
    for entry in entries:
        if entry.status == "bad" or entry.seed is None:
            continue
        trial = (entry.seed, entry.synthetic, entry.opt_config, entry.jax_config)
        if trial in seen:
            extra.append(entry)
        seen.add(trial)
    return extra


def check_setting(
    save_dir: str, entries: Iterable[TrialEntry], opt_config: str
) -> None:
    """Refuse results that were trained with another setting of the optimizer.

    Results that do not record their setting, as those of the published system, are
    assumed to be of the setting that their folder is named after.

    Args:
      save_dir: folder of the results.
      entries: what it holds.
      opt_config: the setting wanted, as `Optimizer.name` writes it.

    Raises:
      ResultError: naming the folder and both settings.
    """
    for entry in entries:
        if entry.opt_config not in ("", opt_config):
            raise ResultError(
                f"{save_dir} holds results of {entry.opt_config}, and this set means "
                f"{opt_config} by that name: they cannot share a folder. Rename one "
                "of the optimizers, or move the old results away."
            )


def check_jax_config(
    save_dir: str, entries: Iterable[TrialEntry], jax_config: str
) -> None:
    """Refuse results that were trained under another configuration of jax.

    Args:
      save_dir: folder of the results.
      entries: what it holds; bad files are ignored.
      jax_config: the configuration wanted, as of `numerics.record`.

    Raises:
      JaxConfigError: naming the folder and both configurations.
    """
    for entry in entries:
        if entry.status != "bad" and entry.jax_config != jax_config:
            raise JaxConfigError(save_dir, shown(entry.jax_config), shown(jax_config))


def save_dirs_of(
    hparam_set: HParamSet | SetFunction, task_name: str
) -> Sequence[tuple[str, int]]:
    """Return the folder of each configuration's results, and its repetitions."""
    if isinstance(hparam_set, HParamSet):
        return hparam_set.save_dirs(task_name)
    return hparam_set(task_name)[1]


@dataclass(frozen=True)
class MissingResults:
    """What one configuration of a set lacks.

    Attributes:
      save_dir: folder of the configuration's results.
      seeds: seeds that have no readable result there.
      unreadable: files there that cannot be read.
    """

    save_dir: str
    seeds: tuple[int, ...]
    unreadable: tuple[str, ...]


def gather(
    save_dirs: Sequence[tuple[str, int]], first_seed: int = 0
) -> tuple[list[list[TrialEntry]], list[MissingResults]]:
    """Find the results of a set on a task.

    Args:
      save_dirs: folder of the results of each configuration, and its repetitions.
      first_seed: the seed of the first repetition.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing. A file that cannot be read counts as missing.
    """
    entries_of = scan(folder for folder, _ in save_dirs)
    rows, missing = [], []
    for save_dir, repetitions in save_dirs:
        entries = entries_of[save_dir]
        seeds = range(first_seed, first_seed + repetitions)
        filled = fill(entries, seeds, synthetic=True)
        rows.append([filled[seed] for seed in sorted(filled)])
        lacking = tuple(seed for seed in seeds if seed not in filled)
        if lacking:
            unreadable = tuple(e.path for e in entries if e.status == "bad")
            missing.append(MissingResults(save_dir, lacking, unreadable))
    return rows, missing


def check_together(
    hparam_set: HParamSet | SetFunction,
    save_dirs: Sequence[tuple[str, int]],
    rows: Sequence[Sequence[TrialEntry]],
) -> None:
    """Refuse results that do not belong in one archive.

    Args:
      hparam_set: the set.
      save_dirs: folder of the results of each configuration, and its repetitions.
      rows: the results, a list of repetitions for each configuration.

    Raises:
      ResultError: if some are of another setting than the set's, or some were
        trained on synthetic data and some on real data, or under another
        configuration of jax than others.
    """
    # It imports jax, which takes seconds; `lopt status` matches files without it.
    from learned_optimization.baselines.sets.settings import make_optimizer

    if isinstance(hparam_set, HParamSet):
        for (folder, _), setting, row in zip(
            save_dirs, hparam_set.hparams, rows, strict=True
        ):
            opt = make_optimizer(hparam_set.optimizer, setting)
            check_setting(folder, row, opt.name)
    used = [(f, e) for (f, _), row in zip(save_dirs, rows, strict=True) for e in row]
    for folder, entry in used:
        check_jax_config(folder, [entry], used[0][1].jax_config)
    if len({entry.synthetic for row in rows for entry in row}) > 1:
        raise ResultError(
            "some results were trained on synthetic data (LOPT_SYNTHETIC_DATA=1) "
            "and some on real data: they do not belong in one archive. Delete one kind."
        )


def describe_missing(
    task_name: str, set_name: str, missing: Sequence[MissingResults], num_trials: int
) -> str:
    """Return one message: how many trials are missing, and which."""
    count = sum(len(m.seeds) for m in missing)
    lines = [
        line
        for m in missing
        for line in (
            f"  {m.save_dir}: seeds {', '.join(map(str, m.seeds))}",
            *(f"    cannot be read: {path}" for path in m.unreadable),
        )
    ]
    return (
        f"{count} of {num_trials} trials of {set_name} on {task_name} are missing:\n"
        + "\n".join(lines)
    )
