"""Small copies of the image data sets, written from the formats' descriptions."""

import dataclasses
import io
from typing import TypeVar

import numpy as np
from PIL import Image

from learned_optimization.tasks.datasets.catalog import get_image_dataset

_Source = TypeVar("_Source")


def present(source: _Source | None) -> _Source:
    """The source that `find` gives, which must be there."""
    assert source is not None
    return source


def small(name, num_train, num_test, num_classes=None):
    """The catalog's row with fewer examples."""
    row = get_image_dataset(name)
    return dataclasses.replace(
        row,
        num_train=num_train,
        num_test=num_test,
        num_classes=num_classes or row.num_classes,
    )


def draw(num, size, num_classes, channels=3, seed=0):
    """uint8 images `[num, size, size, channels]` and labels `[num]`."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (num, size, size, channels), np.uint8)
    return images, rng.integers(0, num_classes, num)


def smooth(height, width, seed=0):
    """An image that JPEG keeps well: a colour gradient, uint8 `[h, w, 3]`."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 255, (2, 2, 3))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    return np.rint(top * (1 - y) + bottom * y).astype(np.uint8)


def encoded(pixels, kind="png", mode=None):
    """The bytes of an image file."""
    image = Image.fromarray(pixels.squeeze())
    if mode:
        image = image.convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 95} if kind == "jpeg" else {}))
    return out.getvalue()
