"""What result files and archives hold, and reading them with every check.

One row of `_RULES` says what a key may hold. Files of the published system may lack
keys and hold numbers of other widths; the keys they have are checked by the same
rules.
"""

from __future__ import annotations

import fnmatch
import functools
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.cache import local_copy
from learned_optimization.errors import DamagedFileError, NewerSchemaError
from learned_optimization.npz import NpyHeader, NpzReader, open_npz

Result = dict[str, np.ndarray]
"""What a result file or an archive holds: key to array."""

SCHEMA_VERSION = 2
"""Version of the files written: since 2 they are sealed, and say from which step they
diverged."""

FINISHED = ("done", "diverged")
"""How a trial that has a result file ended."""


@dataclass(frozen=True)
class _Rule:
    """What a key may hold.

    Attributes:
      pattern: the keys it is for, as file names are matched.
      kinds: numpy's letters of the types allowed.
      length_of: key of the same length in the last axis; for `""` there is no
        axis but the archive's.
      finite: neither NaN nor infinite.
      rising: every value is larger than the one before.
      least: the least value; None where any is allowed.
      most: the greatest value, where there is a least one.
    """

    pattern: str
    kinds: str
    length_of: str = ""
    finite: bool = False
    rising: bool = False
    least: int | None = None
    most: int = 1 << 53  # up to it, floats hold every whole number


_NUMBER, _TEXT = "iuf", "US"
_RULES = (
    _Rule("*eval_batches", _NUMBER, finite=True, least=0),
    _Rule("train/xs", _NUMBER, "train/xs", finite=True, rising=True, least=0),
    _Rule("train/*", _NUMBER, "train/xs"),
    _Rule("eval/xs", _NUMBER, "eval/xs", finite=True, rising=True, least=0),
    _Rule("eval/*", _NUMBER, "eval/xs"),
    _Rule("final/num_examples/*", "iu", least=1),
    _Rule("final/*", _NUMBER),
    _Rule("timing/*", _NUMBER, finite=True),
    _Rule("thin/*", "iu", least=1),
    _Rule("num_steps", _NUMBER, finite=True, least=0),
    _Rule("eval_every", _NUMBER, finite=True, least=1),
    _Rule("accelerator_devs", _NUMBER, finite=True, least=0),
    _Rule("seed", "iu", least=0),
    _Rule("schema_version", "iu", least=0),
    _Rule("diverged_from", "iu", least=-1),
    _Rule("synthetic_data", "b"),
    _Rule("gin_operative_config", _TEXT),
    _Rule("*_name", _TEXT),
    _Rule("accelerator_*", _TEXT),
    _Rule("opt_config", _TEXT),
    _Rule("opt_class", _TEXT),
    _Rule("status", _TEXT),
    _Rule("versions", _TEXT),
    _Rule("jax_config", _TEXT),
    _Rule("divergence_note", _TEXT),
    _Rule("strategy", _TEXT),
)
# Characters of a text, four bytes each: gin text of a trial has a few thousand.
_MAX_TEXT_BYTES = 4 << 20
# Values of a key that no rule knows the shape of.
_MAX_VERSIONS = 1 << 20
_TYPES = {"i": "whole numbers", "f": "numbers", "b": "truth values", "U": "text"}


def read_result(
    path: str, keys: Sequence[str] | None = None, missing_ok: bool = False
) -> Result:
    """Read the result file of one trial, and check what is read.

    Args:
      path: local path or URL.
      keys: the keys wanted; all of them if None.
      missing_ok: leave out keys the file lacks.

    Returns:
      Result key to array.

    Raises:
      NewerSchemaError: if a newer version of this package wrote it.
      DamagedFileError: if it does not hold what it should.
      ResultError: if it is missing or cannot be reached.
    """
    with open_npz(path) as npz:
        if "eval/xs" not in npz.keys:
            raise DamagedFileError(path, "it is no result file", key="eval/xs")
        return _read(npz, keys, missing_ok, num_axes=0)


def read_archive(
    path: str, keys: Sequence[str] | None = None, missing_ok: bool = False
) -> Result:
    """Read an archive, or some of its keys, and check what is read.

    Remote archives are copied to `LOPT_CACHE_DIR`, and read from there for as long
    as the original stays what it is.

    Args:
      path: local path or URL.
      keys: the keys wanted; all of them if None.
      missing_ok: leave out keys the archive lacks.

    Returns:
      Result key to array with leading axes `[num_configs, num_seeds]`.

    Raises:
      NewerSchemaError: if a newer version of this package wrote it.
      DamagedFileError: if it does not hold what it should.
      ResultError: if it is missing or cannot be reached.
    """

    def read(copy: str) -> Result:
        with open_npz(copy, name=path) as npz:
            return _read(npz, keys, missing_ok, num_axes=2)

    copy = local_copy(path)
    try:
        return read(copy)
    except DamagedFileError:
        if copy == path:
            raise
        # Perhaps only the copy is damaged.
        return read(local_copy(path, again=True))


def parse_archive(content: bytes, path: str) -> Result:
    """Return what `read_archive` does, of an archive's bytes.

    Args:
      content: its bytes.
      path: where they are from, for messages.

    Raises:
      FileContentError: as there.
    """
    npz = NpzReader(io.BytesIO(content), path)
    return _read(npz, None, missing_ok=False, num_axes=2)


def _read(
    npz: NpzReader, keys: Sequence[str] | None, missing_ok: bool, num_axes: int
) -> Result:
    _check_schema(npz, num_axes)
    if keys is not None and missing_ok:
        keys = [key for key in keys if key in npz.keys]

    def check(key: str, header: NpyHeader) -> str | None:
        rule = _rule_of(key)
        if rule is None:
            return None
        return _problem_of_form(header.dtype, header.shape, rule, num_axes)

    found = npz.read(keys, check)
    arrays = {key: _as_here(values) for key, values in found.items()}
    check_arrays(npz.path, arrays, num_axes)
    return arrays


