"""Archives as pyarrow tables, from which every other format is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from learned_optimization.baselines.analysis.left_out import OnLeftOut
from learned_optimization.baselines.exporting.archives import Archive, of_each
from learned_optimization.baselines.results.format import Result, endings

# Column: the result key it is of, and its type.
_BEFORE_LOSSES = {
    "status": ("status", pa.string()),
    "diverged_from": ("diverged_from", pa.int64()),
    "num_steps": ("num_steps", pa.int64()),
}
_AFTER_LOSSES = {
    "seconds": ("timing/run_seconds_per_trial", pa.float64()),
    "synthetic_data": ("synthetic_data", pa.bool_()),
    "accelerator_platform": ("accelerator_platform", pa.string()),
    "accelerator_kind": ("accelerator_kind", pa.string()),
    "strategy": ("strategy", pa.string()),
    "versions": ("versions", pa.string()),
}
_KEYS = [key for key, _ in (*_BEFORE_LOSSES.values(), *_AFTER_LOSSES.values())]
_HPARAM = "hparam/"
_REPEATED = ("task", "set", "opt_name")


def trials_table(
    archives: Sequence[Archive], splits: Sequence[str], on_left_out: OnLeftOut | None
) -> pa.Table:
    """Return one row per trial; `to_frame` lists the columns.

    It has no columns if there is no archive that can be read.
    """
    types = _hparam_types(archives)
    return _joined(
        of_each(archives, lambda a: [_trials(a, splits, types)], on_left_out)
    )


def curves_table(
    archives: Sequence[Archive], splits: Sequence[str], on_left_out: OnLeftOut | None
) -> pa.Table:
    """Return one row per split, trial and evaluation, as `trials_table`."""
    types = _hparam_types(archives)

    def tables(archive: Archive) -> list[pa.Table]:
        trials = pa.table(_which(archive, types)).drop_columns("optimizer")
        for name in _REPEATED:
            encoded = trials[name].dictionary_encode()
            trials = trials.set_column(trials.column_names.index(name), name, encoded)
        return [_curves(archive, split, trials) for split in splits]

    return _joined(of_each(archives, tables, on_left_out))


def _joined(of_archives: Sequence[tuple[Archive, list[pa.Table]]]) -> pa.Table:
    if not of_archives:
        return pa.table({})
    # What one archive has and another has not is null there.
    tables = [table for _, tables in of_archives for table in tables]
    joined = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    # Of an archive that turned out unreadable there are no columns either.
    known = _hparam_types([archive for archive, _ in of_archives])
    lost = [
        name
        for name in joined.column_names
        if name.startswith(_HPARAM) and name.removeprefix(_HPARAM) not in known
    ]
    return joined.drop_columns(lost)


def _trials(
    archive: Archive, splits: Sequence[str], types: Mapping[str, pa.DataType]
) -> pa.Table:
    columns = _which(archive, types)
    count = len(columns["task"])
    data = archive.read(optional=_KEYS)
    if "versions" in data:
        data["versions"] = np.char.replace(data["versions"], "\n", " ")
    if "status" not in data or "diverged_from" not in data:
        data |= _endings(archive)
    columns |= _stored(data, _BEFORE_LOSSES, count)
    for split in splits:
        of_split = archive.metrics(split)
        for key, values in archive.read(*of_split).items():
            columns[f"{split}/{of_split[key]}"] = _doubles(values[..., -1])
    return pa.table(columns | _stored(data, _AFTER_LOSSES, count))


def _which(archive: Archive, types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Return the columns that say which trial a row is of."""
    data = archive.read("opt_name", optional=["seed"])
    shape = data["opt_name"].shape
    count = data["opt_name"].size
    opt_names = [str(name) for name in data["opt_name"].reshape(-1)]
    configs = np.indices(shape)[0].reshape(-1)
    hparams = [archive.hparams_of(config) for config in configs.tolist()]
    return {
        "task": pa.array([archive.task] * count, pa.string()),
        "set": pa.array([archive.set_name] * count, pa.string()),
        "optimizer": pa.array([archive.optimizer] * count, pa.string()),
        "config": pa.array(configs, pa.int64()),
        "opt_name": pa.array(opt_names, pa.string()),
        "repetition": pa.array(np.indices(shape)[1].reshape(-1), pa.int64()),
        **_stored(data, {"seed": ("seed", pa.int64())}, count),
        **{
            f"{_HPARAM}{name}": _values([row.get(name) for row in hparams], kind)
            for name, kind in types.items()
        },
    }


def _curves(archive: Archive, split: str, trials: pa.Table) -> pa.Table:
    of_split = archive.metrics(split)
    data = archive.read("eval/xs", *of_split)
    num_evals = data["eval/xs"].shape[-1]
    table = trials.take(pa.array(np.repeat(np.arange(trials.num_rows), num_evals)))
    one_split = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(table.num_rows, np.int32)), pa.array([split])
    )
    table = table.append_column("split", one_split)
    steps = data["eval/xs"].reshape(-1).astype(np.int64)
    table = table.append_column("step", pa.array(steps))
    for key, name in of_split.items():
        table = table.append_column(name, _doubles(data[key]))
    return table


def _endings(archive: Archive) -> Result:
    """Return how trials ended, where the archive says so only by their losses."""
    data = archive.read(optional=["train/loss"])
    if "train/loss" not in data:
        return {}
    losses = data["train/loss"]
    return endings(losses, np.arange(losses.shape[-1]))


def _stored(
    data: Result, columns: Mapping[str, tuple[str, pa.DataType]], count: int
) -> dict[str, pa.Array]:
    """Return columns of what an archive stores of each trial; null if it does not."""
    return {
        name: pa.array(data[key].reshape(-1)).cast(kind)
        if key in data
        else pa.nulls(count, kind)
        for name, (key, kind) in columns.items()
    }


def _doubles(values: np.ndarray) -> pa.Array:
    return pa.array(values.reshape(-1).astype(np.float64))


def _values(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        values = [value if value is None else str(value) for value in values]
    return pa.array(values, kind)


def _hparam_types(archives: Sequence[Archive]) -> dict[str, pa.DataType]:
    """Return every hyper-parameter's type: one that holds its values in all sets."""
    values: dict[str, list[Any]] = {}
    for archive in archives:
        for hparams in archive.hparams.rows:
            for name, value in hparams.items():
                values.setdefault(name, []).append(value)
    return {name: _type_of(of_name) for name, of_name in values.items()}


def _type_of(values: Sequence[Any]) -> pa.DataType:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()
