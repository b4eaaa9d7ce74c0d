"""Reads IDX files, the format MNIST and Fashion-MNIST are published in.

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

_UINT8 = 0x08
_MAX_BYTES = 1 << 30


def read_idx(path: str | Path) -> np.ndarray:
    """Reads an IDX file of bytes, compressed if its name ends in `.gz`.

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
