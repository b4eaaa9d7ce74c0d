"""What a manifest says of an archive, read off the archive itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from learned_optimization.baselines.release.manifest import ReleasedArchive
from learned_optimization.baselines.results.format import Result


def describe(
    task: str,
    set_name: str,
    file: str,
    content: bytes,
    arrays: Result,
    *,
    of_evaluations: int,
    command: str = "",
    modified: float = 0.0,
    whole_sha256: str = "",
) -> ReleasedArchive:
    """Return what a manifest says of an archive.

    Args:
      task: the task's name.
      set_name: the set's name.
      file: relative path of its file.
      content: the file's bytes.
      arrays: what the file holds.
      of_evaluations: evaluations of each trial that the whole archive has.
      command: what trains it again.
      modified: when the whole archive was written, in seconds since 1970; 0 if unknown.
      whole_sha256: digest of the whole archive, of a thin one.
    """
    num_configs, num_seeds, num_evals = arrays["eval/xs"].shape
    date = datetime.fromtimestamp(modified, UTC).date().isoformat() if modified else ""
    return ReleasedArchive(
        task=task,
        hparam_set=set_name,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        num_configs=num_configs,
        num_seeds=num_seeds,
        num_steps=int(arrays["eval/xs"].max()),
        evaluations=num_evals,
        of_evaluations=of_evaluations,
        seeds=tuple(np.unique(arrays["seed"]).tolist()) if "seed" in arrays else (),
        versions=tuple(
            sorted({v for text in _texts(arrays, "versions") for v in text.split("\n")})
        ),
        hardware=", ".join(_hardware(arrays)),
        date=date,
        command=command,
        whole_sha256=whole_sha256,
    )


def _hardware(arrays: Result) -> Sequence[str]:
    counts = np.unique(arrays.get("accelerator_devs", np.empty(0)))
    devices = [str(int(n)) for n in counts]
    kinds = _texts(arrays, "accelerator_kind")
    return [f"{'/'.join(devices)} x {kind}" if devices else kind for kind in kinds]


def _texts(arrays: Result, key: str) -> list[str]:
    return [str(text) for text in np.unique(arrays[key])] if key in arrays else []
