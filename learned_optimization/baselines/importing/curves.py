"""Makes the result files and the archive of a set that was trained elsewhere.

The archive holds what archives need to be compared: the losses of three splits at the
same steps for every configuration and seed. Where it comes from is recorded, and shown
where results of several machines are.
"""

from __future__ import annotations

import hashlib
import math
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import (
    check_folder_name,
    is_plain_name,
    value_text,
)
from learned_optimization.baselines.importing.result_files import (
    delete_result_files,
    write_result_files,
)
from learned_optimization.baselines.importing.rows import (
    RunNames,
    Trial,
    Value,
    values_of,
)
from learned_optimization.baselines.importing.tables import read_table
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.results.archives import write_archive
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    Result,
    endings,
    read_archive,
)
from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.errors import LoptError, ResultError
from learned_optimization.text import brief

NEEDED = ("outer_valid", "test")
"""Splits without which nothing is compared: one to choose by, one to report."""

_SHORT = {"learning_rate": "lr"}


def import_curves(
    paths: str | Sequence[str],
    task_name: str,
    set_name: str,
    *,
    optimizer: str | None = None,
    run_name: str | None = None,
    overwrite: bool = False,
) -> str:
    """Make result files and an archive of curves that were trained elsewhere.

    The files hold tables as `importing.rows` reads them, together all of one set on one
    task: each configuration with the same seeds, evaluated at the same steps on
    `outer_valid` (also called `val`) and `test`, and on `train` if that was measured.

    Args:
      paths: CSV or parquet files.
      task_name: the task, as it is called here; it need not be defined here.
      set_name: name of the set; none of those defined here.
      optimizer: what results are called before their hyper-parameters; the set's name
        if None.
      run_name: how the names of runs, if there are any, say their hyper-parameters,
        e.g. `adamw-lr{learning_rate}-s{seed}`.
      overwrite: whether an archive of that name is replaced, with its result files.

    Returns:
      The path of the archive.

    Raises:
      LoptError: naming the file and what is missing, or not as it must be; nothing is
        written then.
      ResultError: if a file cannot be read, or the archive not be written.
    """
    paths = [paths] if isinstance(paths, str) else list(paths)
    check_folder_name("task", task_name)
    _check_set_name(set_name)
    path = get_baseline_archive_path(task_name, set_name)
    if not overwrite and filesystem.exists(path):
        raise LoptError(
            f"there is an archive of {set_name} on {task_name} already, {path}: give "
            "the set another name, or replace it by overwrite=True."
        )
    names, values, sources = RunNames(run_name), list[Value](), list[str]()
    for file in paths:
        table, content = read_table(file)
        values += values_of(file, table, names)
        digest = hashlib.sha256(content).hexdigest()[:16]
        sources.append(f"imported: {posixpath.basename(file)} (sha256 {digest})")
    arrays = archive_of(values, optimizer or set_name, "\n".join(sources))
    _check_folders([str(name) for name in arrays["opt_name"][:, 0]])
    replaced = _which_trials(path)
    if replaced is not None:
        _check_folders([str(name) for name in replaced["opt_name"][:, 0]])
    written = write_result_files(task_name, set_name, arrays)
    write_archive(task_name, set_name, arrays)
    # Of the archive before, and of an import that was killed before it had one.
    for before in (replaced, arrays):
        if before is not None:
            delete_result_files(task_name, set_name, before, kept=written)
    return path


def _check_folders(opt_names: Sequence[str]) -> None:
    """Refuse settings that cannot have a folder each."""
    for place, name in enumerate(opt_names):
        check_folder_name("the optimizer's setting", name)
        if name in opt_names[:place]:
            raise LoptError(
                f"two configurations are both called {name}: their hyper-parameters "
                "differ in nothing but their types. Write them in one way in all files."
            )


def _which_trials(path: str) -> Result | None:
    """Return what says which trials an archive is of; None if nothing does."""
    try:
        return read_archive(path, ["opt_name", "seed", "num_steps"])
    except ResultError:
        return None


def archive_of(values: Sequence[Value], optimizer: str, source: str) -> Result:
    """Return what the archive of some curves holds.

    Args:
      values: all values, in any order.
      optimizer: what results are called before their hyper-parameters.
      source: where they come from.

    Raises:
      LoptError: if a split, a configuration's seed or a step is missing, or a value is
        given twice.
    """
    curves = _by_trial(values)
    configs = sorted({trial.hparams for trial in curves}, key=_order)
    seeds = sorted({trial.seed for trial in curves})
    _check_complete(configs, seeds, curves)
    trials = [[Trial(hparams, seed) for seed in seeds] for hparams in configs]
    steps, metrics = _check_alike(curves)
    shape = len(configs), len(seeds)
    arrays: dict[str, Any] = {
        "eval/xs": np.broadcast_to(np.asarray(steps, np.int64), (*shape, len(steps)))
    }
    for split, metric in metrics:
        arrays[f"eval/{split}/{metric}"] = np.asarray(
            [[_column(curves[t], split, metric, steps) for t in row] for row in trials]
        )
    if "eval/train/loss" not in arrays:
        # It was not measured.
        arrays["eval/train/loss"] = np.full((*shape, len(steps)), np.nan, np.float32)
    opt_names = [_opt_name(optimizer, hparams) for hparams in configs]
    gin_texts = [_gin_text(optimizer, hparams) for hparams in configs]
    facts = {
        "seed": np.asarray(seeds, np.int64),
        "num_steps": np.int64(max(steps[-1], 1)),
        "synthetic_data": np.bool_(False),
        "schema_version": np.int64(SCHEMA_VERSION),
        "accelerator_platform": "elsewhere",
        "accelerator_kind": "imported",
        "versions": source,
        "opt_name": np.asarray(opt_names)[:, None],
        "gin_operative_config": np.asarray(gin_texts)[:, None],
    }
    for key, value in facts.items():
        arrays[key] = np.broadcast_to(np.asarray(value), shape)
    return arrays | _endings(arrays)


