"""Curves as Weights & Biases uploads them: one offline run per trial."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.left_out import OnLeftOut
from learned_optimization.baselines.exporting.libraries import require, variables
from learned_optimization.baselines.exporting.runs import Run, write_runs
from learned_optimization.errors import LoptError, ResultError

_VARIABLES = {
    "WANDB_ERROR_REPORTING": "false",
    # A process of its own, not one that others use, too.
    "WANDB_SERVICE": "",
}
# Nothing of this process or machine: the runs are of others.
_SETTINGS = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "host": "",
    "silent": True,
    "symlink": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def write_wandb(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    folder: str,
    *,
    every_config: bool = False,
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> int:
    """Write a folder of offline runs, which `wandb sync` uploads. Nothing is sent.

    Each trial is a run `SET/OPT_NAME/seedSEED` of the project that has the task's
    name; the seeds of a configuration are one group. Its configuration is `task`,
    `set`, `opt_name`, `seed` and the hyper-parameters, its history what
    `write_events` writes, with `_step`, `_timestamp`, and `seconds` since the trial
    began; that it was created when it was exported, and its `_runtime`, come from
    wandb. The same trial of the same archive has the same ID however often it is
    exported, so that it is uploaded once.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several, each archived for every task.
      folder: local folder, which must not exist or be empty; the runs are
        `wandb/offline-run-TIME-ID` below it.
      every_config: write all configurations, not just the best of each set.
      select: split whose final loss says which is best.
      on_left_out: told of each set on a task that is archived and cannot be read,
        while the others are; where it is None, that is an error.

    Returns:
      How many trials were written.

    Raises:
      UnknownNameError: if `select` is no split.
      LoptError: if no task or no set is named, wandb is not installed, or a run of it
        is under way in this process.
      ResultError: if an archive is missing or cannot be read, or none can, or the
        folder cannot be written; nothing is changed then.
    """
    with variables(_VARIABLES):
        require("wandb", "wandb")
        return write_runs(
            task_names,
            set_names,
            lambda runs: filesystem.write_folder(
                folder, lambda hidden: _write_all(runs, folder, hidden)
            ),
            every_config=every_config,
            select=select,
            on_left_out=on_left_out,
        )


def _write_all(runs: Iterable[Run], folder: str, hidden: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        with _service(folder) as wandb:
            for run in runs:
                _log(wandb, run, scratch)
        # Beside the file of a run, wandb leaves logs of its own work.
        for path in glob.glob("wandb/*/*.wandb", root_dir=scratch):
            with open(os.path.join(scratch, path), "rb") as whole:
                filesystem.write_whole(
                    filesystem.join(hidden, path),
                    lambda file, whole=whole: shutil.copyfileobj(whole, file),
                )


def _log(wandb: Any, run: Run, folder: str) -> None:
    known_by = f"{run.task}/{run.name} {run.started}"
    with wandb.init(
        project=run.task,
        group=run.group,
        name=run.name,
        id=hashlib.sha256(known_by.encode()).hexdigest()[:16],
        config={**run.config, "seed": run.seed},
        dir=folder,
        mode="offline",
        settings=wandb.Settings(**_SETTINGS),
    ) as logged:
        columns = {tag: values.tolist() for tag, values in run.curves.items()}
        columns["seconds"] = (run.seconds_per_step * run.steps).tolist()
        columns["_timestamp"] = run.times.tolist()
        for i, step in enumerate(run.steps.tolist()):
            logged.log({name: values[i] for name, values in columns.items()}, step=step)


@contextmanager
def _service(folder: str) -> Iterator[Any]:
    """Give wandb for as long as it writes: files are whole once its process ended."""
    # It puts functions of its own there, and leaves them.
    hooked = sys.exit, sys.excepthook
    wandb = require("wandb", "wandb")
    if wandb.setup().most_recent_active_run is not None:
        raise LoptError(
            "a run of Weights & Biases is under way in this process: finish it before "
            "others are exported."
        )
    try:
        yield wandb
    except wandb.Error as error:
        raise ResultError(f"wandb cannot write the folder {folder}: {error}") from error
    finally:
        wandb.teardown()
        sys.exit, sys.excepthook = hooked
