"""Random orders of many examples that take no memory."""

from __future__ import annotations

import numpy as np

_ROUNDS = 6
_ODD = np.uint64(0x9E3779B97F4A7C15)


def permuted(positions: np.ndarray, length: int, keys: np.ndarray) -> np.ndarray:
    """Return where a random permutation of `range(length)` sends some positions.

    A Feistel network (Luby and Rackoff 1988, doi:10.1137/0217022) permutes the
    numbers of an even count of bits; what falls outside the range is sent through
    again until it falls inside, which keeps it a permutation.

    Args:
      positions: integers `[n]` in `range(length)`.
      length: how many numbers are permuted.
      keys: uint64 `[6]`, which choose the permutation.

    Returns:
      int64 `[n]`.
    """
    half_bits = max((max(length - 1, 1).bit_length() + 1) // 2, 1)
    out = _feistel(positions.astype(np.uint64), half_bits, keys)
    while (outside := np.flatnonzero(out >= length)).size:
        out[outside] = _feistel(out[outside], half_bits, keys)
    return out.astype(np.int64)


def draw_keys(rng: np.random.Generator) -> np.ndarray:
    """Return keys of one permutation, uint64 `[6]`."""
    return rng.integers(0, 1 << 64, _ROUNDS, np.uint64)


def _feistel(numbers: np.ndarray, half_bits: int, keys: np.ndarray) -> np.ndarray:
    bits, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> bits, numbers & mask
    for key in keys:
        mixed = (right + key) * _ODD
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD
        left, right = right, left ^ (mixed >> np.uint64(64 - half_bits))
    return (left << bits) | right
