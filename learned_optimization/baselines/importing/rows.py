"""What a table of curves says, as one loss or metric at a time.

Three forms are read. One row for each split and evaluation, as curves are exported
here: `step`, `split`, `loss` and further metrics. One row for each evaluation, with a
column for each split and metric: `step`, `test/loss`, `test/accuracy`. And what Weights
& Biases exports of a chart, a column for each run: `Step`, `my-run - test/loss`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from learned_optimization.baselines.importing.tables import Table
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

_SPLITS = {
    "train": "train",
    "training": "train",
    "outer_valid": "outer_valid",
    "val": "outer_valid",
    "valid": "outer_valid",
    "validation": "outer_valid",
    "dev": "outer_valid",
    "test": "test",
}
"""Names of splits as others call them, to ours."""

HPARAM = "hparam/"
"""How columns of hyper-parameters begin; `lr` and `learning_rate` need it not."""

_RATES = ("lr", "learning_rate")
# Of our own exports: what they say is in other columns, or of another comparison.
_NOT_METRICS = (
    "task",
    "set",
    "opt_name",
    "config",
    "repetition",
    "run",
    "seed",
    "step",
)
# Beyond it not every whole number is a float.
_MOST = 2**53
_STEPS = ("step", "Step", "_step", "global_step", "trainer/global_step")
_OF_RUN = re.compile(r"(?P<run>.+) - (?P<metric>[^ ]+)$")
_RANGES = ("__MIN", "__MAX")


@dataclass(frozen=True)
class Trial:
    """Which trial a value is of.

    Attributes:
      hparams: name and value of each hyper-parameter, sorted by name.
      seed: the seed.
    """

    hparams: tuple[tuple[str, Any], ...]
    seed: int


@dataclass(frozen=True)
class Value:
    """One value of a curve.

    Attributes:
      trial: the trial.
      split: `train`, `outer_valid` or `test`.
      metric: `loss`, or what else is measured.
      step: updates before it was measured.
      value: the value; NaN or infinite where the run had diverged.
    """

    trial: Trial
    split: str
    metric: str
    step: int
    value: float


class RunNames:
    """Reads hyper-parameters and the seed from the names of runs.

    Args:
      pattern: a name with the hyper-parameters in braces, e.g.
        `adamw-lr{learning_rate}-s{seed}`; None if names say nothing.

    Raises:
      LoptError: if the pattern names nothing, or something twice.
    """

    def __init__(self, pattern: str | None):
        self._pattern, self._regex = pattern, None
        if pattern is None:
            return
        parts = re.split(r"\{(\w+)\}", pattern)
        names = parts[1::2]
        if not names or len(set(names)) < len(names):
            raise LoptError(
                "a pattern of run names has hyper-parameters and the seed in braces, "
                f"each once, e.g. adamw-lr{{learning_rate}}-s{{seed}}; got {pattern!r}."
            )
        self._regex = re.compile(
            "".join(
                f"(?P<{part}>.+?)" if i % 2 else re.escape(part)
                for i, part in enumerate(parts)
            )
        )

    def read(self, run: str) -> dict[str, Any]:
        """Return what a name says, by hyper-parameter; `seed` is one of them.

        Raises:
          LoptError: if it does not fit the pattern.
        """
        if self._regex is None:
            return {}
        match = self._regex.fullmatch(run)
        if match is None:
            raise LoptError(f"the run {run!r} is not of the form {self._pattern!r}.")
        return {name: _plain(text) for name, text in match.groupdict().items()}


def values_of(where: str, table: Table, names: RunNames) -> Iterator[Value]:
    """Give every value that a table holds, in its order.

    Args:
      where: the file, for messages.
      table: the table.
      names: reads the names of runs.

    Raises:
      LoptError: naming the column and the row of what cannot be read.
    """
    step_column = next((name for name in _STEPS if name in table), None)
    if step_column is None:
        raise LoptError(
            f"{where} has no column of steps, called step: it has "
            f"{', '.join(list(table)[:12])}."
        )
    steps = [_whole(where, step_column, i, v) for i, v in enumerate(table[step_column])]
    if runs := _columns_of_runs(table, step_column):
        yield from _of_charts(where, table, steps, runs, names)
        return
    trials = [_trial(where, table, row, names) for row in range(len(steps))]
    if "split" in table:
        metrics = {
            name: name
            for name in table
            if name not in (*_NOT_METRICS, *_RATES, "split", step_column)
            and not name.startswith(HPARAM)
        }
        for row, name in enumerate(table["split"]):
            split = _SPLITS.get(str(name))
            # What others measure besides is no part of a comparison.
            if split is not None:
                yield from _of_row(where, table, row, metrics, split, trials, steps)
        return
    of_split: dict[str, dict[str, str]] = {}
    for name in table:
        split, slash, metric = name.partition("/")
        if slash and split in _SPLITS and metric:
            of_split.setdefault(_SPLITS[split], {})[name] = metric
    if not of_split:
        raise LoptError(
            f"{where} holds no losses: give it a column split beside loss, or a column "
            f"for each split, as test/loss. It has {', '.join(list(table)[:12])}."
        )
    for row in range(len(steps)):
        for split, metrics in of_split.items():
            yield from _of_row(where, table, row, metrics, split, trials, steps)


def _of_row(
    where: str,
    table: Table,
    row: int,
    metrics: dict[str, str],
    split: str,
    trials: Sequence[Trial],
    steps: Sequence[int],
) -> Iterator[Value]:
    for column, metric in metrics.items():
        value = _number(where, column, row, table[column][row])
        if value is not None:
            yield Value(trials[row], split, metric, steps[row], value)


def _of_charts(
    where: str,
    table: Table,
    steps: Sequence[int],
    runs: dict[str, tuple[str, str, str]],
    names: RunNames,
) -> Iterator[Value]:
    for column, (run, split, metric) in runs.items():
        trial = _made(where, names.read(run), run)
        for row, given in enumerate(table[column]):
            value = _number(where, column, row, given)
            if value is not None:
                yield Value(trial, split, metric, steps[row], value)


def _columns_of_runs(table: Table, step_column: str) -> dict[str, tuple[str, str, str]]:
    """Return run, split and metric of each column of a chart's export."""
    found = {}
    for name in table:
        match = _OF_RUN.fullmatch(name)
        if name == step_column or match is None or name.endswith(_RANGES):
            continue
        split, slash, metric = match["metric"].partition("/")
        if slash and split in _SPLITS:
            found[name] = (match["run"], _SPLITS[split], metric)
    return found


