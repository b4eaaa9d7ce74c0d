"""Curves as TensorBoard reads them: one run per trial.

The event files are written with tensorboard's own messages and record writer, not
its event file writer: that one stamps files with the time of the export and writes
from a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.hparams import summary_v2 as hparams_plugin
from tensorboard.summary.writer.record_writer import RecordWriter

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.left_out import OnLeftOut
from learned_optimization.baselines.exporting.runs import Run, write_runs

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

    def write(runs: Iterator[Run]) -> None:
        filesystem.write_folder(folder, lambda hidden: _write_all(runs, hidden))

    return write_runs(
        task_names,
        set_names,
        write,
        every_config=every_config,
        select=select,
        on_left_out=on_left_out,
    )


def _write_all(runs: Iterator[Run], folder: str) -> None:
    for run in runs:
        path = filesystem.join(folder, run.task, run.name, _FILE_NAME)
        filesystem.write_whole(path, lambda file, run=run: _write(file, run))


def _write(file: IO[bytes], run: Run) -> None:
    writer = RecordWriter(file)
    for event in _events(run):
        writer.write(event.SerializeToString())


def _events(run: Run) -> Iterator[Any]:
    yield Event(wall_time=run.started, file_version="brain.Event:2")
    # Its own hash of these groups the seeds of a configuration.
    summary = hparams_plugin.hparams_pb(run.config, start_time_secs=run.started)
    yield Event(wall_time=run.started, summary=summary)
    curves = {tag: values.tolist() for tag, values in run.curves.items()}
    points = zip(run.steps.tolist(), run.times.tolist(), strict=True)
    for i, (step, time) in enumerate(points):
        values = [Summary.Value(tag=t, simple_value=v[i]) for t, v in curves.items()]
        yield Event(wall_time=time, step=step, summary=Summary(value=values))
