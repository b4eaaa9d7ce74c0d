"""Which result files of a configuration fill which of its repetitions."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Sequence

from learned_optimization.baselines.folder_names import (
    folders_to_search,
    present_folder,
)
from learned_optimization.baselines.results.index import TrialEntry, trial_entries
from learned_optimization.errors import ResultError

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
    """
    entries_of: dict[str, list[TrialEntry]] = {folder: [] for folder in save_dirs}
    wanted = {present_folder(folder): folder for folder in entries_of}
    by_task: dict[str, list[str]] = defaultdict(list)
    for folder in entries_of:
        by_task[posixpath.dirname(posixpath.dirname(folder))].append(folder)
    for task_folder, folders in by_task.items():
        roots = [task_folder]
        if len(folders) < _FEW:
            searched = (root for f in folders for root in folders_to_search(f))
            roots = list(dict.fromkeys(searched))
        for root in roots:
            for entry in trial_entries(root):
                if entry.folder in wanted:
                    entries_of[wanted[entry.folder]].append(entry)
    for folder, entries in entries_of.items():
        entries.sort(key=lambda entry: posixpath.dirname(entry.path) != folder)
    return entries_of


def fill(
    entries: Iterable[TrialEntry], seeds: Sequence[int], synthetic: bool
) -> dict[int, TrialEntry]:
    """Assign results to repetitions.

    A repetition takes the first result with its seed, on real data if there is
    one. A result that records no seed, as older files do, takes any repetition
    left.

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
    left = (seed for seed in seeds if seed not in filled)
    without_seed = (entry for entry in usable if entry.seed is None)
    return filled | dict(zip(left, without_seed, strict=False))


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
