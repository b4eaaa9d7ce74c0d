"""Normalizers as files: the published form, and a second file for what it lacks.

`NAME.json` maps each task to `[steps, losses]`, one task per line, as published
normalizers do: readers of that form read ours, and ours reads theirs. Bands, and what
it takes to build the file again, are in `NAME.info.json`, which is ours alone and may
be missing. A digest in it tells which curve it is about.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.speedups.curve import Band, BaselineCurve
from learned_optimization.baselines.speedups.normalizer import NonFinite, Normalizer
from learned_optimization.errors import DamagedFileError, LoptError, check_at_least
from learned_optimization.json_reading import parse_json
from learned_optimization.text import brief

SUFFIX = ".json"

MAX_FILE_BYTES = 256 << 20
"""Bytes of a file of normalizers: 1,000 tasks with 2,048 points each take 80 MB."""

_INFO_SUFFIX = ".info.json"
# Up to it, floats hold every whole number.
_MOST_STEPS = 1 << 53
_REBUILD = "Build it again, with overwrite=True."


@dataclass(frozen=True, eq=False)
class Entry:
    """One task of a file.

    Attributes:
      curve: the baseline's curve.
      provenance: where it comes from, as `NAME.info.json` holds it; empty if unknown.
    """

    curve: BaselineCurve
    provenance: Mapping[str, Any]

    def normalizer(self, task: str, nonfinite: NonFinite) -> Normalizer:
        """Return the normalizer of the task."""
        return Normalizer(task, self.curve, nonfinite)


def info_path(path: str) -> str:
    """Return the path of the information beside a file of normalizers."""
    return path.removesuffix(SUFFIX) + _INFO_SUFFIX


def check_output(path: str) -> None:
    """Raise `LoptError` unless normalizers can be written there."""
    if not path.endswith(SUFFIX) or path.endswith(_INFO_SUFFIX):
        raise LoptError(
            f"cannot write normalizers to {path}: the name must end in {SUFFIX}, and "
            f"not in {_INFO_SUFFIX}, which is for what belongs beside them."
        )
    folder, _, _ = path.rpartition("/")
    filesystem.check_writable(folder or ".")


def read_entries(path: str) -> Mapping[str, Entry]:
    """Read every task of a file, and what is known beside it.

    The end of a curve that is NaN, as others' files may have, is left out.

    Raises:
      ResultError: if it is missing, or not of the form. An information file that is
        of other curves is an error too.
    """
    beside = info_path(path)
    stamp = filesystem.info(path).stamp
    if filesystem.exists(beside):
        stamp += filesystem.info(beside).stamp
    return _read_entries(path, stamp)


# Stamps are a parameter so that files written again are read again.
@functools.lru_cache(maxsize=16)
def _read_entries(path: str, stamp: str) -> Mapping[str, Entry]:
    del stamp
    beside = info_path(path)
    info = _read_json(beside) if filesystem.exists(beside) else {}
    return {
        task: _entry(path, task, pair, info.get(task))
        for task, pair in sorted(_read_json(path).items())
    }


def write_entries(path: str, entries: Mapping[str, Entry]) -> str:
    """Write a file of normalizers, after the information beside it.

    Args:
      path: the file, which ends in `.json`; it is replaced.
      entries: task name to entry.

    Returns:
      The text of the file.

    Raises:
      ResultError: if it cannot be written.
    """
    pairs = {task: _pair(entries[task].curve) for task in sorted(entries)}
    text = _one_task_per_line(pairs)
    _write(path, text.encode(), pairs, entries)
    return text


def write_published(
    path: str,
    content: bytes,
    source: str,
    provenance: Mapping[str, Any],
    check: Callable[[Mapping[str, Entry]], None],
) -> Mapping[str, Entry]:
    """Write a file that others published, byte for byte, if it is of the form.

    Args:
      path: the file to write, which ends in `.json`; it is replaced.
      content: the bytes of the published file.
      source: where they come from, for messages.
      provenance: what is noted of every task beside the file.
      check: called with what is to be written; raises where it is not wanted.

    Returns:
      Task name to entry, as `read_entries` returns it.

    Raises:
      DamagedFileError: if the content is not of the form; nothing is written then.
      ResultError: if the file cannot be written.
    """
    pairs = _parse(content, source)
    entries = {
        task: Entry(_entry(source, task, pair, None).curve, provenance)
        for task, pair in sorted(pairs.items())
    }
    check(entries)
    _write(path, content, pairs, entries)
    return entries


def _write(
    path: str, content: bytes, pairs: Mapping[str, Any], entries: Mapping[str, Entry]
) -> None:
    """Write a file after the information beside it, which vouches for its curves."""
    info = {
        task: {
            **entries[task].provenance,
            "digest": _digest(pair),
            "band": _band_as_json(entries[task].curve.band),
        }
        for task, pair in pairs.items()
        if entries[task].provenance
    }
    beside = _one_task_per_line(info).encode()
    filesystem.write_bytes(info_path(path), beside)
    filesystem.write_bytes(path, content)


def _one_task_per_line(content: Mapping[str, Any]) -> str:
    lines = (
        f"{json.dumps(task)}: {json.dumps(value)}" for task, value in content.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _read_json(path: str) -> dict[str, Any]:
    return _parse(filesystem.read_all(path, MAX_FILE_BYTES), path)


def _parse(content: bytes, path: str) -> dict[str, Any]:
    try:
        tasks = parse_json(content)
    except ValueError as error:
        raise DamagedFileError(path, f"it is no JSON ({error})", _REBUILD) from error
    if not isinstance(tasks, dict):
        raise DamagedFileError(path, "it does not map tasks to curves", _REBUILD)
    return tasks


def _entry(path: str, task: str, pair: Any, info: Any) -> Entry:
    if not isinstance(pair, list) or len(pair) != 2:
        problem = f"it is not [steps, losses], two lists of numbers, but {brief(pair)}"
        raise DamagedFileError(path, problem, _REBUILD, key=task)
    try:
        steps, losses = map(_numbers, ("steps", "losses"), pair)
    except ValueError as error:
        problem = f"it is not [steps, losses], two lists of numbers: {error}"
        raise DamagedFileError(path, problem, _REBUILD, key=task) from error
    finite = np.isfinite(losses)
    if not finite.all():
        end = int(np.argmin(finite))
        steps, losses = steps[:end], losses[:end]
    if problem := _problem(steps, losses):
        raise DamagedFileError(path, problem, _REBUILD, key=task)
    if info is None:
        return Entry(BaselineCurve(steps, losses), {})
    beside = info_path(path)
    try:
        provenance = dict(info)
        digest = provenance.pop("digest")
        band = _band_of_json(provenance.pop("band"))
        _check_provenance(provenance)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"it is not what is written there ({error})"
        raise DamagedFileError(beside, problem, _REBUILD, key=task) from error
    if digest != _digest(pair) or (band is not None and len(band.low) != len(losses)):
        raise DamagedFileError(
            beside, f"it is of another curve than the one in {path}", _REBUILD, key=task
        )
    return Entry(BaselineCurve(steps, losses, band), provenance)


def _numbers(what: str, values: Any) -> np.ndarray:
    """Return a list of numbers as an array.

    Raises:
      ValueError: if it is something else.
    """
    if not isinstance(values, list):
        raise ValueError(f"its {what} are {brief(values)}")
    for value in values:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError(f"one of its {what} is {brief(value)}")
    try:
        return np.asarray(values, np.float64)
    except OverflowError as error:
        raise ValueError(f"one of its {what} is too large for a number") from error


def _problem(steps: np.ndarray, losses: np.ndarray) -> str | None:
    if len(steps) != len(losses):
        return f"it has {len(steps):,} steps and {len(losses):,} losses"
    if len(steps) < 2:
        return "it has fewer than two finite losses"
    if not np.isfinite(steps).all() or not (np.diff(steps) > 0).all():
        return "its steps must rise, and do not"
    if steps[0] < 0 or steps[-1] > _MOST_STEPS:
        return (
            f"its steps are {steps[0]:g} to {steps[-1]:g}, and must be within 0 and "
            f"{_MOST_STEPS:,}"
        )
    # They are looked up in float32.
    if np.abs(losses).max() > np.finfo(np.float32).max:
        return f"its losses are {losses[0]:g} to {losses[-1]:g}: too large for float32"
    if not (np.diff(losses) <= 0).all():
        return "its losses must never rise, and do"
    return None


def _pair(curve: BaselineCurve) -> list[list[float]]:
    return [curve.steps.tolist(), curve.losses.tolist()]


def _digest(pair: Any) -> str:
    return hashlib.sha256(json.dumps(pair).encode()).hexdigest()


def _band_as_json(band: Band | None) -> dict[str, Any] | None:
    if band is None:
        return None
    return {**vars(band), "low": band.low.tolist(), "high": band.high.tolist()}


def _band_of_json(stored: Any) -> Band | None:
    if stored is None:
        return None
    low, high = (_numbers(f"band's {key}", stored[key]) for key in ("low", "high"))
    if len(low) != len(high):
        raise ValueError("the bounds of a band are of one length")
    level, count, seed = (stored[key] for key in ("level", "num_resamples", "seed"))
    if not isinstance(level, float) or not 0 < level < 1:
        raise ValueError(f"the level of a band is within 0 and 1, not {brief(level)}")
    check_at_least("num_resamples", count, 1)
    check_at_least("seed", seed, 0)
    return Band(low, high, level, count, seed)


def _check_provenance(provenance: Mapping[str, Any]) -> None:
    sets = provenance.get("hparam_sets", [])
    if not isinstance(sets, list) or not all(isinstance(name, str) for name in sets):
        raise ValueError(f"hparam_sets is a list of names, not {brief(sets)}")
