"""Selects the files of sets, by kind: those that `lopt rm` deletes."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Sequence

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import present_folder
from learned_optimization.baselines.layout import (
    get_baseline_archive_path,
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results.files import QUARANTINE
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.matching import scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.filesystem import FileInfo

KINDS = ("results", "archives", "bad", "quarantine", "leftovers")
"""The kinds of files: result files, archives, result files that cannot be read (they
are `results` too), files in quarantine, and hidden files at least an hour old that
killed writers have left behind."""

_SECONDS_OF_A_WRITER = 3600.0


def files_of(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> list[FileInfo]:
    """Return the files of some sets on a task.

    Args:
      task: the task's name.
      hparam_sets: the sets; everything of the task if empty.
      kinds: which files, of `KINDS`.

    Returns:
      The files, in the order of their paths.

    Raises:
      ResultError: if the results cannot be reached.
    """
    paths: set[str] = set()
    if "results" in kinds or "bad" in kinds:
        paths |= _results(task, hparam_sets, only_bad="results" not in kinds)
    if "archives" in kinds:
        paths |= _archives(task, hparam_sets)
    if "quarantine" in kinds or "leftovers" in kinds:
        paths |= _hidden(task, hparam_sets, kinds)
    return [filesystem.info(path) for path in sorted(paths)]


def shared_with(
    task: str, hparam_sets: Sequence[HParamSet], known_sets: Sequence[HParamSet]
) -> list[str]:
    """Return names of the other sets that have result files in the same folders."""
    names = {s.name for s in hparam_sets}
    folders = {folder for s in hparam_sets for folder, _ in s.save_dirs(task)}
    return sorted(
        s.name
        for s in known_sets
        if s.name not in names
        and any(folder in folders for folder, _ in s.save_dirs(task))
    )


def _results(task: str, hparam_sets: Sequence[HParamSet], only_bad: bool) -> set[str]:
    if not hparam_sets:
        entries = trial_entries(filesystem.join(get_root_baseline_dir(), task))
    else:
        repetitions: dict[str, int] = {}
        for folder, count in (d for s in hparam_sets for d in s.save_dirs(task)):
            repetitions[folder] = max(count, repetitions.get(folder, 0))
        entries = [
            entry
            for folder, of_folder in scan(repetitions).items()
            for entry in of_folder
            if entry.seed is None or entry.seed < repetitions[folder]
        ]
    return {e.path for e in entries if not only_bad or e.status == "bad"}


def _archives(task: str, hparam_sets: Sequence[HParamSet]) -> set[str]:
    if not hparam_sets:
        folder = filesystem.join(get_baseline_archive_rootdir(), task)
        return set(filesystem.list_files(folder, ".npz"))
    paths = {get_baseline_archive_path(task, s.name) for s in hparam_sets}
    return {path for path in paths if filesystem.exists(path)}


def _hidden(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> set[str]:
    folders = {
        present_folder(folder) for s in hparam_sets for folder, _ in s.save_dirs(task)
    }
    paths = set()
    for root in (get_root_baseline_dir(), get_baseline_archive_rootdir()):
        below = filesystem.join(root, task)
        for file in filesystem.walk_files(below, "", hidden=True):
            folder, name = posixpath.split(file.path)
            if posixpath.basename(folder) == QUARANTINE:
                kind, folder = "quarantine", posixpath.dirname(folder)
            elif name.startswith(".") and name.endswith(".tmp"):
                kind = "leftovers"
                if time.time() - file.modified < _SECONDS_OF_A_WRITER:
                    continue
            else:
                continue
            if kind in kinds and (not hparam_sets or present_folder(folder) in folders):
                paths.add(file.path)
    return paths
