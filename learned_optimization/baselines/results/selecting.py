"""Selects the files of sets, by kind: those that `lopt rm` deletes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import present_folder
from learned_optimization.baselines.layout import (
    check_roots,
    get_baseline_archive_path,
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results import finished_files
from learned_optimization.baselines.results.files import QUARANTINE
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.leftovers import is_unfinished
from learned_optimization.baselines.results.matching import by_setting, copies, scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.cache import cache_dir
from learned_optimization.errors import MissingFileError
from learned_optimization.filesystem import FileInfo

KINDS = ("results", "archives", "bad", "copies", "quarantine", "leftovers")
"""The kinds of files: result files (and files of finished curves of nothing but
trials whose results are deleted), archives, result files that cannot be read (they
are `results` too), result files of trials that have another one, which is used (so are
they), files in quarantine, and hidden files at least an hour old that killed writers
have left behind."""

_OF_RESULTS = ("results", "bad", "copies")


def files_of(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> list[FileInfo]:
    """Return the files of some sets on a task.

    Args:
      task: the task's name.
      hparam_sets: the sets; everything of the task if empty.
      kinds: which files, of `KINDS`.

    Returns:
      The files, in the order of their paths. What lies behind a link to a folder is
      not among them, nor is a folder that has the name of a file.

    Raises:
      ResultError: if the results cannot be reached.
    """
    infos = []
    for path in sorted(_paths(task, hparam_sets, kinds)):
        # It may have gone since it was listed.
        with suppress(MissingFileError):
            if not _is_behind_link(path) and not os.path.isdir(path):
                infos.append(filesystem.info_of_entry(path))
    return infos


def behind_links(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> list[str]:
    """Return paths of the files that `files_of` leaves out; its arguments."""
    paths = _paths(task, hparam_sets, kinds)
    return sorted(path for path in paths if _is_behind_link(path))


def delete(path: str) -> None:
    """Delete a file of `files_of`, unless a link to a folder leads to it by now.

    Raises:
      ResultError: if it cannot be deleted.
    """
    if not _is_behind_link(path):
        filesystem.remove_file(path)


def _is_behind_link(path: str) -> bool:
    roots = (
        get_root_baseline_dir(),
        get_baseline_archive_rootdir(),
        str(cache_dir()),
    )
    return all(filesystem.is_behind_link(path, root) for root in roots)


def _paths(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> set[str]:
    check_roots()
    paths: set[str] = set()
    if not set(kinds).isdisjoint(_OF_RESULTS):
        paths |= _results(task, hparam_sets, kinds)
    if "archives" in kinds:
        paths |= _archives(task, hparam_sets)
    if "quarantine" in kinds or "leftovers" in kinds:
        paths |= _hidden(task, hparam_sets, kinds)
    return paths


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


def _results(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> set[str]:
    root = filesystem.join(get_root_baseline_dir(), task)
    if not hparam_sets:
        entries = trial_entries(root)

        def is_of(folder: str, seed: int) -> bool:
            return folder.startswith(f"{root}/")
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

        def is_of(folder: str, seed: int) -> bool:
            return seed < repetitions.get(folder, 0)

    if "results" in kinds:
        # The next sweep would write the same results again from finished curves.
        return {*(entry.path for entry in entries), *finished_files.only_of(is_of)}
    paths = set()
    if "bad" in kinds:
        paths |= {entry.path for entry in entries if entry.status == "bad"}
    if "copies" in kinds:
        groups = by_setting(entries).values()
        paths |= {entry.path for group in groups for entry in copies(group)}
    return paths


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
        for file in filesystem.walk_files(below, "", hidden=True, links=False):
            folder = posixpath.dirname(file.path)
            if posixpath.basename(folder) == QUARANTINE:
                kind, folder = "quarantine", posixpath.dirname(folder)
            elif is_unfinished(file):
                kind = "leftovers"
            else:
                continue
            if kind in kinds and (not hparam_sets or present_folder(folder) in folders):
                paths.add(file.path)
    return paths
