"""Checkpoints of a running grid: what a killed run goes on from.

A checkpoint is one npz file, written whole. It holds the trials' states as they
were between two chunks, and the curves up to there. Where a run is cut does not
change its curve by one bit, so a resumed run ends as an unbroken one.

There are two files, written in turn: whatever happens to the one that is written, on
a disk or in a store, the one before is still there.
"""

from __future__ import annotations

import posixpath
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    MissingFileError,
    ResultError,
)
from learned_optimization.npz import check_readable, open_npz, read_npz, write_npz
from learned_optimization.training.program import ChunkOutputs
from learned_optimization.training.strategy import Strategy

# Between two checkpoints pass this many seconds,
_SECONDS_BETWEEN = 60.0
# ... or more, so that writing them takes at most this share of the time.
_SHARE_OF_TIME = 0.02
# Of what a checkpoint holds; one of another version is not used.
_VERSION = 2
_METRIC, _STATE = "metrics/", "state/"


class CheckpointWarning(UserWarning):
    """A checkpoint cannot be written, read or deleted; the run goes on."""


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
      path: the first file, local or a URL; the second is beside it, see `paths`.
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
    # Of the checkpoint the run goes on from, or wrote last.
    _newest: str = ""
    _generation: int = 0
    _said: set[str] = field(default_factory=set)

    @property
    def paths(self) -> tuple[str, str]:
        """The two files, which are written in turn."""
        start, extension = posixpath.splitext(self.path)
        return self.path, f"{start}.second{extension}"

    def is_due(self) -> bool:
        """Return whether enough time went by since the last one, or the start."""
        wait = max(self.seconds_between, self._cost / _SHARE_OF_TIME)
        return time.monotonic() - self._last >= wait

    def save(self, saved: Saved) -> bool:
        """Write a checkpoint; return whether it could be written.

        If not, that is said once, and the checkpoint before is there still.
        """
        start = time.monotonic()
        leaves = jax.tree.leaves(saved.opt_state)
        first, second = self.paths
        path = second if self._newest == first else first
        arrays: dict[str, Any] = {
            "identity": self.identity,
            "version": np.int64(_VERSION),
            "generation": np.int64(self._generation + 1),
            "strategy": str(saved.strategy),
            "blocks_done": np.int64(saved.blocks_done),
            "run_seconds": np.float64(saved.run_seconds),
            "train_loss": saved.chunk.train_loss,
            **{_METRIC + name: m for name, m in saved.chunk.metrics.items()},
            **{f"{_STATE}{i}": as_bytes(leaf) for i, leaf in enumerate(leaves)},
        }
        try:
            # What could not be read would keep the ones before from being used.
            check_readable(path, arrays)
            write_npz(path, arrays, compress=False)
        # Each store has errors of its own, and none is worth a run.
        except Exception as error:
            self._warn(
                "written",
                f"no checkpoint can be written: {_reason(error)} The run goes on, and "
                "tries again later; killed before that, it loses what it did since "
                "the last one.",
            )
            is_written = False
        else:
            self._newest, self._generation = path, self._generation + 1
            is_written = True
        self._last = time.monotonic()
        self._cost = self._last - start
        return is_written

    def strategy(self) -> Strategy | None:
        """Return the strategy of the run saved, if any: its curve goes on so."""
        for _, arrays in self._read_all():
            try:
                return Strategy.parse(str(arrays["strategy"]))
            except ValueError:
                continue
        return None

    def load(
        self, template: Any, fits: Callable[[Saved], bool] = lambda saved: True
    ) -> Saved | None:
        """Return the run as it was saved last, if there is a checkpoint of it.

        A checkpoint that cannot be read, does not fit or is of another run is as good
        as none: then it is the one before.

        Args:
          template: states shaped as those saved, e.g. the initial ones.
          fits: whether the curves are of the run's shape.
        """
        for path, arrays in self._read_all():
            saved = _restored(arrays, template)
            if saved is not None and fits(saved):
                self._newest = path
                self._generation = int(arrays["generation"])
                return saved
        return None

    def _read_all(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Return the files of this run that are whole, the newest first."""
        generations = {}
        for path in self.paths:
            arrays = self._read(path, ["identity", "version", "generation"])
            if arrays is not None:
                generations[path] = int(arrays["generation"])
        for path in sorted(generations, key=generations.__getitem__, reverse=True):
            arrays = self._read(path)
            if arrays is not None:
                yield path, arrays

    def _read(
        self, path: str, keys: Sequence[str] | None = None
    ) -> dict[str, np.ndarray] | None:
        try:
            with open_npz(path) as npz:
                arrays = npz.read(keys) if npz.is_sealed else {}
        except (MissingFileError, DamagedFileError):
            return None
        except ResultError as error:
            self._warn(
                path, f"a checkpoint cannot be used: {error} The one before it may be."
            )
            return None
        said = [str(arrays.get(key)) for key in ("identity", "version")]
        return arrays if said == [self.identity, str(_VERSION)] else None

    def remove(self) -> None:
        """Delete the checkpoint, once the run's results are kept."""
        for path in self.paths:
            try:
                filesystem.remove_file(path)
            except ResultError as error:
                self._warn(path, f"a checkpoint is left behind: {error}")

    def _warn(self, about: str, message: str) -> None:
        if about not in self._said:
            self._said.add(about)
            warnings.warn(message, CheckpointWarning, stacklevel=3)


def _reason(error: Exception) -> str:
    # What is no error of this package does not say which.
    return str(error) if isinstance(error, LoptError) else f"{error!r}."


def _restored(arrays: dict[str, np.ndarray], template: Any) -> Saved | None:
    """Return what a checkpoint holds; None if it is not shaped as the template."""
    leaves, structure = jax.tree.flatten(template)
    if sum(key.startswith(_STATE) for key in arrays) != len(leaves):
        return None
    metrics = {
        key.removeprefix(_METRIC): values
        for key, values in arrays.items()
        if key.startswith(_METRIC)
    }
    try:
        restored = [
            from_bytes(arrays[f"{_STATE}{i}"], leaf) for i, leaf in enumerate(leaves)
        ]
        return Saved(
            blocks_done=int(arrays["blocks_done"]),
            opt_state=jax.tree.unflatten(structure, restored),
            chunk=ChunkOutputs(cast("Any", arrays["train_loss"]), cast("Any", metrics)),
            run_seconds=float(arrays["run_seconds"]),
            strategy=Strategy.parse(str(arrays["strategy"])),
        )
    except (KeyError, TypeError, ValueError):
        return None


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
def as_bytes(leaf: Any) -> np.ndarray:
    """Return the bytes of an array, uint8 `[bytes]`."""
    return np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)


def from_bytes(data: np.ndarray, like: Any) -> np.ndarray:
    """Return the array whose bytes these are, of the type and shape of another."""
    if data.dtype != np.uint8:
        raise ValueError(f"a state is held as bytes, got {data.dtype}")
    return data.view(like.dtype).reshape(like.shape)
