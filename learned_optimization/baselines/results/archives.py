"""Archives: one file per task and set, with all its trials.

Where there is none of one's own, that of a release stands in (`release.places`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.layout import (
    check_roots,
    get_baseline_archive_path,
    get_baseline_archive_rootdir,
)
from learned_optimization.baselines.release import places
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.errors import MissingArchiveError
from learned_optimization.npz import write_npz


def write_archive(task_name: str, hparam_set_name: str, data: Mapping[str, Any]) -> str:
    """Write the archive of one task and set.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.
      data: result key to array `[num_configs, num_seeds, ...]`.

    Returns:
      The path written.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    write_npz(path, data)
    return path


def load_archive(
    task_name: str, hparam_set_name: str, keys: Sequence[str] | None = None
) -> Result:
    """Load the archive of one task and set.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.
      keys: the keys wanted; all of them if None.

    Returns:
      Result key to array; curves are `[num_configs, num_seeds, num_evals]` (or
      `num_steps + 1` for `train/*`), and so are `train/xs` and `eval/xs`. That of a
      release may be thin, which its keys `thin/*` say: with fewer evaluations, rounded.

    Raises:
      MissingArchiveError: if there is no such archive, naming those there are.
    """
    return read_archive(find_archive(task_name, hparam_set_name), keys)


def find_archive(task_name: str, hparam_set_name: str) -> str:
    """Return the path of the archive of one task and set, which is there.

    It is one's own, or else that of a release.

    Raises:
      MissingArchiveError: if there is no such archive, naming those there are.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    if is_own_archive(task_name, hparam_set_name):
        return path
    released = places.find(task_name, hparam_set_name)
    if released is not None:
        return places.readable(released)
    archived = list_hparam_sets_for_task(task_name)
    raise MissingArchiveError(task_name, hparam_set_name, path, archived)


def is_own_archive(task_name: str, hparam_set_name: str) -> bool:
    """Return whether there is an archive of one's own, which comes before a release's.

    Raises:
      ResultError: if the archives cannot be reached.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    return not places.is_alone() and filesystem.exists(path)


def own_archived_tasks() -> list[str]:
    """Return names of the tasks that have archives of one's own, sorted.

    Raises:
      ResultError: if the archives cannot be reached.
    """
    files = filesystem.walk_files(get_baseline_archive_rootdir(), ".npz")
    return sorted({f.path.split("/")[-2] for f in files})


def list_archived_tasks() -> list[str]:
    """Return names of the tasks that have archives, sorted; releases' are among them.

    Raises:
      ResultError: if the archives cannot be reached.
    """
    return sorted({*own_archived_tasks(), *places.tasks()})


def list_hparam_sets_for_task(task_name: str) -> list[str]:
    """Return names of the sets archived for a task, sorted; releases' are among them.

    Raises:
      ResultError: if the archives cannot be reached.
    """
    check_roots()
    folder = filesystem.join(get_baseline_archive_rootdir(), task_name)
    paths = filesystem.list_files(folder, ".npz")
    own = {path.rsplit("/", 1)[-1].removesuffix(".npz") for path in paths}
    return sorted(own | places.sets_of(task_name))


def delete_archive(task_name: str, hparam_set_name: str) -> str:
    """Delete one archive and return its path.

    Raises:
      ResultError: if there is none.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    if not filesystem.exists(path):
        raise MissingArchiveError(task_name, hparam_set_name, path)
    filesystem.remove_file(path)
    return path
