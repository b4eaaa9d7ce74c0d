"""Curves of a grid that is trained, and whose results are not all written yet.

They are written as one file before the first result file, so that nothing ends a
sweep in a way that trains them again: a restart only writes.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import check_folder_name
from learned_optimization.baselines.layout import results_dir
from learned_optimization.baselines.results.claims import Claims
from learned_optimization.baselines.results.files import (
    quarantine,
    write_baseline_result,
)
from learned_optimization.baselines.results.finished_files import folders
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    check_arrays,
)
from learned_optimization.baselines.results.matching import fill, scan
from learned_optimization.baselines.results.tidying import tidying
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import (
    DamagedFileError,
    FileContentError,
    LoptError,
    NewerSchemaError,
    NotAFileError,
    ResultError,
)
from learned_optimization.eval_training import RunPlan
from learned_optimization.npz import read_npz, write_npz

# What says which trial a record is of, and whether it counts.
_NEEDED = ("task_name", "opt_name", "opt_config", "seed", "synthetic_data")
_NEEDED += ("schema_version", *RunPlan(1).as_keys())

Place = tuple[str, int]
"""A trial: folder of its result, and seed."""


class UnusableFinishedWarning(UserWarning):
    """A file of finished curves cannot be used: its trials are trained again."""


def write_found(trials: Mapping[str, Sequence[Trial]], claims: Claims) -> None:
    """Write the results of trials that were trained by a sweep that ended too early.

    A damaged file is as good as none, which is said; one whose grid is claimed, say by
    the sweep that writes its results just now, is left to the owner.

    Args:
      trials: trials that are wanted, by folder; a file that has one of their settings
        is written whole, and removed.
      claims: claims the trials of each file.

    Raises:
      FileContentError: if a whole file must not be read. Nothing is trained again
        for it before its reader has decided.
      ResultError: if results cannot be read or written.
    """
    for folder in folders():
        for path in filesystem.list_files(folder, ".npz"):
            results = _read(path)
            if not any(_is_wanted(result, trials) for result in results):
                continue
            claim = claims.take(map(_place, results))
            if claim is not None:
                with claim:
                    # Its owner may have removed it meanwhile.
                    if filesystem.exists(path):
                        settle(path, results, trials)


def _is_wanted(result: Result, trials: Mapping[str, Sequence[Trial]]) -> bool:
    setting = str(result["opt_config"]), bool(result["synthetic_data"])
    group = trials.get(_place(result)[0], ())
    return any((t.opt.name, t.is_synthetic) == setting for t in group)


def save(name: str, results: Sequence[Result]) -> str:
    """Write the curves of a grid as one file, before anything can end the sweep.

    Args:
      name: name of the grid.
      results: what the result file of each trial holds.

    Returns:
      The path of the file.

    Raises:
      ResultError: if it can be written nowhere.
    """
    arrays = {key: np.stack([r[key] for r in results]) for key in results[0]}
    problem: ResultError | None = None
    for folder in folders():
        path = filesystem.join(folder, f"{name}.npz")
        try:
            write_npz(path, arrays, compress=False)
        except ResultError as error:
            problem = problem or error
        else:
            return path
    assert problem is not None
    raise ResultError(
        f"{problem} So {len(results)} trials that were trained are not kept; what "
        "goes on from their last checkpoint is the same sweep, once there is room."
    ) from problem


def settle(
    path: str, results: Sequence[Result], trials: Mapping[str, Sequence[Trial]]
) -> list[Place]:
    """Write those results that are not there yet, and then remove the file.

    Args:
      path: the file, as of `save`.
      results: what it holds.
      trials: those that are wanted beside its own, by folder; see `_without_result`.

    Returns:
      The trials whose results were written; the others had results.

    Raises:
      ResultError: naming what cannot be written, and where the curves are kept.
    """
    missing = _without_result(results, trials)
    for result in missing:
        try:
            write_baseline_result(result)
        except ResultError as error:
            raise ResultError(
                f"{error} The curves of {len(results)} trained trials are kept in "
                f"{path}: the same sweep writes what is missing, and trains none again."
            ) from error
    with tidying():
        filesystem.remove_file(path)
    return [_place(result) for result in missing]


def _without_result(
    results: Sequence[Result], trials: Mapping[str, Sequence[Trial]]
) -> list[Result]:
    """Return the results of trials that have none.

    Files of the published system record no seed and stand in for any: which trials
    they leave without a result depends on what else is wanted of their folder.
    """
    by_folder: dict[str, list[Result]] = defaultdict(list)
    seeds: dict[str, set[int]] = defaultdict(set)
    for result in results:
        folder, seed = _place(result)
        by_folder[folder].append(result)
        seeds[folder].add(seed)
    for folder, own in seeds.items():
        own.update(trial.seed for trial in trials.get(folder, ()))
    missing = []
    for folder, entries in scan(by_folder).items():
        group = by_folder[folder]
        synthetic = bool(group[0]["synthetic_data"])
        filled = fill(entries, sorted(seeds[folder]), synthetic)
        missing += [result for result in group if _place(result)[1] not in filled]
    return missing


def _read(path: str) -> list[Result]:
    """Return the results that a file holds; none if it is damaged."""
    try:
        arrays = read_npz(path)
        _check(path, arrays)
    except (DamagedFileError, NotAFileError) as error:
        # Where it stayed, each look would find it again.
        moved = quarantine(DamagedFileError(path, error.problem, key=error.key))
        warnings.warn(
            "finished curves cannot be used, and are trained again: "
            f"{path}: {error.problem} (it is moved to {moved})",
            UnusableFinishedWarning,
            stacklevel=2,
        )
        return []
    except FileContentError:
        # They are whole: whoever runs this can have them read.
        raise
    except ResultError:
        if filesystem.exists(path):
            raise
        # Its owner has written the results meanwhile.
        return []
    return [
        {key: _one(values[i]) for key, values in arrays.items()}
        for i in range(len(arrays["seed"]))
    ]


def _check(path: str, arrays: Result) -> None:
    versions = arrays.get("schema_version", np.zeros(1, int))
    newest = int(versions.max(initial=0)) if versions.dtype.kind in "iu" else 0
    if newest > SCHEMA_VERSION:
        # It may hold other keys, and is whole all the same.
        raise NewerSchemaError(path, f"it has schema version {newest}")
    for key in _NEEDED:
        if key not in arrays or arrays[key].ndim != 1:
            raise DamagedFileError(path, "it holds no finished trials", key=key)
    check_arrays(path, arrays, num_axes=1)
    for i in range(len(arrays["seed"])):
        try:
            _plan({key: values[i] for key, values in arrays.items()})
            for key in ("task_name", "opt_name"):
                check_folder_name(key, str(arrays[key][i]))
        except LoptError as error:
            # What it names would be written elsewhere, or nowhere.
            raise DamagedFileError(path, str(error).rstrip(".")) from error


def _one(value: np.ndarray) -> np.ndarray:
    # Texts were stacked to the length of the longest.
    return np.asarray(str(value) if np.asarray(value).dtype.kind == "U" else value)


def _place(result: Result) -> Place:
    names = str(result["task_name"]), str(result["opt_name"])
    return results_dir(*names, _plan(result)), int(result["seed"])


def _plan(result: Result) -> RunPlan:
    return RunPlan(**{key: int(result[key]) for key in RunPlan(1).as_keys()})
