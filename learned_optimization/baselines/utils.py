"""Result files and archives: where they are, how they are written and read.

A trial is one `.curves` file, a compressed npz without pickles:
`<root>/<task>/<opt_name>/<num_steps>_<eval_every>_<eval_batches>_<last>/`
`<YYYYmmdd_HHMMSS>_<10 characters>.curves`. An archive
`<root>/<task>/<set>.npz` holds the same keys with leading axes
`[num_configs, num_seeds]`.
"""

from __future__ import annotations

import json
import os
import posixpath
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.result_format import (
    Result,
    read_archive,
    read_result,
)
from learned_optimization.errors import DamagedFileError, ResultError
from learned_optimization.npz import read_npz, write_npz

__all__ = [
    "Result",
    "delete_archive",
    "delete_saved_task_data",
    "find_archive",
    "get_baseline_archive_path",
    "get_baseline_archive_rootdir",
    "get_root_baseline_dir",
    "get_save_dir",
    "list_hparam_sets_for_task",
    "load_archive",
    "load_baseline_results",
    "load_baseline_results_from_dir",
    "quarantine",
    "read_npz",
    "write_archive",
    "write_baseline_result",
    "write_npz",
]

QUARANTINE = ".quarantine"
"""Folder of damaged files, in the folder they were in."""


def get_root_baseline_dir() -> str:
    """Root of the result files: `LOPT_BASELINE_DIR` or `~/lopt_baselines`."""
    return _directory("LOPT_BASELINE_DIR", "~/lopt_baselines")


def get_baseline_archive_rootdir() -> str:
    """Root of the archives: `LOPT_BASELINE_ARCHIVES_DIR` or its default.

    The default is `~/lopt_baselines_archives`.
    """
    return _directory("LOPT_BASELINE_ARCHIVES_DIR", "~/lopt_baselines_archives")


def _directory(variable: str, default: str) -> str:
    return os.path.expanduser(os.environ.get(variable) or default)


def get_baseline_archive_path(task_name: str, hparam_set_name: str) -> str:
    """Path of the archive of one task and set."""
    return filesystem.join(
        get_baseline_archive_rootdir(), task_name, f"{hparam_set_name}.npz"
    )


def get_save_dir(
    task_name: str,
    opt_name: str,
    num_steps: int,
    eval_every: int,
    eval_batches: int,
    last_eval_batches: int,
) -> str:
    """Folder of the result files of one configuration."""
    settings = f"{num_steps}_{eval_every}_{eval_batches}_{last_eval_batches}"
    return filesystem.join(get_root_baseline_dir(), task_name, opt_name, settings)


def write_archive(
    task_name: str, hparam_set_name: str, arrays: Mapping[str, Any]
) -> str:
    """Writes the archive of one task and set.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.
      arrays: result key to array `[num_configs, num_seeds, ...]`.

    Returns:
      The path written.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    write_npz(path, arrays)
    return path


def load_archive(
    task_name: str, hparam_set_name: str, keys: Sequence[str] | None = None
) -> Result:
    """Loads the archive of one task and set.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.
      keys: the keys wanted; all of them if None.

    Returns:
      Result key to array; curves are `[num_configs, num_seeds, num_evals]` (or
      `num_steps + 1` for `train/*`), and so are `train/xs` and `eval/xs`.

    Raises:
      ResultError: if there is no such archive, naming those there are.
    """
    return read_archive(find_archive(task_name, hparam_set_name), keys)


def find_archive(task_name: str, hparam_set_name: str) -> str:
    """Path of the archive of one task and set, which is there.

    Raises:
      ResultError: if there is no such archive, naming those there are.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    if not filesystem.exists(path):
        have = list_hparam_sets_for_task(task_name)
        raise ResultError(
            f"no archive of {hparam_set_name} on {task_name} at {path}; archived "
            f"for this task: {', '.join(have) or 'nothing'}. "
            f"Make it with `lopt sweep {task_name} {hparam_set_name}`."
        )
    return path


def list_hparam_sets_for_task(task_name: str) -> list[str]:
    """Names of the sets archived for a task, sorted."""
    folder = filesystem.join(get_baseline_archive_rootdir(), task_name)
    paths = filesystem.list_files(folder, ".npz")
    return [path.rsplit("/", 1)[-1].removesuffix(".npz") for path in paths]


