"""Bilinear resizing without antialiasing, exact where it can be."""

from __future__ import annotations

import numpy as np

_SLAB = 512
_WHITE = 255


def resize_bilinear(images: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """Resize square images by bilinear interpolation, without antialiasing.

    Output pixel `i` samples the input at `(i + 0.5) * in / out - 0.5`, clamped
    to the edge (half-pixel centres, as `jax.image.resize(antialias=False)`).
    For 28 to 8, 16 or 32 the weights are multiples of a power of two, so the
    result is kept as exact integers.

    Args:
      images: uint8 `[num, height, width, channels]` with height = width.
      size: height and width wanted.

    Returns:
      Array `[num, size, size, channels]` and the number it is to be divided by
      to lie in [0, 1]: uint8 or uint16 and a multiple of 255, or, where no
      16-bit integer holds the result exactly, float32 and 1.
    """
    _, height, width, _ = images.shape
    if height != width:
        raise ValueError(f"images must be square, got {height} x {width}.")
    if height == size:
        return images, float(_WHITE)
    low, high, weight = _samples(height, size)
    steps = _smallest_exact_steps(weight)
    exact = steps is not None
    if exact:
        weight = np.rint(weight * steps).astype(np.int32)
    shape = (len(images), size, size, images.shape[-1])
    out = np.empty(shape, np.uint16 if exact else np.float32)
    for start in range(0, len(images), _SLAB):
        slab = slice(start, start + _SLAB)
        if exact:
            out[slab] = _sample(images[slab].astype(np.int32), low, high, weight, steps)
        else:
            sampled = _sample(images[slab].astype(np.float64), low, high, weight, 1)
            out[slab] = sampled / _WHITE
    return out, float(_WHITE * steps**2) if exact else 1.0


def resize_bilinear_to(image: np.ndarray, size: int) -> np.ndarray:
    """Resize one image of any shape to a square, as `resize_bilinear` does.

    Args:
      image: uint8 `[height, width, channels]`.
      size: height and width wanted.

    Returns:
      float64 `[size, size, channels]` in [0, 255].
    """
    top, bottom, down = _samples(image.shape[0], size)
    left, right, across = _samples(image.shape[1], size)
    down, across = down[:, None, None], across[:, None]
    # The rows needed are few: the others are never converted.
    rows = image[top] * (1 - down) + image[bottom] * down
    return rows[:, left] * (1 - across) + rows[:, right] * across


def _samples(in_size: int, out_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each output pixel's two neighbours, and the right one's weight."""
    centre = (np.arange(out_size) + 0.5) * in_size / out_size - 0.5
    centre = np.clip(centre, 0, in_size - 1)
    low = np.minimum(np.floor(centre).astype(int), max(in_size - 2, 0))
    return low, np.minimum(low + 1, in_size - 1), centre - low


def _smallest_exact_steps(weight: np.ndarray) -> int | None:
    """Return the least power of two that makes every weight whole and fits 16 bits."""
    for steps in (1, 2, 4, 8, 16):
        if np.array_equal(weight * steps, np.rint(weight * steps)):
            return steps
    return None


def _sample(
    images: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    weight: np.ndarray,
    one: int,
) -> np.ndarray:
    w = weight[:, None, None]
    rows = images[:, low] * (one - w) + images[:, high] * w
    w = weight[:, None]
    return rows[:, :, low] * (one - w) + rows[:, :, high] * w
