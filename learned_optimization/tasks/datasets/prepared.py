"""The prepared form of a data set: raw arrays on disk, mapped or read at once.

A prepared data set is a folder with one raw binary file per field and
`manifest.json`, which tells shapes, checksums and where the data came from. It
is written under another name and renamed when it is complete. Writing that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from learned_optimization import locking
from learned_optimization.errors import DatasetShapeError, LoptError

MANIFEST = "manifest.json"
MAX_BYTES_IN_MEMORY = 1 << 30

_FORMAT = 1
_PROGRESS = "progress.json"
_PARTIAL = ".partial"
_OLD = ".old"

Part = Literal["train", "test"]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Field:
    """One array of a prepared data set.

    Attributes:
      dtype: its dtype, e.g. `"uint8"`.
      item_shape: its shape without the first axis.
    """

    dtype: str
    item_shape: tuple[int, ...] = ()

    @property
    def item_bytes(self) -> int:
        """Bytes of one item."""
        return np.dtype(self.dtype).itemsize * math.prod(self.item_shape)


@dataclass(frozen=True)
class Unit:
    """A piece of the work: the most that is lost when writing is interrupted.

    Attributes:
      part: the part of the data set it belongs to.
      make: makes its arrays, by field.
    """

    part: Part
    make: Callable[[], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    Attributes:
      arrays: field to array; mapped from disk where all of them take more than
        `MAX_BYTES_IN_MEMORY`, else in memory.
      num_train: examples of the training part, which come first.
      num_test: examples of the test part.
      info: what the writer said of it, e.g. where it came from.
    """

    arrays: Mapping[str, np.ndarray]
    num_train: int
    num_test: int
    info: Mapping[str, Any]


