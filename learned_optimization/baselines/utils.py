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
from learned_optimization.baselines.folder_names import (
    folder_of,
    folders_to_search,
    name_here,
    present_folder,
)
from learned_optimization.baselines.result_format import (
    Result,
    read_archive,
    read_result,
)
from learned_optimization.errors import DamagedFileError, LoptError, ResultError
from learned_optimization.npz import read_npz
from learned_optimization.npz import write_npz as _write_npz

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

CURVES = "curves"
"""Ending of result files, and the `output_type` of what is in them."""

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
    save_dir_suffix: str = "",
) -> str:
    """Return the folder of the result files of one configuration.

    Args:
      task_name: name of the task.
      opt_name: name of the optimizer's setting.
      num_steps: number of the last update.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      save_dir_suffix: what is appended to the root of the result files.
    """
    root = get_root_baseline_dir().rstrip("/") + save_dir_suffix
    settings = f"{num_steps}_{eval_every}_{eval_batches}_{last_eval_batches}"
    return filesystem.join(root, task_name, opt_name, settings)


def write_npz(path: str, data: Mapping[str, Any]) -> None:
    """Write arrays as a compressed npz, whole or not at all.

    Args:
      path: local path or URL.
      data: key to array, number or text.

    Raises:
      ResultError: if a value would need a pickle, or the file cannot be written.
    """
    _write_npz(path, data)


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
    opt_name: str | None = None,
    num_steps: int | None = None,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
) -> list[str]:
    """Delete the results of a task, or those of one configuration.

    Args:
      task_name: the task. Alone, all its results and archives are deleted.
      opt_name: name of the optimizer's setting.
      num_steps: number of the last update; needed with `opt_name`.
      eval_every: as `get_save_dir`, and so are those that follow.
      eval_batches: of an evaluation.
      last_eval_batches: of the last evaluation.

    Returns:
      The paths deleted.

    Raises:
      LoptError: if one of `opt_name` and `num_steps` is given without the other.
    """
    if (opt_name is None) != (num_steps is None):
        raise LoptError(
            "delete_saved_task_data deletes everything of a task, or the results of "
            "one configuration: give both opt_name and num_steps, or neither."
        )
    if opt_name is None or num_steps is None:
        results = filesystem.join(get_root_baseline_dir(), task_name)
        archives = filesystem.join(get_baseline_archive_rootdir(), task_name)
        paths = [file.path for file in filesystem.walk_files(results, f".{CURVES}")]
        paths += [file.path for file in filesystem.walk_files(archives, ".npz")]
    else:
        folder = get_save_dir(
            task_name, opt_name, num_steps, eval_every, eval_batches, last_eval_batches
        )
        paths = filesystem.list_files(folder, f".{CURVES}")
    for path in sorted(paths):
        filesystem.remove_file(path)
    return sorted(paths)


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


def write_baseline_result(
    data: Mapping[str, Any],
    task_name: str | None = None,
    opt_name: str | None = None,
    num_steps: int | None = None,
    eval_every: int | None = None,
    eval_batches: int | None = None,
    last_eval_batches: int | None = None,
    output_type: str = CURVES,
    save_dir_suffix: str = "",
) -> str:
    """Write the result of one trial.

    Args:
      data: result key to array, number or text. What of the following is None is
        what `data` holds under the same key.
      task_name: as `get_save_dir`, which the first six decide together.
      opt_name: name of the optimizer's setting.
      num_steps: number of the last update.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      output_type: ending of the file: what kind of content it has.
      save_dir_suffix: what is appended to the root of the result files.

    Returns:
      The path written.

    Raises:
      ResultError: if `data` says neither, or cannot be written.
    """

    def known(key: str, given: Any) -> Any:
        if given is None and key not in data:
            raise ResultError(
                f"where does this result go? It has no key {key!r}, and "
                f"write_baseline_result was given no {key}."
            )
        return data[key] if given is None else given

    folder = get_save_dir(
        str(known("task_name", task_name)),
        str(known("opt_name", opt_name)),
        int(known("num_steps", num_steps)),
        int(known("eval_every", eval_every)),
        int(known("eval_batches", eval_batches)),
        int(known("last_eval_batches", last_eval_batches)),
        save_dir_suffix,
    )
    now = datetime.now().strftime("%Y%m%d_%H%M%S")
    path = filesystem.join(folder, f"{now}_{str(uuid.uuid4())[:10]}.{output_type}")
    write_npz(path, data)
    return path


def load_baseline_results_from_dir(
    save_dir: str,
    output_type: str = CURVES,
    threads: int = 0,
    clear_bad_files: bool = False,
) -> list[Result]:
    """Load every result file of one folder.

    Args:
      save_dir: the folder, as of `get_save_dir`.
      output_type: the files' ending. Those of another than `curves` may hold
        anything.
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
            return read_result(path) if output_type == CURVES else read_npz(path)
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
    output_type: str = CURVES,
    threads: int = 0,
    clear_bad_files: bool = False,
) -> list[Result]:
    """Load every result file of one configuration, under its old names too.

    Arguments are those of `get_save_dir` and `load_baseline_results_from_dir`; see
    `folder_names` for what is read beside the configuration's folder.
    """
    folder = get_save_dir(
        task_name, opt_name, num_steps, eval_every, eval_batches, last_eval_batches
    )
    wanted = present_folder(folder)
    found = []
    for searched in folders_to_search(folder):
        results = load_baseline_results_from_dir(
            searched, output_type, threads=threads, clear_bad_files=clear_bad_files
        )
        if searched == folder:
            found += results
        else:
            found += [r for r in results if _folder_of(searched, r) == wanted]
    return found


def _folder_of(folder: str, result: Result) -> str:
    path, moved_to = f"{folder}/", ""
    if "opt_config" not in result:
        moved_to = name_here(path, str(result.get("gin_operative_config", "")))
    return folder_of(path, moved_to)