def _as_here(values: np.ndarray) -> np.ndarray:
    """Return the same values in a type that every library reads.

    Other machines write numbers the other way round, or longer ones, and others' files
    have text as bytes.
    """
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _check_schema(npz: NpzReader, num_axes: int) -> None:
    key = "schema_version"
    if key not in npz.keys:
        return

    # In files of newer versions it may be of another shape.
    def check(key: str, header: NpyHeader) -> str | None:
        is_some = 0 < math.prod(header.shape) <= _MAX_VERSIONS
        return (
            None if header.dtype.kind in "iu" and is_some else "it is no whole number"
        )

    versions = npz.read([key], check)[key]
    newest = int(versions.max())
    if newest > SCHEMA_VERSION:
        raise NewerSchemaError(
            npz.path,
            f"it has schema version {newest}, and this version of "
            f"optimizer-baselines reads up to {SCHEMA_VERSION}",
        )
    check_arrays(npz.path, {key: versions}, num_axes)
    if newest >= 2 and not npz.is_sealed:
        raise DamagedFileError(npz.path, "its seal is broken")


def check_arrays(path: str, arrays: Mapping[str, np.ndarray], num_axes: int) -> None:
    """Check types, shapes and values.

    Args:
      path: the file, for messages.
      arrays: key to array; unknown keys may hold anything.
      num_axes: number of leading axes every array has: 0 in a result file, 2 in an
        archive.

    Raises:
      DamagedFileError: naming the first key that does not hold what it should.
    """
    leading: tuple[int, ...] | None = None
    for key, array in arrays.items():
        rule = _rule_of(key)
        if rule is None:
            continue
        problem = _problem(array, rule, num_axes, arrays.get(rule.length_of))
        if problem:
            raise DamagedFileError(path, problem, key=key)
        if leading is None:
            leading = array.shape[:num_axes]
        elif array.shape[:num_axes] != leading:
            raise DamagedFileError(
                path,
                f"it is of {_trials(array.shape[:num_axes])}, other keys of "
                f"{_trials(leading)}",
                key=key,
            )
    _check_status(path, arrays)


@functools.lru_cache(maxsize=1024)
def _rule_of(key: str) -> _Rule | None:
    return next((r for r in _RULES if fnmatch.fnmatchcase(key, r.pattern)), None)


def _trials(axes: tuple[int, ...]) -> str:
    return " x ".join(map(str, axes)) + " trials"


def _problem(
    array: np.ndarray, rule: _Rule, num_axes: int, like: np.ndarray | None
) -> str | None:
    if problem := _problem_of_form(array.dtype, array.shape, rule, num_axes):
        return problem
    axes = num_axes + bool(rule.length_of)
    if like is not None and like.ndim == axes and array.shape != like.shape:
        return f"its shape is {array.shape}, that of {rule.length_of!r} {like.shape}"
    if rule.finite and not np.isfinite(array).all():
        return "it holds NaN or infinity, and must not"
    if rule.least is not None and array.size:
        least, most = array.min().item(), array.max().item()
        if least < rule.least or most > rule.most:
            got = least if least < rule.least else most
            return f"it holds {got}, and should hold {rule.least} to {rule.most}"
    if rule.rising and not (array[..., 1:] > array[..., :-1]).all():
        return "its values must rise, and do not"
    return None


def _problem_of_form(
    dtype: np.dtype, shape: tuple[int, ...], rule: _Rule, num_axes: int
) -> str | None:
    """Return what is wrong with an array's type and shape, its values apart."""
    if dtype.kind not in rule.kinds:
        allowed = " or ".join(_TYPES[k] for k in rule.kinds if k in _TYPES)
        return f"it holds {dtype}, and should hold {allowed}"
    axes = num_axes + bool(rule.length_of)
    if len(shape) != axes:
        return f"its shape is {shape}, and it should have {axes} axes"
    if rule.length_of and not shape[-1]:
        return "it is empty"
    if dtype.kind in _TEXT and dtype.itemsize > _MAX_TEXT_BYTES:
        return (
            f"it says that its texts take {dtype.itemsize:,} bytes each, and "
            f"{_MAX_TEXT_BYTES:,} may be"
        )
    return None


def _check_status(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    status = arrays.get("status")
    if status is None:
        return
    if odd := [s for s in status.reshape(-1) if str(s) not in FINISHED]:
        raise DamagedFileError(
            path,
            f"it is {str(odd[0])!r}, and should be {' or '.join(FINISHED)}",
            key="status",
        )
    losses = arrays.get("train/loss")
    if losses is not None:
        is_done = status == "done"
        if (is_done != np.isfinite(losses[..., -1])).any():
            raise DamagedFileError(
                path, "it does not fit the last training loss", key="status"
            )


def diverged_from(losses: np.ndarray) -> int:
    """Return the first step from which no training loss is finite; -1 if the last is.

    Args:
      losses: float `[num_steps + 1]`.
    """
    finite = np.flatnonzero(np.isfinite(losses))
    first = int(finite[-1]) + 1 if finite.size else 0
    return first if first < len(losses) else -1


def endings(losses: np.ndarray, steps: np.ndarray) -> Result:
    """Return how trials ended: what `status` and `diverged_from` are of each.

    Args:
      losses: float `[num_configs, num_seeds, num]`.
      steps: at which they were measured, `[num]`.
    """
    places = np.apply_along_axis(diverged_from, -1, losses)
    return {
        "status": np.where(places < 0, *FINISHED),
        "diverged_from": np.where(places < 0, -1, steps[places]),
    }
