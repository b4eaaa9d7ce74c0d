"""The evaluation at the end of a run: whole splits, at the last parameters.

It is a program of its own, which knows nothing of how the run went: the curves of a
run are the same bits whether it follows or not. Nor does it know the optimizer, which
only says at what it is evaluated: a task is compiled once for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from learned_optimization.prng import key_of_words
from learned_optimization.training.grid import Layout, map_trials
from learned_optimization.training.program import TrialProgram
from learned_optimization.training.trial_data import EVAL_SPLITS, ArrayPool
from learned_optimization.training.whole_splits import Batches, whole_splits

# A piece takes about so long, so that a run can be told to stop.
_SECONDS_PER_PIECE = 1.0
# Of data too large for memory, a piece brings at most so much.
_PIECE_DATA_BYTES = 256 << 20

Compile = Callable[..., Callable[..., Any]]
"""Compiles a function for the arguments behind it."""


class FinalEvaluation:
    """Evaluates every trial of a grid on whole splits, a piece at a time.

    A task without data, and one whose data comes from iterators, has no whole splits:
    there is nothing to do then.

    Args:
      program: what a trial does.
      layout: the devices.
      trials_at_once: trials computed side by side.
      trials: states behind the last update `[seeds, configs, ...]`, which trials were
        asked for, hyper-parameters `[configs, ...]`, and words of the keys
        `[seeds, ...]`, all on the devices.
      eval_arrays: stored arrays of the evaluation data, on the devices; empty where
        they are too large for memory.
      compile_: compiles a function.

    Attributes:
      run_seconds: seconds spent so far, compilation apart.
      batches_left: batches still to do.
    """

    def __init__(
        self,
        program: TrialProgram,
        layout: Layout,
        trials_at_once: int,
        trials: tuple[Any, Any, Any, Any],
        eval_arrays: Any,
        compile_: Compile,
    ):
        self._program, self._layout = program, layout
        self._trials_at_once = trials_at_once
        self._opt_state, self._asked_for, self._hparams, self._keys = trials
        self._evaluated: Any = None
        self._eval_arrays, self._compile = eval_arrays, compile_
        self._pool = program.eval_pool
        self._groups: list[Batches] = []
        self._num_examples: dict[str, int] = {}
        if isinstance(self._pool, ArrayPool):
            self._groups, self._num_examples = whole_splits(self._pool, self._takes)
        self.run_seconds = 0.0
        self.batches_left = sum(len(group.rows) for group in self._groups)
        self._seconds_per_batch = float("inf")
        self._at, self._first = 0, 0
        self._compiled: Callable[..., Any] | None = None
        self._outputs: list[list[dict[str, np.ndarray]]] = [[] for _ in self._groups]

    @property
    def num_batches(self) -> int:
        """Batches of all splits together."""
        return sum(len(group.rows) for group in self._groups)

    def advance(self) -> None:
        """Go on with some more batches."""
        group = self._groups[self._at]
        room = min(len(group.rows), self._most_batches(group.rows.shape[1]))
        size = int(_SECONDS_PER_PIECE / max(self._seconds_per_batch, 1e-9))
        size = max(1, min(size, room, len(group.rows) - self._first))
        rows = group.rows[self._first : self._first + size]
        before = self.num_batches - self.batches_left
        indices, arrays = self._read(rows, room)
        numbers = self._put((np.int32(before), np.int32(size)))
        if self._evaluated is None:
            of_trials = (self._opt_state, self._asked_for, self._hparams)
            self._evaluated = self._compile(self._parameters(), *of_trials)(*of_trials)
        trials = (self._evaluated, self._asked_for, None, self._keys)
        args = (*trials, indices, arrays, *numbers)
        if self._compiled is None:
            self._compiled = self._compile(self._function(), *args)
        start = time.perf_counter()
        outputs = jax.tree.map(np.asarray, self._compiled(*args))
        seconds = time.perf_counter() - start
        seeds, configs = self._layout.num_seeds, self._layout.num_configs
        self._outputs[self._at].append(
            {name: x[:seeds, :configs, :size] for name, x in outputs.items()}
        )
        self.run_seconds += seconds
        self._seconds_per_batch = seconds / size
        self.batches_left -= size
        self._first += size
        if self._first == len(group.rows):
            # The next group has batches of another size: another program.
            self._at, self._first, self._compiled = self._at + 1, 0, None

    def means(self) -> dict[str, np.ndarray]:
        """Return the mean of every metric over each split, once no batch is left.

        Returns:
          `final/SPLIT/METRIC` float32, and `final/num_examples/SPLIT` int64, all
          `[num_configs, num_seeds]`; empty if there was nothing to do.
        """
        totals: dict[str, Any] = {}
        for group, pieces in zip(self._groups, self._outputs, strict=True):
            for name in pieces[0]:
                values = np.concatenate([piece[name] for piece in pieces], axis=-1)
                # A batch counts as often as it has examples.
                values = values.astype(np.float64) * group.rows.shape[1]
                for i, split in enumerate(EVAL_SPLITS):
                    key = f"final/{split}/{name}"
                    # Of a diverged trial, infinite losses of both signs.
                    with np.errstate(invalid="ignore"):
                        of_split = values[..., group.splits == i].sum(axis=-1)
                        totals[key] = totals.get(key, 0.0) + of_split
        means: dict[str, np.ndarray] = {}
        for split, count in self._num_examples.items():
            for key in (k for k in totals if k.startswith(f"final/{split}/")):
                # [seeds, configs] on the devices, [configs, seeds] in files.
                means[key] = (totals[key].T / count).astype(np.float32)
            key = f"final/{split}/loss"
            means[f"{key}_normalized"] = self._normalized(means[key])
            shape = means[key].shape
            means[f"final/num_examples/{split}"] = np.full(shape, count, np.int64)
        return means

    def _normalized(self, losses: np.ndarray) -> np.ndarray:
        """Return what the task makes of the loss of a whole split."""
        normalizer = jax.vmap(self._program.eval_task.normalizer)
        normalized = np.asarray(normalizer(jnp.asarray(losses.reshape(-1))))
        return normalized.astype(np.float32).reshape(losses.shape)

    def _takes(self, batch_size: int) -> bool:
        """Return whether the task can be evaluated on batches of some size."""
        program = self._program

        def trace(opt_state, hparams, keys):
            opt_state = jax.tree.map(lambda x: x[0, 0], opt_state)
            at = program.evaluated([values[0] for values in hparams], opt_state)
            program.metric_names(*at, key_of_words(keys[0]), batch_size)

        try:
            jax.eval_shape(trace, self._opt_state, self._hparams, self._keys)
        # What jax and numpy raise where shapes do not fit.
        except (TypeError, ValueError):
            return False
        return True

    def _parameters(self) -> Callable[..., Any]:
        program, layout = self._program, self._layout

        def parameters(opt_state, asked_for, hparams):
            def one(opt_state, asked_for, hparams):
                return program.evaluated(hparams, opt_state)

            trials = map_trials(one, layout, self._trials_at_once, num_of_seeds=0)
            return trials(opt_state, asked_for, hparams)

        return layout.map(
            parameters, (layout.over_grid, layout.over_grid, layout.over_configs)
        )

    def _function(self) -> Callable[..., Any]:
        program, layout, width = self._program, self._layout, self._trials_at_once
        skips_padding = width == 1 and layout.has_padding

        def piece(evaluated, asked_for, nothing, keys, indices, arrays, first, count):
            def one(evaluated, asked_for, nothing, key):
                params, state = evaluated

                def run():
                    seed = key_of_words(key)
                    return program.evaluate_batches(
                        params, state, seed, indices, arrays, first, count
                    )

                def skip():
                    zeros = jax.eval_shape(run)
                    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), zeros)

                return lax.cond(asked_for, run, skip) if skips_padding else run()

            trials = map_trials(one, layout, width, num_of_seeds=1)
            return trials(evaluated, asked_for, nothing, keys)

        grid, seeds, configs = layout.over_grid, layout.over_seeds, layout.over_configs
        everywhere = [PartitionSpec()] * 4
        return layout.map(piece, (grid, grid, configs, seeds, *everywhere))

    def _most_batches(self, batch_size: int) -> int:
        """Return batches of a piece, at most."""
        if not self._pool.is_streamed:
            return self.num_batches
        return max(1, int(_PIECE_DATA_BYTES / self._pool.example_bytes / batch_size))

    def _read(self, rows: np.ndarray, room: int) -> tuple[Any, Any]:
        """Return indices `[room, batch]`, and the arrays they are rows of."""
        padded = np.zeros((room, rows.shape[1]), np.int32)
        padded[: len(rows)] = rows
        if not self._pool.is_streamed:
            return self._put(padded), self._eval_arrays
        assert isinstance(self._pool, ArrayPool)
        # Padding points to row 0, which may be one more.
        arrays, [indices] = self._pool.gather([padded], padded.size + 1)
        return self._put(indices), self._put(arrays)

    def _put(self, tree: Any) -> Any:
        return self._layout.put(tree, PartitionSpec())
