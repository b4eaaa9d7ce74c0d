"""Archives the trials of a set, at once or as soon as all of them are there."""

from __future__ import annotations

import math
import posixpath
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import gin

from learned_optimization import filesystem
from learned_optimization.baselines.layout import (
    get_baseline_archive_path,
    get_root_baseline_dir,
)
from learned_optimization.baselines.results.files import quarantine
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.baselines.results.index import bad_entry, remember
from learned_optimization.baselines.results.matching import (
    MissingResults,
    SetFunction,
    check_together,
    describe_missing,
    gather,
    save_dirs_of,
    scan,
)
from learned_optimization.baselines.results.stacking import Paths, stack, write_stacked
from learned_optimization.baselines.sets.files import source_of
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.published import as_published
from learned_optimization.baselines.sets.registry import all_hparam_sets, get_hparam_set
from learned_optimization.configurable import configurable, is_configurable
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    LoptError,
    MissingFileError,
    MissingTrialsError,
)
from learned_optimization.tasks import registry

_T = TypeVar("_T")

_configurable = configurable("learned_optimization.baselines.run_archive")


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
      hparam_set_fn: the set itself, `@Name` in gin; if None, the set of that name.
      clear_bad_files: move damaged files to quarantine.

    Returns:
      Result key to array `[num_configs, num_seeds, ...]`.

    Raises:
      LoptError: if there is no set of that name.
      ResultError: if the results do not belong together.
    """
    hparam_set = hparam_set_fn or find_set(hparam_set_name)
    result = _use_all(task_name, hparam_set, stack, clear_bad_files)
    return None if isinstance(result, list) else result


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
      LoptError: if there is no set of that name.
      ResultError: if the results do not belong together.
    """
    hparam_set = find_set(hparam_set_name, as_published)
    return isinstance(_archive(task_name, hparam_set_name, hparam_set), str)


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
    path = _archive(task_name, hparam_set.name, hparam_set)
    if isinstance(path, str):
        return path
    total = hparam_set.num_trials
    message = describe_missing(task_name, hparam_set.name, path, total)
    source = source_of(hparam_set.name)
    raise MissingTrialsError(task_name, hparam_set.name, message, source)


def _archive(
    task_name: str, set_name: str, hparam_set: HParamSet | SetFunction
) -> str | list[MissingResults]:
    """Archive a set if it is complete; return the path, or what is missing."""
    path = get_baseline_archive_path(task_name, set_name)

    def write(paths: Paths, names: dict[str, list[str]]) -> str:
        write_stacked(path, paths, names)
        return path

    return _use_all(task_name, hparam_set, write)


def _use_all(
    task_name: str,
    hparam_set: HParamSet | SetFunction,
    use: Callable[[Paths, dict[str, list[str]]], _T],
    clear_bad_files: bool = False,
) -> _T | list[MissingResults]:
    """Call `use` with the files and names of a set; return what is missing if any is.

    Args:
      task_name: the task's name.
      hparam_set: the set.
      use: makes an archive of paths `[configs][seeds]` and of keys to texts per
        configuration, as `stack`.
      clear_bad_files: move damaged files to quarantine.

    Raises:
      ResultError: if the results do not belong together.
    """
    save_dirs = save_dirs_of(hparam_set, task_name)
    first_seed = hparam_set.first_seed if isinstance(hparam_set, HParamSet) else 0
    if clear_bad_files:
        _clear_bad_files(save_dirs)
    # Files of the published system hold the class of the task and of the optimizer
    # under these keys, which does not tell configurations apart.
    names = {
        "task_name": [task_name] * len(save_dirs),
        "opt_name": [
            posixpath.basename(posixpath.dirname(folder)) for folder, _ in save_dirs
        ],
    }
    # A file may be found to be damaged only when all of it is read: then it counts as
    # missing, and another file of that trial may take its place.
    gone: set[str] = set()
    while True:
        rows, missing = gather(save_dirs, first_seed)
        if missing:
            return missing
        check_together(hparam_set, save_dirs, rows)
        try:
            return use([[entry.path for entry in row] for row in rows], names)
        except MissingFileError:
            # One was deleted since it was listed. A store that lists for ever what it
            # does not have must not be asked for ever.
            paths = {entry.path for row in rows for entry in row}
            if paths == gone:
                raise
            gone = paths
        except DamagedFileError as error:
            if clear_bad_files:
                quarantine(error)
            else:
                with suppress(MissingFileError):
                    info = filesystem.info(error.path)
                    remember(info, bad_entry(info, error))


def _clear_bad_files(save_dirs: Iterable[tuple[str, int]]) -> None:
    for entries in scan(folder for folder, _ in save_dirs).values():
        for entry in entries:
            if entry.status == "bad":
                try:
                    read_result(entry.path)
                except MissingFileError:
                    continue
                except DamagedFileError as error:
                    quarantine(error)
                except FileContentError:
                    # Of a newer version, too large, or no file at all: it stays.
                    continue


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
      poll_seconds: seconds between two checks.
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
    look = partial(_archive, task_name, hparam_set_name, hparam_set)
    while isinstance(missing := look(), list):
        left = deadline - time.monotonic()
        if left <= 0:
            total = sum(n for _, n in save_dirs_of(hparam_set, task_name))
            message = describe_missing(task_name, hparam_set_name, missing, total)
            raise MissingTrialsError(
                task_name,
                hparam_set_name,
                f"gave up after {timeout_seconds:g} s: {message}",
                source_of(hparam_set_name),
            )
        time.sleep(min(poll_seconds, left))
