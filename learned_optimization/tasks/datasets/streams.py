"""Index streams: which examples each batch holds, decided before training.

Drawing indices on the host keeps random numbers out of the compiled loop, and
the same seed gives every configuration of a set the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.tasks.datasets.permutation import draw_keys, permuted

# Beyond this many examples a shuffled list of them would take too much memory.
_LARGE = 1 << 22


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
        self._start, self._num = start, stop - start
        self._pending = np.zeros(0, np.int32)
        # Of a large range: how much of this epoch was drawn, and its permutation.
        self._position = self._num
        self._keys = np.zeros(0, np.uint64)

    def take(self, *shape: int) -> np.ndarray:
        """Return the next indices, int32 of that shape, in C order."""
        count = int(np.prod(shape))
        parts, have = [self._pending], len(self._pending)
        while have < count:
            parts.append(self._next(count - have))
            have += len(parts[-1])
        flat = np.concatenate(parts)
        self._pending = flat[count:].copy()
        return flat[:count].reshape(shape)

    def skip(self, count: int) -> None:
        """Pass over the next `count` indices."""
        while count:
            part = min(count, _LARGE)
            self.take(part)
            count -= part

    def _next(self, count: int) -> np.ndarray:
        """Return the rest of an epoch, or at least its next `count` indices."""
        if self._num <= _LARGE:
            examples = np.arange(self._start, self._start + self._num, dtype=np.int32)
            return self._rng.permutation(examples)
        if self._position == self._num:
            self._position, self._keys = 0, draw_keys(self._rng)
        stop = min(self._position + count, self._num)
        drawn = permuted(np.arange(self._position, stop), self._num, self._keys)
        self._position = stop
        return (self._start + drawn).astype(np.int32)
