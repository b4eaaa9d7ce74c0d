"""npz files that are written whole and read without ever running a pickle."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import DamagedFileError, ResultError

# What a damaged npz raises, depending on where the damage is.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_npz(path: str, arrays: Mapping[str, Any], compress: bool = True) -> None:
    """Writes arrays as an npz, whole or not at all.

    Equal arrays make equal bytes: no time stamp is kept inside.

    Args:
      path: local path or URL.
      arrays: key to array, or what numpy makes one of.
      compress: smaller, but slower to write and read.

    Raises:
      ResultError: if a value would need a pickle; nothing is written then.
    """
    as_arrays = {key: np.asarray(value) for key, value in arrays.items()}
    for key, array in as_arrays.items():
        if array.dtype.hasobject:
            raise ResultError(
                f"cannot write {key!r} to {path}: an array of Python objects "
                "would need a pickle. Store numbers or text."
            )

    def write(file: IO[bytes]) -> None:
        save = np.savez_compressed if compress else np.savez
        save(file, allow_pickle=False, **as_arrays)

    filesystem.write_whole(path, write)


def read_npz(
    path: str, keys: Sequence[str] | None = None, missing_ok: bool = False
) -> dict[str, np.ndarray]:
    """Reads an npz without ever running a pickle.

    Args:
      path: local path or URL.
      keys: the keys wanted; all of them if None.
      missing_ok: leave out keys the file lacks.

    Raises:
      ResultError: if the file is missing or cannot be reached.
      DamagedFileError: if it is damaged, lacks a key, or holds
        Python objects.
    """
    if not filesystem.exists(path):
        raise ResultError(f"no such file: {path}")
    try:
        with filesystem.open_to_read(path) as file:
            # A zip is read from its end: one read beats many seeks when remote.
            content = io.BytesIO(file.read())
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error}.") from error
    try:
        with np.load(content, allow_pickle=False) as npz:
            wanted = npz.files if keys is None else keys
            if missing_ok:
                wanted = [key for key in wanted if key in npz.files]
            return {key: npz[key] for key in wanted}
    except _DAMAGE as error:
        raise DamagedFileError(
            f"cannot read {path}: {error}. The file is damaged, or not what it "
            "should be: delete it and make it again."
        ) from error
