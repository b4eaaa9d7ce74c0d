"""Index streams: which examples each batch holds, decided before training.

Drawing indices on the host keeps random numbers out of the compiled loop, and
the same seed gives every configuration of a set the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class EpochStream:
    """An endless stream of example indices, every example once an epoch.

    Args:
      entropy: non-negative integers that decide the order, e.g. a seed and a
        number that tells this stream from others of that seed.
      example_range: half-open range of the indices drawn.
    """

    def __init__(self, entropy: Sequence[int], example_range: tuple[int, int]):
        start, stop = example_range
        if stop <= start:
            raise ValueError(f"a stream needs examples, got the range {example_range}.")
        self._rng = np.random.Generator(
            np.random.Philox(np.random.SeedSequence(list(entropy)))
        )
        self._examples = np.arange(start, stop, dtype=np.int32)
        self._pending = np.zeros(0, np.int32)

    def take(self, *shape: int) -> np.ndarray:
        """The next indices, int32 of that shape, in C order."""
        count = int(np.prod(shape))
        parts, have = [self._pending], len(self._pending)
        while have < count:
            parts.append(self._rng.permutation(self._examples))
            have += len(self._examples)
        flat = np.concatenate(parts)
        self._pending = flat[count:].copy()
        return flat[:count].reshape(shape)
