"""Stacks the results of many trials into arrays, in memory or in a file.

A file is written key by key, from the trials' own files, a few of which are in
memory at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import IO

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.errors import ResultError
from learned_optimization.npz import NpzWriter, open_npz

Paths = Sequence[Sequence[str]]
"""Result files `[configs][seeds]`."""

# Keys are read together, of all trials, as long as they take no more bytes than this;
# a larger key is copied trial by trial.
_BYTES_AT_ONCE = 64 << 20
# Deflate hardly makes losses smaller, but it does make numbers of steps smaller.
_LEVEL_OF_KIND = {"f": 0}
_LEVEL = 1


def stack(paths: Paths, names: Mapping[str, Sequence[str]] | None = None) -> Result:
    """Read results and stack them into arrays with two leading axes.

    A key that some result lacks is left out.

    Args:
      paths: the result files `[configs][seeds]`.
      names: key of text, such as `opt_name`, to one text per configuration, which
        replaces what the files say.

    Raises:
      ResultError: if the same key has different shapes, or a file cannot be read.
    """
    names = names or {}
    rows = [[read_result(path) for path in row] for row in paths]
    everything = [result for row in rows for result in row]
    keys = [
        k for k in everything[0] if k not in names and all(k in r for r in everything)
    ]
    for key in keys:
        _check_shapes(key, {result[key].shape for result in everything})
    stacked = {
        key: np.stack([np.stack([r[key] for r in row]) for row in rows]) for key in keys
    }
    return stacked | _stack_names(names, len(rows[0]))


def _stack_names(
    names: Mapping[str, Sequence[str]], num_seeds: int
) -> dict[str, np.ndarray]:
    return {key: np.asarray([[n] * num_seeds for n in of]) for key, of in names.items()}


def write_stacked(
    path: str, paths: Paths, names: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write the archive that `stack` would make, without holding it in memory.

    Args:
      path: the archive.
      paths: the result files `[configs][seeds]`.
      names: as in `stack`.

    Raises:
      ResultError: as `stack`; nothing is written then.
    """
    names = names or {}
    axes = (len(paths), len(paths[0]))
    files = [file for row in paths for file in row]

    def write(file: IO[bytes]) -> None:
        with NpzWriter(file) as writer:
            for keys in _batches(files, names):
                if len(keys) == 1:
                    _stream(writer, keys[0], files, axes)
                else:
                    _add_together(writer, keys, files, axes)
            for key, array in _stack_names(names, axes[1]).items():
                writer.add(key, array, compress_level=_LEVEL)

    filesystem.write_whole(path, write)


def _batches(files: Sequence[str], without: Container[str]) -> Iterator[list[str]]:
    """Return the keys of all files, less some, in groups that are read together."""
    sizes: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for path in files:
        with open_npz(path) as npz:
            for key in npz.keys:
                sizes[key] += npz.size_of(key)
                count[key] += 1
    batch: list[str] = []
    for key in (k for k in sizes if k not in without and count[k] == len(files)):
        if batch and sum(sizes[k] for k in [*batch, key]) > _BYTES_AT_ONCE:
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def _add_together(
    writer: NpzWriter, keys: list[str], files: Sequence[str], axes: tuple[int, int]
) -> None:
    results = [read_result(path, keys) for path in files]
    for key in keys:
        arrays = [result[key] for result in results]
        _check_shapes(key, {array.shape for array in arrays})
        dtype = np.result_type(*{array.dtype for array in arrays})
        _add(writer, key, (*axes, *arrays[0].shape), dtype, iter(arrays))


def _stream(
    writer: NpzWriter, key: str, files: Sequence[str], axes: tuple[int, int]
) -> None:
    headers = []
    for path in files:
        with open_npz(path) as npz:
            headers.append(npz.header(key))
    _check_shapes(key, {header.shape for header in headers})
    dtype = np.result_type(*{header.dtype for header in headers})
    rows = (read_result(path, [key])[key] for path in files)
    _add(writer, key, (*axes, *headers[0].shape), dtype, rows)


def _add(
    writer: NpzWriter,
    key: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    rows: Iterator[np.ndarray],
) -> None:
    level = _LEVEL_OF_KIND.get(dtype.kind, _LEVEL)
    writer.add_rows(key, shape, dtype, rows, compress_level=level)


def _check_shapes(key: str, shapes: set[tuple[int, ...]]) -> None:
    if len(shapes) > 1:
        raise ResultError(
            f"results differ in the shape of {key!r}: {sorted(shapes)}. "
            "They come from different settings and cannot share an archive."
        )