def write(
    folder: Path,
    fields: Mapping[str, Field],
    units: Sequence[Unit],
    *,
    fingerprint: str,
    info: Mapping[str, Any],
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Write a prepared data set, going on where an earlier call stopped.

    Args:
      folder: its final name; whatever is there is replaced at the end.
      fields: its arrays; the first has one item per example.
      units: the work in order, training part first.
      fingerprint: tells the source and settings from others: only work begun
        with the same one is continued.
      info: stored in the manifest; values that JSON can hold.
      on_progress: called with the units done and their number.
    """
    partial = folder.with_name(folder.name + _PARTIAL)
    partial.mkdir(parents=True, exist_ok=True)
    with _alone(partial):
        state = _begin(partial, fields, fingerprint)
        on_progress(state["done"], len(units))
        with contextlib.ExitStack() as stack:
            files = {
                f: stack.enter_context(open(_array_path(partial, f), "ab"))
                for f in fields
            }
            for unit in units[state["done"] :]:
                arrays = unit.make()
                for name, field in fields.items():
                    _append(files[name], name, field, arrays[name])
                    state["items"][name] += len(arrays[name])
                state["examples"][unit.part] += len(arrays[next(iter(fields))])
                state["done"] += 1
                _write_json(partial / _PROGRESS, state)
                on_progress(state["done"], len(units))
        manifest = {
            "format": _FORMAT,
            "made_by": f"optimizer-baselines {version('optimizer-baselines')}",
            "num_train": state["examples"]["train"],
            "num_test": state["examples"]["test"],
            "info": dict(info),
            "arrays": {
                name: {
                    "dtype": field.dtype,
                    "shape": [state["items"][name], *field.item_shape],
                    "sha256": _sha256(_array_path(partial, name)),
                }
                for name, field in fields.items()
            },
        }
        _write_json(partial / MANIFEST, manifest)
        (partial / _PROGRESS).unlink()
        _replace(folder, partial)


def is_partial(folder: Path) -> bool:
    """Return whether a folder is one that is being written, or about to be removed."""
    return folder.name.endswith((_PARTIAL, _OLD))


def is_prepared(folder: Path) -> bool:
    """Return whether a complete prepared data set is there."""
    return (folder / MANIFEST).is_file()


def read(folder: Path) -> Prepared:
    """Open a prepared data set; check sizes, and checksums where it is small.

    Raises:
      DatasetShapeError: if a file is missing, of another size or damaged.
    """
    manifest = _read_manifest(folder)
    size = sum(_num_bytes(entry) for entry in manifest["arrays"].values())
    if size <= MAX_BYTES_IN_MEMORY:
        verify(folder)
    arrays = {}
    for name, entry in manifest["arrays"].items():
        path, shape = _array_path(folder, name), tuple(entry["shape"])
        _check_size(path, _num_bytes(entry))
        if size <= MAX_BYTES_IN_MEMORY or 0 in shape:
            arrays[name] = np.fromfile(path, entry["dtype"]).reshape(shape)
        else:
            arrays[name] = np.memmap(path, entry["dtype"], "r", shape=shape)
    return Prepared(
        arrays, manifest["num_train"], manifest["num_test"], manifest["info"]
    )


def verify(folder: Path) -> None:
    """Compare every file with its checksum.

    Raises:
      DatasetShapeError: naming the first file that is not what was written.
    """
    for name, entry in _read_manifest(folder)["arrays"].items():
        path = _array_path(folder, name)
        _check_size(path, _num_bytes(entry))
        if _sha256(path) != entry["sha256"]:
            raise DatasetShapeError(
                f"{path}: its checksum is not the one written in {MANIFEST}: the "
                "file is damaged. Prepare the data set again."
            )


def _check_entry(name: str, entry: dict[str, Any]) -> None:
    """Refuse what is no array of numbers in the folder.

    Raises:
      ValueError: saying what is wrong; KeyError or TypeError likewise.
    """
    if not name.isidentifier():
        raise ValueError(f"an array is called {name!r}")
    kind = np.dtype(entry["dtype"])
    if kind.kind not in "iuf" or kind.fields or kind.subdtype:
        raise ValueError(f"{name} is of {entry['dtype']!r}, and should be of numbers")
    if not all(type(size) is int and size >= 0 for size in entry["shape"]):
        raise ValueError(f"{name} has the shape {entry['shape']!r}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != _FORMAT:
            raise DatasetShapeError(
                f"{path}: is of format {manifest['format']}, this version reads "
                f"{_FORMAT}. Prepare the data set again."
            )
        for name, entry in manifest["arrays"].items():
            _check_entry(name, entry)
        return manifest
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, DatasetShapeError):
            raise
        raise DatasetShapeError(
            f"{path}: no manifest of a prepared data set: {error!r}. "
            "Prepare the data set again."
        ) from error


def _begin(
    partial: Path, fields: Mapping[str, Field], fingerprint: str
) -> dict[str, Any]:
    """Return the state to go on from; cuts off what was written after it was saved."""
    try:
        state = json.loads((partial / _PROGRESS).read_text())
    except (OSError, ValueError):
        state = {}
    if state.get("fingerprint") != fingerprint:
        state = {
            "fingerprint": fingerprint,
            "done": 0,
            "items": dict.fromkeys(fields, 0),
            "examples": {"train": 0, "test": 0},
        }
    for name, field in fields.items():
        path = _array_path(partial, name)
        path.touch()
        wanted = state["items"][name] * field.item_bytes
        if path.stat().st_size < wanted:
            raise DatasetShapeError(
                f"{path}: is shorter than {_PROGRESS} says. Delete {partial} and "
                "prepare the data set again."
            )
        os.truncate(path, wanted)
    return state


def _replace(folder: Path, partial: Path) -> None:
    """Replace what was there before by what is complete."""
    old = folder.with_name(folder.name + _OLD)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Keep two processes from writing the same data set at once."""
    path = partial.with_name(partial.name + ".lock")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locking.alone(str(path), wait=False))
        except BlockingIOError as error:
            raise LoptError(
                f"another process is writing {partial}: wait until it is done."
            ) from error
        yield


def _append(file: Any, name: str, field: Field, array: np.ndarray) -> None:
    array = np.asarray(array)
    if array.dtype != field.dtype or array.shape[1:] != field.item_shape:
        raise ValueError(
            f"{name!r} is {array.dtype} of item shape {array.shape[1:]}, declared "
            f"{field.dtype} of {field.item_shape}."
        )
    file.write(np.ascontiguousarray(array).tobytes())
    # What progress.json counts as done must not be in a buffer.
    file.flush()
    os.fsync(file.fileno())


def _array_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.bin"


def _num_bytes(entry: Mapping[str, Any]) -> int:
    return np.dtype(entry["dtype"]).itemsize * math.prod(entry["shape"])


def _check_size(path: Path, wanted: int) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != wanted:
        raise DatasetShapeError(
            f"{path}: "
            + ("is missing" if size is None else f"holds {size} bytes")
            + f", expected {wanted}. Prepare the data set again."
        )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)
