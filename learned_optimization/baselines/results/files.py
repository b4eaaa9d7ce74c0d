"""Result files: one per trial, written whole, read one folder at a time."""

from __future__ import annotations

import json
import os
import posixpath
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import (
    folder_of,
    folders_to_search,
    name_here,
    present_folder,
)
from learned_optimization.baselines.layout import (
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
    results_dir,
)
from learned_optimization.baselines.results import finished_files
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    MissingFileError,
    ResultError,
)
from learned_optimization.npz import read_npz, write_npz
from learned_optimization.training.plan import RunPlan

CURVES = "curves"
"""File extension of result files, and their `output_type`."""

QUARANTINE = ".quarantine"
"""Folder of damaged files, in the folder they were in."""


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
      data: result key to array, number or text. An argument below that is None is
        taken from the key of the same name.
      task_name: name of the task; this and the next five decide the folder, as in
        `get_save_dir`.
      opt_name: name of the optimizer's setting.
      num_steps: number of the last update.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      output_type: file extension: what kind of content it has.
      save_dir_suffix: what is appended to the root of the result files.

    Returns:
      The path written.

    Raises:
      ResultError: if one of them is neither given nor in `data`, or the file cannot
        be written.
      LoptError: if a number of the plan is below 1.
    """

    def known(key: str, given: Any) -> Any:
        if given is None and key not in data:
            raise ResultError(
                f"where does this result go? It has no key {key!r}, and "
                f"write_baseline_result was given no {key}."
            )
        return data[key] if given is None else given

    plan = RunPlan(
        num_steps=int(known("num_steps", num_steps)),
        eval_every=int(known("eval_every", eval_every)),
        eval_batches=int(known("eval_batches", eval_batches)),
        last_eval_batches=int(known("last_eval_batches", last_eval_batches)),
    )
    task_name = str(known("task_name", task_name))
    opt_name = str(known("opt_name", opt_name))
    folder = results_dir(task_name, opt_name, plan, save_dir_suffix)
    path = filesystem.join(folder, file_name(str(uuid.uuid4()), output_type))
    write_npz(path, data)
    return path


def file_name(identity: str, output_type: str = CURVES) -> str:
    """Return what a result file that is written now is called.

    Args:
      identity: what tells it from others of the same second, by its first ten
        characters.
      output_type: file extension.
    """
    now = datetime.now().strftime("%Y%m%d_%H%M%S")
    return f"{now}_{identity[:10]}.{output_type}"


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
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    folder = results_dir(task_name, opt_name, plan)
    wanted = present_folder(folder)
    loaded = []
    for searched in folders_to_search(folder):
        results = load_baseline_results_from_dir(
            searched, output_type, threads=threads, clear_bad_files=clear_bad_files
        )
        if searched == folder:
            loaded += results
        else:
            loaded += [r for r in results if _folder_of(searched, r) == wanted]
    return loaded


def load_baseline_results_from_dir(
    save_dir: str,
    output_type: str = CURVES,
    threads: int = 0,
    clear_bad_files: bool = False,
) -> list[Result]:
    """Load every result file of one folder.

    Args:
      save_dir: the folder, as of `get_save_dir`.
      output_type: the files' extension. Files with one other than `curves` may hold
        anything.
      threads: files read at once; 0 reads one after the other.
      clear_bad_files: move damaged files to `.quarantine` in that folder, each
        with a note of what is wrong with it, and return the others.

    Returns:
      One result per file, in the order of their names.

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

    # What went since it was listed is gone.
    outcomes = [o for o in outcomes if not isinstance(o, MissingFileError)]
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
    """Move a damaged file out of the way, and note why.

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
    # A name may be as long as names can be.
    start = os.fsdecode(os.fsencode(name)[: filesystem.MAX_NAME_BYTES - len(".json")])
    beside = filesystem.join(folder, QUARANTINE, f"{start}.json")
    filesystem.write_bytes(beside, text)
    # Another process may have moved it already.
    with suppress(MissingFileError):
        filesystem.move_file(error.path, target)
    return target


def delete_saved_task_data(
    task_name: str,
    opt_name: str | None = None,
    num_steps: int | None = None,
    eval_every: int = 10,
    eval_batches: int = 5,
    last_eval_batches: int = 10,
) -> list[str]:
    """Delete the results of a task, or those of one configuration.

    Finished curves go too whose results are not written yet, where the other trials of
    their file, if any, have results.
    Nothing behind a link to a folder is deleted.

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
        paths = _below(results, get_root_baseline_dir(), f".{CURVES}")
        paths += _below(archives, get_baseline_archive_rootdir(), ".npz")
        paths += finished_files.only_of(lambda of, seed: of.startswith(f"{results}/"))
    else:
        plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
        folder = results_dir(task_name, opt_name, plan)
        paths = _below(folder, get_root_baseline_dir(), f".{CURVES}")
        paths += finished_files.only_of(lambda of, seed: of == folder)
    for path in sorted(paths):
        filesystem.remove_file(path)
    return sorted(paths)


def _below(folder: str, root: str, suffix: str) -> list[str]:
    """Return files below a folder of a root that no link to a folder leads to."""
    files = filesystem.walk_files(folder, suffix, links=False)
    return [f.path for f in files if not filesystem.is_behind_link(f.path, root)]


def _folder_of(folder: str, result: Result) -> str:
    path, moved_to = f"{folder}/", ""
    if "opt_config" not in result:
        moved_to = name_here(path, str(result.get("gin_operative_config", "")))
    return folder_of(path, moved_to)