def _endings(arrays: Result) -> Result:
    """Return how each trial ended, as far as its evaluations say."""
    lost = [~np.isfinite(arrays[f"eval/{split}/loss"]) for split in NEEDED]
    either = np.where(np.logical_or(*lost), np.nan, 0.0)
    return endings(either, arrays["eval/xs"][0, 0])


Curves = Mapping[tuple[str, str], Mapping[int, float]]
"""Split and metric, to the value at each step."""


def _by_trial(values: Sequence[Value]) -> dict[Trial, dict[Any, dict[int, float]]]:
    curves: dict[Trial, dict[Any, dict[int, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for value in values:
        curve = curves[value.trial][value.split, value.metric]
        known = curve.setdefault(value.step, value.value)
        if known != value.value and not (math.isnan(known) and math.isnan(value.value)):
            raise LoptError(
                f"{_shown(value.trial)} has two values of {value.split}/{value.metric} "
                f"at step {value.step}: {known} and {value.value}. Say which run each "
                "is of, by a column seed and one for each hyper-parameter (lr, "
                "hparam/NAME), or by the names of runs."
            )
    return curves


def _check_complete(
    configs: Sequence[Any], seeds: Sequence[int], curves: Mapping[Trial, Curves]
) -> None:
    every = len(configs) * len(seeds)
    if every == len(curves):
        return
    # One by one, as there may be far more of them than of what is there.
    trials = (Trial(hparams, seed) for hparams in configs for seed in seeds)
    first = next(trial for trial in trials if trial not in curves)
    raise LoptError(
        f"{every - len(curves)} of {every} trials are missing, {_shown(first)} for "
        "one: every configuration needs the same seeds."
    )


def _check_alike(
    curves: Mapping[Trial, Curves],
) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the steps, and the splits and metrics that all trials have."""
    every = [curve for of_trial in curves.values() for curve in of_trial.values()]
    steps = sorted({step for curve in every for step in curve})
    first = next(iter(curves))
    metrics = [m for m in curves[first] if all(m in of for of in curves.values())]
    for split in NEEDED:
        if (split, "loss") not in metrics:
            raise LoptError(
                f"there is no loss on {split} for every trial: configurations are "
                "chosen on outer_valid (or val) and reported on test, so both must be "
                "there."
            )
    for trial, of_trial in curves.items():
        for split, metric in metrics:
            curve = of_trial[split, metric]
            measured = sorted(curve)
            # A run that is over once it has diverged measures no more.
            is_over = not math.isfinite(curve[measured[-1]])
            if measured != steps[: len(measured) if is_over else None]:
                raise LoptError(
                    f"{split}/{metric} of {_shown(trial)} is not measured at the same "
                    f"steps as others: all must be at {brief(steps)}."
                )
    return steps, metrics


def _column(
    curves: Curves, split: str, metric: str, steps: Sequence[int]
) -> np.ndarray:
    curve = curves[split, metric]
    return np.asarray([curve.get(step, np.nan) for step in steps], np.float32)


def _check_set_name(name: str) -> None:
    if not is_plain_name(name):
        raise LoptError(
            "a set's name names a file: it must be letters, digits and _ . + - and "
            f"begin with a letter or digit, got {brief(name)}."
        )
    if name in all_hparam_sets():
        raise LoptError(
            f"{name} is a set that is defined here: curves from elsewhere need a name "
            "of their own, so that none is taken for the other."
        )


def _opt_name(optimizer: str, hparams: Sequence[tuple[str, Any]]) -> str:
    texts = [f"_{_SHORT.get(name, name)}{value_text(value)}" for name, value in hparams]
    return optimizer + "".join(texts)


def _gin_text(optimizer: str, hparams: Sequence[tuple[str, Any]]) -> str:
    # As trials record what they were made from: it is read to know hyper-parameters.
    lines = [f"{optimizer}.{name} = {value!r}" for name, value in hparams]
    return "\n".join([f"inner_train_task.opt = @{optimizer}()", *lines])


def _shown(trial: Trial) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in trial.hparams)
    return f"the trial of {f'{settings}, ' if settings else ''}seed {trial.seed}"


def _order(hparams: Sequence[tuple[str, Any]]) -> Any:
    return [
        (name, isinstance(value, str), str(value) if isinstance(value, str) else value)
        for name, value in hparams
    ]