def delete_saved_task_data(
    task_name: str,
    opt_name: str,
    num_steps: int,
    eval_every: int,
    eval_batches: int,
    last_eval_batches: int,
) -> list[str]:
    """Deletes the result files of one configuration.

    Returns:
      The paths deleted.
    """
    folder = get_save_dir(
        task_name, opt_name, num_steps, eval_every, eval_batches, last_eval_batches
    )
    paths = filesystem.list_files(folder, ".curves")
    for path in paths:
        filesystem.remove_file(path)
    return paths


def delete_archive(task_name: str, hparam_set_name: str) -> str:
    """Deletes one archive and returns its path.

    Raises:
      ResultError: if there is none.
    """
    path = get_baseline_archive_path(task_name, hparam_set_name)
    if not filesystem.exists(path):
        raise ResultError(f"no archive of {hparam_set_name} on {task_name} at {path}.")
    filesystem.remove_file(path)
    return path


def write_baseline_result(result: Mapping[str, Any]) -> str:
    """Writes the result of one trial where its own settings say.

    Args:
      result: result key to array; `task_name`, `opt_name`, `num_steps`,
        `eval_every`, `eval_batches` and `last_eval_batches` decide the folder.

    Returns:
      The path written.
    """
    folder = get_save_dir(
        str(result["task_name"]),
        str(result["opt_name"]),
        *(
            int(result[key])
            for key in ("num_steps", "eval_every", "eval_batches", "last_eval_batches")
        ),
    )
    now = datetime.now().strftime("%Y%m%d_%H%M%S")
    path = filesystem.join(folder, f"{now}_{str(uuid.uuid4())[:10]}.curves")
    write_npz(path, result)
    return path


def load_baseline_results_from_dir(
    save_dir: str,
    output_type: str = "curves",
    threads: int = 0,
    clear_bad_files: bool = False,
) -> list[Result]:
    """Loads every result file of one folder.

    Args:
      save_dir: the folder, as of `get_save_dir`.
      output_type: the files' ending.
      threads: files read at once; 0 reads one after the other.
      clear_bad_files: move damaged files to `.quarantine` in that folder, each
        with a note of what is wrong with it, and return the others.

    Returns:
      One result a file, in the order of their names.

    Raises:
      ResultError: naming every file that cannot be read and why, unless they are
        damaged and to be cleared. A file of a newer schema is not damaged.
    """
    paths = filesystem.list_files(save_dir, f".{output_type}")

    def read(path: str) -> Result | ResultError:
        try:
            return read_result(path)
        except ResultError as error:
            return error

    if threads > 0:
        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(read, paths))
    else:
        outcomes = [read(path) for path in paths]

    errors = [outcome for outcome in outcomes if isinstance(outcome, ResultError)]
    damaged = [error for error in errors if isinstance(error, DamagedFileError)]
    if errors and not (clear_bad_files and len(damaged) == len(errors)):
        lines = "\n".join(f"  {error}" for error in errors)
        raise ResultError(
            f"{len(errors)} of {len(paths)} result files in {save_dir} cannot be "
            "read; clear_bad_files=True moves damaged ones to quarantine and returns "
            f"the others.\n{lines}"
        )
    for error in damaged:
        quarantine(error)
    return [outcome for outcome in outcomes if not isinstance(outcome, ResultError)]


def quarantine(error: DamagedFileError) -> str:
    """Moves a damaged file out of the way, and notes why.

    Args:
      error: what reading it raised.

    Returns:
      Where the file is now: `.quarantine` in its folder. Beside it, with `.json`
      appended to its name, is the note.
    """
    folder, name = posixpath.split(error.path)
    target = filesystem.join(folder, QUARANTINE, name)
    note = {
        "path": error.path,
        "key": error.key,
        "problem": error.problem,
        "kind": type(error).__name__,
        "moved_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(note, indent=2).encode()
    filesystem.write_whole(f"{target}.json", lambda file: file.write(text))
    # Another process may have moved it already.
    if filesystem.exists(error.path):
        filesystem.move_file(error.path, target)
    return target


def load_baseline_results(
    task_name: str,
    opt_name: str,
    num_steps: int,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
    output_type: str = "curves",
    threads: int = 0,
    clear_bad_files: bool = False,
) -> list[Result]:
    """Loads every result file of one configuration.

    Arguments are those of `get_save_dir` and `load_baseline_results_from_dir`.
    """
    folder = get_save_dir(
        task_name, opt_name, num_steps, eval_every, eval_batches, last_eval_batches
    )
    return load_baseline_results_from_dir(
        folder, output_type, threads=threads, clear_bad_files=clear_bad_files
    )
