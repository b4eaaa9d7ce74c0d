"""Data that is part of the package: small, exact, quick to load.

Files are made by `scripts/make_embedded_fashion_mnist.py`. Images are 16-bit
integers, kept as two planes of bytes because those compress better.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np


def file_name(name: str, image_size: int) -> str:
    """Return the name of the file that holds a data set at one size."""
    return f"{name}_{image_size}x{image_size}.npz"


def pack(
    images: np.ndarray, divisor: float, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return a file's arrays of uint16 images `[num, size, size, channels]`."""
    return {
        "image_high": (images >> 8).astype(np.uint8),
        "image_low": (images & 0xFF).astype(np.uint8),
        "divisor": np.asarray(divisor, np.float64),
        "label": labels.astype(np.uint8),
    }


def load(name: str, image_size: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Load an embedded data set, the training part followed by the test part.

    Returns:
      uint16 images `[num, size, size, channels]`, the number they are to be
      divided by to lie in [0, 1], and uint8 labels `[num]`.
    """
    path = files(__name__) / file_name(name, image_size)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as npz:
        images = (npz["image_high"].astype(np.uint16) << 8) | npz["image_low"]
        return images, float(npz["divisor"]), npz["label"]
