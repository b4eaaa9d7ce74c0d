"""Selects the files of sets, by kind: those that `lopt rm` deletes."""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
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
from learned_optimization.baselines.results.index import TrialEntry, trial_entries
from learned_optimization.baselines.results.leftovers import is_unfinished
from learned_optimization.baselines.results.matching import by_setting, copies, scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.cache import cache_dir
from learned_optimization.errors import MissingFileError, UnreadableFileError
from learned_optimization.filesystem import FileInfo

MORE_SEEDS = "more-seeds"

KINDS = (
    *("results", "archives", "bad", "copies", MORE_SEEDS, "quarantine", "leftovers"),
)
"""The kinds of files: result files (and files of finished curves of nothing but
trials whose results are deleted), archives, result files that cannot be read (they
are `results` too), result files of trials that have another one, which is used (so are
they), result files of seeds beyond the last of a set, files in quarantine, and hidden
files at least an hour old that killed writers have left behind."""

_OF_RESULTS = ("results", "bad", "copies", MORE_SEEDS)


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
                try:
                    infos.append(filesystem.info_of_entry(path))
                except UnreadableFileError:
                    infos.append(FileInfo(path, 0, "", 0.0))
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
    task: str,
    hparam_sets: Sequence[HParamSet],
    known_sets: Sequence[HParamSet],
    kinds: Sequence[str] = ("results",),
) -> list[str]:
    """Return names of the other sets that such result files are of as well."""
    names = {s.name for s in hparam_sets}
    seeds = _Seeds(task, hparam_sets)
    return sorted(
        s.name
        for s in known_sets
        if s.name not in names
        and any(
            (kinds != [MORE_SEEDS] and seeds.are_own(folder, seed))
            or (MORE_SEEDS in kinds and seeds.are_more(folder, seed))
            for folder, _ in s.save_dirs(task)
            for seed in s.seeds
        )
    )


class _Seeds:
    """The seeds of sets on a task, by folder."""

    def __init__(self, task: str, hparam_sets: Sequence[HParamSet]):
        self._of_folder: dict[str, list[range]] = defaultdict(list)
        for hparam_set in hparam_sets:
            for folder, _ in hparam_set.save_dirs(task):
                self._of_folder[folder].append(hparam_set.seeds)

    @property
    def folders(self) -> list[str]:
        """The folders of the sets' configurations."""
        return list(self._of_folder)

    def are_own(self, folder: str, seed: int | None) -> bool:
        """Return whether results of a seed are of the sets."""
        # Older files, which record no seed, are of the first ones.
        return any((seed or 0) in seeds for seeds in self._of_folder.get(folder, []))

    def are_more(self, folder: str, seed: int | None) -> bool:
        """Return whether a seed is beyond the last that the sets have in a folder."""
        ranges = self._of_folder.get(folder, [])
        return bool(ranges) and (seed or 0) >= max(seeds.stop for seeds in ranges)


def _results(
    task: str, hparam_sets: Sequence[HParamSet], kinds: Sequence[str]
) -> set[str]:
    seeds = _Seeds(task, hparam_sets)
    are_own, more = seeds.are_own, list[TrialEntry]()
    if hparam_sets:
        scanned = scan(seeds.folders)
        found = [(folder, entry) for folder in scanned for entry in scanned[folder]]
        entries = [e for folder, e in found if seeds.are_own(folder, e.seed)]
        more = [e for folder, e in found if seeds.are_more(folder, e.seed)]
    else:
        root = filesystem.join(get_root_baseline_dir(), task)
        entries = trial_entries(root)

        def are_own(folder: str, seed: int | None) -> bool:
            return folder.startswith(f"{root}/")

    paths: set[str] = set()
    # The next sweep would write the same results again from finished curves.
    if MORE_SEEDS in kinds:
        paths.update(entry.path for entry in more)
        paths.update(finished_files.only_of(seeds.are_more))
    if "results" in kinds:
        paths.update(entry.path for entry in entries)
        paths.update(finished_files.only_of(are_own))
    if "bad" in kinds:
        paths.update(entry.path for entry in entries if entry.status == "bad")
    if "copies" in kinds:
        groups = by_setting(entries).values()
        paths.update(entry.path for group in groups for entry in copies(group))
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
