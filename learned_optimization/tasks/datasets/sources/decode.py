"""Decode image files and makes them square at one size."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets.catalog import ImageDataset
from learned_optimization.tasks.datasets.resize import resize_bilinear_to

# Examples decoded between two looks at the clock.
UNIT_SIZE = 1024


def decode_images(
    row: ImageDataset, encoded: Iterable[tuple[Any, bytes | Path]], image_size: int
) -> np.ndarray:
    """Decode many files at once; aspect ratios are not kept.

    Args:
      row: the data set; decides channels and resampling.
      encoded: what to call each file in an error, and its content or path.
      image_size: height and width wanted.

    Returns:
      uint8 `[num, image_size, image_size, channels]`.

    Raises:
      DatasetShapeError: naming the file that cannot be read.
      LoptError: if pillow is not installed.
    """
    # Pillow lets go of Python's lock while it decodes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = pool.map(
            lambda item: decode_image(*item, row=row, image_size=image_size), encoded
        )
        return np.stack(list(images))


def decode_image(
    name: Any, content: bytes | Path, *, row: ImageDataset, image_size: int
) -> np.ndarray:
    """Return an image, uint8 `[image_size, image_size, channels]`."""
    image_module = _pillow()
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with image_module.open(source) as image:
            image = image.convert("L" if row.channels == 1 else "RGB")
            if row.resampling == "box" and image.size != (image_size, image_size):
                image = image.resize(
                    (image_size, image_size), image_module.Resampling.BOX
                )
            pixels = np.asarray(image)
    except (
        OSError,
        ValueError,
        SyntaxError,
        image_module.DecompressionBombError,
    ) as error:
        raise DatasetShapeError(
            f"{name}: no image that can be read: {error}."
        ) from error
    pixels = pixels.reshape(*pixels.shape[:2], row.channels)
    if pixels.shape[:2] == (image_size, image_size):
        return pixels
    if row.image_size is not None:
        raise DatasetShapeError(
            f"{name}: is {pixels.shape[0]}x{pixels.shape[1]} pixels, those of "
            f"{row.name} are {row.image_size}x{row.image_size}."
        )
    return np.rint(resize_bilinear_to(pixels, image_size)).astype(np.uint8)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise LoptError(
            "decoding images needs the package pillow: "
            "pip install 'optimizer-baselines[data]'."
        ) from error
    return Image
