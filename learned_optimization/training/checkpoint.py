"""Checkpoints of a running grid: what a killed run goes on from.

A checkpoint is one npz file, replaced whole. It holds the trials' states as they
were between two chunks, and the curves up to there. Where a run is cut does not
change its curve by one bit, so a resumed run ends as an unbroken one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import DamagedFileError, ResultError
from learned_optimization.npz import read_npz, write_npz
from learned_optimization.training.program import ChunkOutputs
from learned_optimization.training.strategy import Strategy

# Between two checkpoints pass this many seconds,
_SECONDS_BETWEEN = 60.0
# ... or more, so that writing them takes at most this share of the time.
_SHARE_OF_TIME = 0.02


@dataclass(frozen=True)
class Saved:
    """A run as far as it came.

    Attributes:
      blocks_done: blocks behind it.
      opt_state: the trials' states, `[seeds, configs, ...]` without padding.
      chunk: the curves up to there, `[seeds, configs, ...]`.
      run_seconds: seconds spent on them.
      strategy: how the devices computed their shares.
    """

    blocks_done: int
    opt_state: Any
    chunk: ChunkOutputs
    run_seconds: float
    strategy: Strategy


@dataclass
class Checkpoint:
    """Where a grid's checkpoint is, and when it is time for another.

    Attributes:
      path: the file, local or a URL.
      identity: text that tells this run from every other; a checkpoint of
        another is not used.
      seconds_between: seconds from one checkpoint to the next, at least.
      should_stop: asked after every chunk; a run that is to stop saves and raises
        `RunStoppedError`.
    """

    path: str
    identity: str
    seconds_between: float = _SECONDS_BETWEEN
    should_stop: Callable[[], bool] = lambda: False
    _last: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    def is_due(self) -> bool:
        """Return whether enough time went by since the last one, or the start."""
        wait = max(self.seconds_between, self._cost / _SHARE_OF_TIME)
        return time.monotonic() - self._last >= wait

    def save(self, saved: Saved) -> None:
        """Replace the checkpoint."""
        start = time.monotonic()
        leaves = jax.tree.leaves(saved.opt_state)
        arrays: dict[str, Any] = {
            "identity": self.identity,
            "strategy": str(saved.strategy),
            "blocks_done": np.int64(saved.blocks_done),
            "run_seconds": np.float64(saved.run_seconds),
            "train_loss": saved.chunk.train_loss,
            **{f"metrics/{name}": m for name, m in saved.chunk.metrics.items()},
            **{f"state/{i}": _as_bytes(leaf) for i, leaf in enumerate(leaves)},
        }
        write_npz(self.path, arrays, compress=False)
        self._last = time.monotonic()
        self._cost = self._last - start

    def strategy(self) -> Strategy | None:
        """Return the strategy of the run saved, if any: its curve goes on so."""
        arrays = self._read(["identity", "strategy"])
        return None if arrays is None else Strategy.parse(str(arrays["strategy"]))

    def load(self, template: Any) -> Saved | None:
        """Return the run as it was saved, if there is a checkpoint of this very run.

        A checkpoint that cannot be read, or is of another run, is as good as
        none.

        Args:
          template: states shaped as those saved, e.g. the initial ones.
        """
        arrays = self._read()
        if arrays is None:
            return None
        leaves, structure = jax.tree.flatten(template)
        restored = [
            _from_bytes(arrays[f"state/{i}"], leaf) for i, leaf in enumerate(leaves)
        ]
        prefix = "metrics/"
        metrics = {
            key.removeprefix(prefix): values
            for key, values in arrays.items()
            if key.startswith(prefix)
        }
        return Saved(
            blocks_done=int(arrays["blocks_done"]),
            opt_state=jax.tree.unflatten(structure, restored),
            chunk=ChunkOutputs(cast("Any", arrays["train_loss"]), cast("Any", metrics)),
            run_seconds=float(arrays["run_seconds"]),
            strategy=Strategy.parse(str(arrays["strategy"])),
        )

    def _read(self, keys: Sequence[str] | None = None) -> dict[str, np.ndarray] | None:
        if not filesystem.exists(self.path):
            return None
        try:
            arrays = read_npz(self.path, keys)
        except DamagedFileError:
            return None
        return arrays if str(arrays["identity"]) == self.identity else None

    def remove(self) -> None:
        """Delete the checkpoint, once the run's results are kept."""
        filesystem.remove_file(self.path)


def read_identity(path: str) -> str | None:
    """Return the identity of a checkpoint, None if there is none to be read.

    The states, which may be large, are not read.
    """
    try:
        return str(read_npz(path, ["identity"])["identity"])
    except ResultError:
        return None


def join(chunks: Sequence[ChunkOutputs]) -> ChunkOutputs:
    """Return one chunk that holds what several do, one after another."""
    return jax.tree.map(lambda *x: np.concatenate(x, axis=2), *chunks)


# Not every dtype of jax has a form in npz files: bytes have.
def _as_bytes(leaf: Any) -> np.ndarray:
    return np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)


def _from_bytes(data: np.ndarray, like: Any) -> np.ndarray:
    return data.view(like.dtype).reshape(like.shape)