def _trial(where: str, table: Table, row: int, names: RunNames) -> Trial:
    given = names.read(str(table["run"][row])) if "run" in table else {}
    for name in table:
        is_hparam = name.startswith(HPARAM) or name in _RATES
        if is_hparam and table[name][row] not in ("", None):
            given[name.removeprefix(HPARAM)] = _plain(table[name][row])
    if "seed" in table:
        given["seed"] = _plain(table["seed"][row])
    return _made(where, given, f"row {row + 1}")


def _made(where: str, given: dict[str, Any], which: str) -> Trial:
    seed = given.pop("seed", 0)
    is_whole = isinstance(seed, int) and not isinstance(seed, bool)
    if not is_whole or not 0 <= seed < _MOST:
        raise LoptError(
            f"{where}, {which}: a seed is a whole number of at least 0, got "
            f"{brief(seed)}."
        )
    if "lr" in given:
        given["learning_rate"] = given.pop("lr")
    return Trial(tuple(sorted(given.items())), seed)


def _plain(value: Any) -> Any:
    """Return a number where text is one."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _whole(where: str, column: str, row: int, value: Any) -> int:
    number = _number(where, column, row, value)
    if number is None or not number.is_integer() or not 0 <= number < _MOST:
        raise LoptError(
            f"{where}, row {row + 1}: {column} must be a whole number of at least 0 "
            f"and below {_MOST:,}, got {brief(value)}."
        )
    return int(number)


def _number(where: str, column: str, row: int, value: Any) -> float | None:
    """Return a number; None where there is none."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    if str(value).strip().lower() in ("infinity", "-infinity"):
        return math.inf
    raise LoptError(
        f"{where}, row {row + 1}: {column} must be a number, got {brief(value)}."
    )
