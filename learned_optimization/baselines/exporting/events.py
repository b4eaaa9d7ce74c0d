"""Curves as TensorBoard reads them: one run per trial.

The event files are written with tensorboard's own messages and record writer, not
its event file writer: that one stamps files with the time of the export and writes
from a thread of its own.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.hparams import summary_v2 as hparams_plugin
from tensorboard.summary.writer.record_writer import RecordWriter

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.best_of_set import (
    FinalLosses,
    best_of_set,
    check_eval_split,
    comparable_ends,
    load_final_losses,
)
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.exporting.archives import (
    Archive,
    find_archives,
    of_each,
)
from learned_optimization.baselines.exporting.frames import ALL_SPLITS
from learned_optimization.baselines.results.format import Result
from learned_optimization.errors import DamagedFileError

_FILE_NAME = "events.out.tfevents.0000000000.lopt"


def write_events(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    folder: str,
    *,
    every_config: bool = False,
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> int:
    """Write a log folder for TensorBoard.

    Each trial is a run `TASK/SET/OPT_NAME/seedSEED`. Its scalars, at every
    evaluation, are `loss/SPLIT`, `loss_normalized/SPLIT`, what else the task
    reports as `AUX/SPLIT`, and `train/loss`, the loss of the update's own batch.
    Its hyper-parameters are in the HPARAMS tab, where the seeds of a configuration
    are one group.

    Archives do not hold times of steps. An event's is that of the archive's file,
    plus the seconds of the trial (those of its grid over the grid's trials) times
    the share of its steps done: so the axis `relative` is the mean time it takes to
    get there, and `wall` says no more than when the archive was written.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several, each archived for every task.
      folder: local folder, which must not exist or be empty.
      every_config: write all configurations, not just the best of each set.
      select: split whose final loss says which is best.
      on_left_out: told of each set on a task that is archived and cannot be read,
        while the others are; where it is None, that is an error.

    Returns:
      How many trials were written.

    Raises:
      UnknownNameError: if `select` is no split.
      LoptError: if no task or no set is named.
      ResultError: if an archive is missing or cannot be read, or none can, or the
        folder cannot be written; nothing is changed then.
    """
    check_eval_split(select)
    left: list[LeftOut] = []
    collect = None if on_left_out is None else left.append

    def ends_of(archive: Archive) -> FinalLosses:
        return load_final_losses(archive.task, archive.set_name)

    archives = of_each(find_archives(task_names, set_names, collect), ends_of, collect)
    ends = _comparable(archives)
    count = 0

    def fill(hidden: str) -> None:
        nonlocal count
        for archive, _ in archives:
            best = best_of_set(ends[archive.task][archive.set_name], select)
            only = None if every_config else best.index
            # Read whole before any of it is written.
            for _, read in of_each([archive], _read, collect):
                count += _write_archive(archive, *read, hidden, only)
        check_some_left(range(count), left)

    filesystem.write_folder(folder, fill)
    if on_left_out is not None:
        for one in left:
            on_left_out(one)
    return count


def _comparable(
    archives: Sequence[tuple[Archive, FinalLosses]],
) -> dict[str, dict[str, FinalLosses]]:
    """Return how sets end, by task and set; those on a task are read alike."""
    ends: dict[str, dict[str, FinalLosses]] = {}
    for archive, of_set in archives:
        ends.setdefault(archive.task, {})[archive.set_name] = of_set
    return {task: comparable_ends(row) for task, row in ends.items()}


def _read(archive: Archive) -> tuple[dict[str, str], Result]:
    """Return the tags of an archive's keys, and its arrays."""
    tags = {
        key: f"{name}/{split}"
        for split in ALL_SPLITS
        for key, name in archive.metrics(split).items()
    }
    optional = ["seed", "timing/run_seconds_per_trial", "train/xs", "train/loss"]
    data = archive.read("opt_name", "eval/xs", *tags, optional=optional)
    for opt_name in np.unique(data["opt_name"]):
        _check_is_folder_name(archive.path, str(opt_name))
    return tags, data


def _write_archive(
    archive: Archive,
    tags: dict[str, str],
    data: Result,
    folder: str,
    only: int | None,
) -> int:
    started = filesystem.info(archive.path).modified
    num_configs, num_seeds = data["opt_name"].shape
    configs = range(num_configs) if only is None else [only]
    for config in configs:
        for repetition in range(num_seeds):
            trial = {key: values[config, repetition] for key, values in data.items()}
            opt_name, seed = str(trial["opt_name"]), trial.get("seed", repetition)
            run = posixpath.join(
                archive.task, archive.set_name, opt_name, f"seed{seed}"
            )
            path = filesystem.join(folder, run, _FILE_NAME)
            hparams = {
                "task": archive.task,
                "set": archive.set_name,
                "opt_name": opt_name,
                **archive.hparams_of(config),
            }
            events = _events(trial, tags, started, hparams)
            filesystem.write_whole(path, lambda file, e=events: _write(file, e))
    return len(configs) * num_seeds


def _check_is_folder_name(path: str, opt_name: str) -> None:
    # An archive from elsewhere must not choose where on this disk files are written.
    if posixpath.basename(opt_name) != opt_name or opt_name in ("", ".", ".."):
        raise DamagedFileError(path, f"{opt_name!r} is no name", key="opt_name")


def _write(file: IO[bytes], events: Iterator[Any]) -> None:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())


def _events(
    trial: Result, tags: dict[str, str], started: float, hparams: dict[str, Any]
) -> Iterator[Any]:
    yield Event(wall_time=started, file_version="brain.Event:2")
    # Its own hash of these groups the seeds of a configuration.
    described = {k: v if _is_plain(v) else str(v) for k, v in hparams.items()}
    summary = hparams_plugin.hparams_pb(described, start_time_secs=started)
    yield Event(wall_time=started, summary=summary)
    steps = trial["eval/xs"].astype(np.int64)
    curves = {tag: trial[key].tolist() for key, tag in tags.items()}
    if {"train/xs", "train/loss"} <= trial.keys():
        evaluated = np.isin(trial["train/xs"], steps)
        if evaluated.sum() == len(steps):
            curves["train/loss"] = trial["train/loss"][evaluated].tolist()
    seconds = float(trial.get("timing/run_seconds_per_trial", 0))
    # Without any step done there is no time between them.
    per_step = seconds / max(int(steps[-1]), 1)
    for i, step in enumerate(steps.tolist()):
        values = [Summary.Value(tag=t, simple_value=v[i]) for t, v in curves.items()]
        summary = Summary(value=values)
        yield Event(wall_time=started + per_step * step, step=step, summary=summary)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))
