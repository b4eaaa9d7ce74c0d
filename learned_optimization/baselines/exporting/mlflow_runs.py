"""Curves as MLflow shows them: one experiment per task, one run per trial."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.left_out import OnLeftOut
from learned_optimization.baselines.exporting.libraries import require, variables
from learned_optimization.baselines.exporting.runs import Run, write_runs
from learned_optimization.errors import ResultError

# What a server takes in one request.
_METRICS_AT_ONCE = 1000
_PARAMS_AT_ONCE = 100
_NOT_IN_NAMES = re.compile(r"[^\w./ :-]")

_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Open connections would keep a file from being moved on some systems.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def write_mlflow(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    to: str,
    *,
    every_config: bool = False,
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> int:
    """Write runs to an SQLite file that MLflow reads, or to a tracking server.

    Each trial is a run `SET/OPT_NAME/seedSEED` of the experiment that has the task's
    name, with tags `task`, `set` and `opt_name`; its hyper-parameters and `seed` are
    the run's parameters. Its metrics, with a step and a time, are those of
    `write_events`. MLflow keeps NaN, and the largest float in place of infinity. In
    names, characters that it does not take become `_`.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several, each archived for every task.
      to: a local file that does not exist; or an address of MLflow's
        (`http://HOST:PORT`, `sqlite:///PATH`, `databricks`), to whose runs these are
        added.
      every_config: write all configurations, not just the best of each set.
      select: split whose final loss says which is best.
      on_left_out: told of each set on a task that is archived and cannot be read,
        while the others are; where it is None, that is an error.

    Returns:
      How many trials were written.

    Raises:
      UnknownNameError: if `select` is no split.
      LoptError: if no task or no set is named, or MLflow is not installed.
      ResultError: if an archive is missing or cannot be read, or none can; or if the
        file exists, or MLflow cannot write. There is no file then; an address has at
        most experiments without runs, and deleted runs.
    """
    with variables(_VARIABLES):
        for module in ("mlflow", "sqlalchemy", "alembic"):
            require(module, "mlflow")
        with _without_progress():
            return write_runs(
                task_names,
                set_names,
                lambda runs: (_add if is_address(to) else _write_file)(to, runs),
                every_config=every_config,
                select=select,
                on_left_out=on_left_out,
            )


def is_address(to: str) -> bool:
    """Return whether a text is an address of MLflow's, and not a local file."""
    return "://" in to or to == "databricks"


def without_password(address: str) -> str:
    """Return an address without who may write there, which is not to be shown."""
    return re.sub("://[^/]*@", "://", address)


def _write_file(path: str, runs: Iterable[Run]) -> None:
    if filesystem.exists(path):
        raise ResultError(
            f"cannot write {path}: there is something already. Choose another name, "
            f"or write to sqlite:///{path} to add runs to it."
        )

    def write(file: IO[bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = os.path.join(folder, "runs.db")
            _add(f"sqlite:///{database}", runs)
            with open(database, "rb") as whole:
                shutil.copyfileobj(whole, file)

    filesystem.write_whole(path, write)


def _add(address: str, runs: Iterable[Run]) -> None:
    """Add all of the runs, or none."""
    with _naming(address):
        client = require("mlflow", "mlflow").MlflowClient(tracking_uri=address)
        experiments: dict[str, str] = {}
        made: list[str] = []
        try:
            for run in runs:
                if run.task not in experiments:
                    experiments[run.task] = _experiment(client, run.task)
                made.append(_create(client, experiments[run.task], run))
                _log(client, made[-1], run)
        except BaseException:
            with suppress(*_errors()):
                for run_id in made:
                    client.delete_run(run_id)
            raise


def _experiment(client: Any, name: str) -> str:
    there = client.get_experiment_by_name(name)
    return client.create_experiment(name) if there is None else there.experiment_id


def _create(client: Any, experiment: str, run: Run) -> str:
    made = client.create_run(
        experiment,
        start_time=_milliseconds(run.started),
        tags={"task": run.task, "set": run.set_name, "opt_name": run.opt_name},
        run_name=run.name,
    )
    return made.info.run_id


def _log(client: Any, run_id: str, run: Run) -> None:
    entities = require("mlflow.entities", "mlflow")
    hparams = {**run.hparams, "seed": run.seed}
    params = (entities.Param(_named(k), str(v)) for k, v in hparams.items())
    times = [_milliseconds(time) for time in run.times.tolist()]
    metrics = (
        entities.Metric(_named(tag), value, time, step)
        for tag, values in run.curves.items()
        for value, time, step in zip(
            values.tolist(), times, run.steps.tolist(), strict=True
        )
    )
    for some in _batches(params, _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=some)
    for some in _batches(metrics, _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=some)
    client.set_terminated(run_id, end_time=times[-1])


def _batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(values)
    while some := list(itertools.islice(rest, size)):
        yield some


def _named(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Turn what MLflow says into an error that names where it was to write."""
    try:
        yield
    except _errors() as error:
        place = without_password(address)
        reason = str(error).replace(address, place)
        raise ResultError(f"MLflow cannot write to {place}: {reason}") from error


def _errors() -> tuple[type[Exception], ...]:
    of_mlflow = require("mlflow.exceptions", "mlflow").MlflowException
    of_databases = require("sqlalchemy.exc", "mlflow").SQLAlchemyError
    # Of a database's driver that is not installed.
    return of_mlflow, of_databases, ImportError


@contextmanager
def _without_progress() -> Iterator[None]:
    """Keep MLflow from saying how it makes a database's tables."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
