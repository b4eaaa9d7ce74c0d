"""Read IDX files, the format MNIST and Fashion-MNIST are published in.

Format: http://yann.lecun.com/exdb/mnist (two zero bytes, a type code, the
number of axes, each axis' length as a big-endian 32-bit integer, the values).
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.sources.base import ArraySource

_PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_UINT8 = 0x08
_MAX_BYTES = 1 << 30


def find(row: ImageDataset, folder: Path) -> ArraySource | None:
    """Return the four IDX files of a folder: images and labels, training then test.

    Either spelling (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`) will
    do, compressed or not.

    Returns:
      The source, or None unless all four are there.
    """
    found = []
    for part in _PARTS:
        spellings = (part, part.replace("-idx", ".idx"))
        candidates = [folder / (s + end) for s in spellings for end in ("", ".gz")]
        path = next((c for c in candidates if c.is_file()), None)
        if path is None:
            return None
        found.append(path)
    return ArraySource(row, tuple(found), lambda: _load(row, found))


def _load(row: ImageDataset, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    arrays = [read_idx(path) for path in files]
    pixels = (row.image_size, row.image_size)
    for path, array, shape in zip(
        files,
        arrays,
        (
            (row.num_train, *pixels),
            (row.num_train,),
            (row.num_test, *pixels),
            (row.num_test,),
        ),
        strict=True,
    ):
        if array.shape != shape:
            raise DatasetShapeError(
                f"{path}: holds an array of shape {array.shape}, expected {shape} "
                f"for {row.name}."
            )
    images, labels = np.concatenate(arrays[::2]), np.concatenate(arrays[1::2])
    return images[..., None], labels


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file of bytes, compressed if its name ends in `.gz`.

    Args:
      path: the file.

    Returns:
      uint8 array with the axes the file declares.

    Raises:
      DatasetShapeError: naming the file, what was found and what was expected.
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            # One byte over the limit tells a larger file from one just as large.
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetShapeError(f"{path}: cannot be read: {error}.") from error
    if len(content) > _MAX_BYTES:
        raise DatasetShapeError(
            f"{path}: over {_MAX_BYTES} bytes, no data set here is."
        )
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8:
        raise DatasetShapeError(
            f"{path}: no IDX file of bytes: it begins with "
            f"{content[:4].hex() or 'nothing'}, expected 000008 and the number of axes."
        )
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise DatasetShapeError(
            f"{path}: declares {content[3]} axes but ends within their lengths: it is "
            "cut off."
        )
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    size = math.prod(shape)
    if len(content) - header != size:
        raise DatasetShapeError(
            f"{path}: declares the shape {shape}, which takes {size} bytes, but "
            f"holds {len(content) - header}: it is cut off or damaged."
        )
    try:
        return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    except ValueError as error:  # more axes, or longer ones, than numpy allows
        raise DatasetShapeError(
            f"{path}: declares the shape {shape}, expected that of a data set: {error}."
        ) from error
