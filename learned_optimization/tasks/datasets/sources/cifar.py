"""Read the binary version of CIFAR-10 and CIFAR-100.

Format: https://www.cs.toronto.edu/~kriz/cifar.html (a record is one label byte,
two for CIFAR-100, and 1,024 bytes of red, of green and of blue, row by row).
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.base import ArraySource

_SIDE, _CHANNELS = 32, 3
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Layout:
    """Files of one of the two sets; the last label byte is the one used."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    label_bytes: int


_LAYOUTS = {
    "cifar10": _Layout(
        folder="cifar-10-batches-bin",
        archive="cifar-10-binary.tar.gz",
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test="test_batch.bin",
        label_bytes=1,
    ),
    "cifar100": _Layout(
        folder="cifar-100-binary",
        archive="cifar-100-binary.tar.gz",
        train=("train.bin",),
        test="test.bin",
        label_bytes=2,
    ),
}


def find(row: ImageDataset, folder: Path) -> ArraySource | None:
    """Return the binary files in a folder, in its subfolder, or in their archive.

    The archive is read where it is: nothing is unpacked.
    """
    layout = _LAYOUTS[row.name]
    for place in (folder, folder / layout.folder):
        files = tuple(place / name for name in (*layout.train, layout.test))
        if all(file.is_file() for file in files):
            return ArraySource(row, files, partial(_load, row, layout, files))
    archive = folder / layout.archive
    if archive.is_file():
        return ArraySource(
            row, (archive,), partial(_load_archive, row, layout, archive)
        )
    return None


def _load(
    row: ImageDataset, layout: _Layout, files: tuple[Path, ...]
) -> tuple[np.ndarray, np.ndarray]:
    by_name = {file.name: file for file in files}
    return _parse(row, layout, lambda name: by_name[name].read_bytes(), files[0].parent)


def _load_archive(
    row: ImageDataset, layout: _Layout, archive: Path
) -> tuple[np.ndarray, np.ndarray]:
    wanted = {*layout.train, layout.test}
    # One byte more than the largest file should have says that it is too long.
    most = max(row.num_train, row.num_test) * _record_bytes(layout) + 1
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            # In the order of the archive: to go back would unpack it again.
            for member in tar:
                name = member.name.rpartition("/")[2]
                if name in wanted and (file := tar.extractfile(member)):
                    found[name] = file.read(most)
            # The checksum stands at the very end, after what tarfile reads.
            while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DatasetShapeError(f"{archive}: cannot be read: {error}.") from error
    if missing := sorted(wanted - found.keys()):
        raise DatasetShapeError(
            f"{archive}: lacks {', '.join(missing)}. It must be the binary version, "
            "not that for Python or Matlab."
        )
    return _parse(row, layout, found.__getitem__, archive)


def _record_bytes(layout: _Layout) -> int:
    return layout.label_bytes + _CHANNELS * _SIDE**2


def _parse(
    row: ImageDataset, layout: _Layout, read: Callable[[str], bytes], where: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of all records, training part first."""
    record = _record_bytes(layout)
    per_file = row.num_train // len(layout.train)
    records = []
    for name in (*layout.train, layout.test):
        content = read(name)
        wanted = row.num_test if name == layout.test else per_file
        if len(content) != wanted * record:
            raise DatasetShapeError(
                f"{where / name}: holds {len(content)} bytes, expected "
                f"{wanted * record}: {wanted} records of {record}."
            )
        records.append(np.frombuffer(content, np.uint8).reshape(-1, record))
    everything = np.concatenate(records)
    planes = everything[:, layout.label_bytes :]
    images = planes.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), everything[:, layout.label_bytes - 1]
