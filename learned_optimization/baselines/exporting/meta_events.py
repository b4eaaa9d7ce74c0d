"""The curves of a meta-training, as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter

from learned_optimization import filesystem
from learned_optimization.baselines.results.format import Result, read_result

_FILE_NAME = "events.out.tfevents.0000000000.lopt"


def write_meta_events(curves: str, folder: str) -> str:
    """Write a log folder for TensorBoard, and return the path of its file.

    Its scalars are `meta_loss`, at every meta-step, and the held-out scores, `score`
    and `score/TASK`. An event's time is that of the curves' file, less the seconds that
    were left to its end.

    Args:
      curves: path of `meta.curves`.
      folder: local folder or URL.

    Raises:
      ResultError: if the curves cannot be read, or the file not be written.
    """
    result = read_result(curves)
    ended = filesystem.info(curves).modified
    path = filesystem.join(folder, _FILE_NAME)

    def write(file: IO[bytes]) -> None:
        writer = RecordWriter(file)
        for event in _events(result, ended):
            writer.write(event.SerializeToString())

    filesystem.write_whole(path, write)
    return path


def _events(result: Result, ended: float) -> Iterator[Any]:
    seconds = float(result.get("timing/run_seconds", np.zeros(())))
    steps = result["train/xs"].astype(np.int64) + 1
    per_step = seconds / max(len(steps), 1)
    started = ended - seconds
    yield Event(wall_time=started, file_version="brain.Event:2")
    scores = {
        key.removeprefix("eval/"): values
        for key, values in result.items()
        if key.startswith("eval/") and key.endswith("score")
    }
    tags = {
        name: "score" if name == "score" else f"score/{name.removesuffix('/score')}"
        for name in scores
    }
    evaluated = {int(step): i for i, step in enumerate(result["eval/xs"])}
    for step, loss in zip(steps.tolist(), result["train/loss"].tolist(), strict=True):
        values = [Summary.Value(tag="meta_loss", simple_value=loss)]
        if step in evaluated:
            values += [
                Summary.Value(tag=tags[name], simple_value=float(x[evaluated[step]]))
                for name, x in scores.items()
            ]
        time = started + per_step * step
        yield Event(wall_time=time, step=step, summary=Summary(value=values))
