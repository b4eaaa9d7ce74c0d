"""Gathers the trials of a set into one archive, or says which are missing."""

from __future__ import annotations

import math
import posixpath
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import gin

from learned_optimization import filesystem
from learned_optimization.baselines.layout import (
    get_baseline_archive_path,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results.files import quarantine
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.baselines.results.index import TrialEntry, bad_entry, remember
from learned_optimization.baselines.results.matching import check_setting, fill, scan
from learned_optimization.baselines.results.stacking import Paths, stack, write_stacked
from learned_optimization.baselines.sets.files import on_command_line
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.published import as_published
from learned_optimization.baselines.sets.registry import all_hparam_sets, get_hparam_set
from learned_optimization.baselines.sets.settings import make_optimizer
from learned_optimization.configurable import configurable, is_configurable
from learned_optimization.errors import DamagedFileError, LoptError, ResultError
from learned_optimization.tasks import registry

SetFunction = Callable[[str], tuple[Sequence[Any], Sequence[tuple[str, int]]]]
"""A task's name to configurations, which archiving does not look at, and to the
folders of their results and the number of repetitions in each; as `HParamSet`."""

_T = TypeVar("_T")

_configurable = configurable("learned_optimization.baselines.run_archive")


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
    save_dirs: Sequence[tuple[str, int]],
) -> tuple[list[list[TrialEntry]], list[MissingResults]]:
    """Find the results of a set on a task.

    Args:
      save_dirs: folder of the results of each configuration, and its repetitions.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing. A file that cannot be read is as good as missing.
    """
    entries_of = scan(folder for folder, _ in save_dirs)
    found, missing = [], []
    for save_dir, repetitions in save_dirs:
        entries = entries_of[save_dir]
        filled = fill(entries, range(repetitions), synthetic=True)
        found.append([filled[seed] for seed in sorted(filled)])
        lacking = tuple(seed for seed in range(repetitions) if seed not in filled)
        if lacking:
            unreadable = tuple(e.path for e in entries if e.status == "bad")
            missing.append(MissingResults(save_dir, lacking, unreadable))
    return found, missing


@_configurable
def maybe_get_hparam_set(
    task_name: str,
    hparam_set_name: str,
    hparam_set_fn: SetFunction | None = None,
    clear_bad_files: bool = False,
) -> Result | None:
    """Return the stacked results of a set on a task, or None if any is missing.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name: one of `lopt sets`, or a gin configurable.
      hparam_set_fn: the set itself, in gin `@Name`; looked up by its name if None.
      clear_bad_files: move damaged files to quarantine.

    Returns:
      Result key to array `[num_configs, num_seeds, ...]`.

    Raises:
      LoptError: if there is no set of that name.
      ResultError: if the results do not belong together.
    """
    hparam_set = hparam_set_fn or find_set(hparam_set_name)
    return _use_all(task_name, hparam_set, [], stack, clear_bad_files)


@_configurable
def maybe_archive_hparam_set(
    task_name: str, hparam_set_name: str, as_published: bool = False
) -> bool:
    """Archive a set on a task if it is complete; return whether it was.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name: one of `lopt sets`, or a gin configurable.
      as_published: with all the learning rates the set was published with.

    Raises:
      as `maybe_get_hparam_set`.
    """
    hparam_set = find_set(hparam_set_name, as_published)
    return _archive(task_name, hparam_set_name, hparam_set, []) is not None


def find_set(name: str, with_published_rate: bool = False) -> HParamSet | SetFunction:
    """Return the set of that name, or the gin configurable that stands for one.

    Args:
      name: the set's name.
      with_published_rate: as the set was published.

    Raises:
      LoptError: with the nearest names, if there is none.
    """
    if name not in all_hparam_sets() and is_configurable(name):
        if with_published_rate:
            raise LoptError(
                f"{name} is a function of your own: it alone says what its "
                "configurations are. Leave out as_published."
            )
        return gin.get_configurable(name)
    hparam_set = get_hparam_set(name)
    return as_published(hparam_set) if with_published_rate else hparam_set


def archive(task_name: str, hparam_set: HParamSet) -> str:
    """Archive a complete set on a task.

    Returns:
      The path written.

    Raises:
      ResultError: naming what is missing, or results of another setting;
        nothing is written then.
    """
    missing: list[MissingResults] = []
    path = _archive(task_name, hparam_set.name, hparam_set, missing)
    if path is None:
        total = hparam_set.num_trials
        text = describe_missing(task_name, hparam_set.name, missing, total)
        raise ResultError(text)
    return path


def _archive(
    task_name: str,
    set_name: str,
    hparam_set: HParamSet | SetFunction,
    missing: list[MissingResults],
) -> str | None:
    path = get_baseline_archive_path(task_name, set_name)

    def write(paths: Paths, names: dict[str, list[str]]) -> str:
        write_stacked(path, paths, names)
        return path

    return _use_all(task_name, hparam_set, missing, write)


def _use_all(
    task_name: str,
    hparam_set: HParamSet | SetFunction,
    missing: list[MissingResults],
    use: Callable[[Paths, dict[str, list[str]]], _T],
    clear_bad_files: bool = False,
) -> _T | None:
    """Return how a set's results are archived; None if any is missing."""
    save_dirs = save_dirs_of(hparam_set, task_name)
    if clear_bad_files:
        _clear_bad_files(save_dirs)
    # Files of others name the class of the task and of the optimizer there, which
    # tells no configurations apart.
    names = {
        "task_name": [task_name] * len(save_dirs),
        "opt_name": [
            posixpath.basename(posixpath.dirname(folder)) for folder, _ in save_dirs
        ],
    }
    # Until now no more than their beginnings may have been read: a file that turns
    # out to be damaged is missing, and another may stand in for it.
    while (found := _complete(hparam_set, save_dirs, missing)) is not None:
        try:
            return use([[entry.path for entry in row] for row in found], names)
        except DamagedFileError as error:
            if clear_bad_files:
                quarantine(error)
            else:
                info = filesystem.info(error.path)
                remember(info, bad_entry(info, error))
    return None


def save_dirs_of(
    hparam_set: HParamSet | SetFunction, task_name: str
) -> Sequence[tuple[str, int]]:
    """Return the folder of each configuration's results, and its repetitions."""
    if isinstance(hparam_set, HParamSet):
        return hparam_set.save_dirs(task_name)
    return hparam_set(task_name)[1]


def _clear_bad_files(save_dirs: Iterable[tuple[str, int]]) -> None:
    for entries in scan(folder for folder, _ in save_dirs).values():
        for entry in entries:
            if entry.status == "bad":
                try:
                    read_result(entry.path)
                except DamagedFileError as error:
                    quarantine(error)


def _complete(
    hparam_set: HParamSet | SetFunction,
    save_dirs: Sequence[tuple[str, int]],
    missing: list[MissingResults],
) -> list[list[TrialEntry]] | None:
    """Return the results of a set, or None if any is missing; notes which."""
    found, missing[:] = gather(save_dirs)
    if missing:
        return None
    if isinstance(hparam_set, HParamSet):
        for (folder, _), setting, row in zip(
            save_dirs, hparam_set.hparams, found, strict=True
        ):
            opt = make_optimizer(hparam_set.optimizer, setting)
            check_setting(folder, row, opt.name)
    if len({entry.synthetic for row in found for entry in row}) > 1:
        raise ResultError(
            "some results were trained on synthetic data (LOPT_SYNTHETIC_DATA=1) "
            "and some on real data: they do not belong in one archive. Delete one kind."
        )
    return found


def describe_missing(
    task_name: str, set_name: str, missing: Sequence[MissingResults], num_trials: int
) -> str:
    """Return one message: how many trials are missing, which, and what to do."""
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
        f"{count} of {num_trials} trials of {set_name} on {task_name} are missing; "
        f"run `lopt sweep {task_name} {on_command_line(set_name)}`.\n"
        + "\n".join(lines)
    )


@_configurable
def wait_until_ready_then_archive_task(
    task_name: str,
    hparam_set_name: str,
    poll_seconds: float = 60.0,
    timeout_seconds: float | None = None,
    as_published: bool = False,
) -> None:
    """Archive a set on a task as soon as all its results are there.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name: one of `lopt sets`, or a gin configurable.
      poll_seconds: seconds between two looks.
      timeout_seconds: give up after this long; never if None.
      as_published: with all the learning rates the set was published with.

    Raises:
      LoptError: if a name or number is wrong, or when the time is up, naming
        what is still missing.
    """
    hparam_set = find_set(hparam_set_name, as_published)
    # Results may be stored under a name of the user's own.
    has_results = filesystem.exists(filesystem.join(get_root_baseline_dir(), task_name))
    if not has_results and not is_configurable(task_name):
        registry.get(task_name)
    for name, seconds in (("poll", poll_seconds), ("timeout", timeout_seconds)):
        if seconds is not None and not (
            isinstance(seconds, (int, float)) and seconds > 0
        ):
            raise LoptError(f"{name}_seconds must be above 0, got {seconds!r}.")
    deadline = math.inf
    if timeout_seconds is not None:
        deadline = time.monotonic() + timeout_seconds
    missing: list[MissingResults] = []
    look = partial(_archive, task_name, hparam_set_name, hparam_set, missing)
    while look() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            total = sum(n for _, n in save_dirs_of(hparam_set, task_name))
            raise LoptError(
                f"gave up after {timeout_seconds:g} s: "
                + describe_missing(task_name, hparam_set_name, missing, total)
            )
        time.sleep(min(poll_seconds, left))
