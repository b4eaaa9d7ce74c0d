"""Runs a grid of trials with one strategy, a chunk at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from learned_optimization.errors import RunStoppedError
from learned_optimization.prng import as_numbers, from_numbers, key_of_words
from learned_optimization.training.checkpoint import Checkpoint, Saved, join
from learned_optimization.training.feed import FedChunk, Feed
from learned_optimization.training.final_evaluation import FinalEvaluation
from learned_optimization.training.grid import Layout, map_trials
from learned_optimization.training.initial import initializer_of
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.program import ChunkOutputs, TrialProgram
from learned_optimization.training.results import GridResult, Progress, curves_of
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.trial_data import EVAL_SPLITS

_SECONDS_PER_CHUNK = 1.0


class GridRunner:
    """A grid of trials, as far as it has come.

    Args:
      program: what a trial does.
      layout: the devices.
      plan: number of steps and evaluations.
      hparams: one array `[configs, ...]` per hyper-parameter that differs.
      keys: words of the PRNG key of each seed.
      strategy: how a device computes its share.

    Attributes:
      strategy: as given.
      run_seconds: seconds spent running so far, compilation apart.
      compile_seconds: seconds spent compiling so far.
      seconds_per_block: seconds a block took in the last chunk, compilation apart;
        infinite before the first.
    """

    def __init__(
        self,
        program: TrialProgram,
        layout: Layout,
        plan: RunPlan,
        hparams: list[np.ndarray],
        keys: list[np.ndarray],
        strategy: Strategy,
    ):
        self.strategy = strategy
        self._program, self._layout, self._plan = program, layout, plan
        self.compile_seconds = self.run_seconds = 0.0
        self._done, self._chunks = 0, cast("list[ChunkOutputs]", [])
        self.seconds_per_block = float("inf")
        self._fed: tuple[FedChunk, int] | None = None
        self._final: dict[str, np.ndarray] = {}

        self._options = strategy.compiler_options(layout.platform)
        padded = [np.asarray(layout.pad_configs(list(values))) for values in hparams]
        self._hparams = layout.put(padded, layout.over_configs)
        raw_keys = np.stack(layout.pad_seeds(keys))
        self._keys = layout.put(raw_keys, layout.over_seeds)
        self._is_asked_for = layout.put(layout.is_asked_for, layout.over_grid)
        self._feed = Feed(plan, layout, program, keys)
        self._opt_state = self._init(keys)
        self._chunk = None

    def _compile(
        self, function: Callable, *args: Any, donate: tuple[int, ...] = ()
    ) -> Callable[..., Any]:
        start = time.perf_counter()
        compiled = cast(
            "Callable[..., Any]",
            jax.jit(function, donate_argnums=donate)
            .lower(*args)
            .compile(compiler_options=self._options),
        )
        self.compile_seconds += time.perf_counter() - start
        return compiled

    def _init(self, keys: list[np.ndarray]) -> Any:
        program, layout = self._program, self._layout
        # One seed at a time, so that a seed's initial parameters do not depend
        # on which other seeds run with it.
        start = time.perf_counter()
        draw = initializer_of(program.task)
        drawn = [draw(words) for words in keys]
        self.compile_seconds += time.perf_counter() - start
        initial = jax.tree.map(lambda *x: np.stack(x), *layout.pad_seeds(drawn))
        initial = layout.put(initial, layout.over_seeds)

        def init(hparams, initial, keys):
            def one(hparams, initial, key):
                params, model_state = initial
                key = key_of_words(key)
                return program.init(hparams, params, model_state, key)

            # No hyper-parameter differs where there is one configuration.
            over_configs = jax.vmap(
                one, in_axes=(0, None, None), axis_size=layout.configs_per_device
            )
            return jax.vmap(over_configs, in_axes=(None, 0, 0))(hparams, initial, keys)

        specs = (layout.over_configs, layout.over_seeds, layout.over_seeds)
        args = (self._hparams, initial, self._keys)
        return self._compile(layout.map(init, specs), *args)(*args)

    def _chunk_function(self) -> Callable:
        program, layout = self._program, self._layout
        width = self.strategy.trials_at_once
        # Of trials side by side none can be left out; alone, one of padding would
        # only take cores from those that were asked for.
        skips_padding = width == 1 and layout.has_padding

        def chunk(opt_state, asked_for, hparams, keys, train_ix, eval_ix, data, inputs):
            def one(opt_state, asked_for, hparams, key, train_ix, eval_ix):
                def run(opt_state):
                    train_arrays, eval_arrays = data
                    return program.run_chunk(
                        hparams,
                        opt_state,
                        key_of_words(key),
                        train_ix,
                        eval_ix,
                        train_arrays,
                        eval_arrays,
                        inputs,
                    )

                def skip(opt_state):
                    _, outputs = jax.eval_shape(run, opt_state)
                    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)
                    return opt_state, zeros

                if not skips_padding:
                    return run(opt_state)
                return lax.cond(asked_for, run, skip, opt_state)

            trials = map_trials(one, layout, width, num_of_seeds=3)
            return trials(opt_state, asked_for, hparams, keys, train_ix, eval_ix)

        grid, seeds, configs = layout.over_grid, layout.over_seeds, layout.over_configs
        everywhere = PartitionSpec()
        return layout.map(
            chunk, (grid, grid, configs, seeds, seeds, seeds, everywhere, everywhere)
        )

    def _start(self, inputs: FedChunk) -> ChunkOutputs:
        """Set the devices to work on a chunk, without waiting for them."""
        args = (
            self._opt_state,
            self._is_asked_for,
            self._hparams,
            self._keys,
            *inputs,
        )
        if self._chunk is None:
            self._chunk = self._compile(self._chunk_function(), *args, donate=(0,))
        self._opt_state, outputs = self._chunk(*args)
        return outputs

    def _collect(
        self, outputs: ChunkOutputs, first: int, num_blocks: int
    ) -> ChunkOutputs:
        """Return the curves of a chunk, once the devices are done with it."""
        outputs = jax.tree.map(np.asarray, outputs)
        updates = int(self._plan.updates_of_block[first : first + num_blocks].sum())
        seeds, configs = self._layout.num_seeds, self._layout.num_configs
        return ChunkOutputs(
            outputs.train_loss[:seeds, :configs, :updates],
            {
                metric: values[:seeds, :configs, :num_blocks]
                for metric, values in outputs.metrics.items()
            },
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go to where a checkpoint was made, if there is one of this grid."""
        saved = checkpoint.load(self._state_like(), self._fits)
        if saved is None or not self._restore(saved.opt_state):
            return
        self._feed.skip(saved.blocks_done)
        self._done, self._chunks = saved.blocks_done, [saved.chunk]
        self.run_seconds = saved.run_seconds

    def _state_like(self) -> Any:
        """Return a tree shaped as the state in a checkpoint."""
        return self._unpadded_state()

    def _restore(self, state: Any) -> bool:
        """Take over the state of a checkpoint; return whether it could be."""
        layout = self._layout
        rows, columns = (
            np.minimum(np.arange(padded), size - 1)
            for padded, size in zip(
                layout.padded, (layout.num_seeds, layout.num_configs), strict=True
            )
        )
        padded = jax.tree.map(lambda x: x[rows][:, columns], state)
        state = jax.tree.map(from_numbers, padded, self._opt_state)
        self._opt_state = layout.put(state, layout.over_grid)
        return True

    def _fits(self, saved: Saved) -> bool:
        """Return whether the curves of a checkpoint are of this plan and grid."""
        plan, layout, done = self._plan, self._layout, saved.blocks_done
        if not 0 < done <= plan.num_evals:
            return False
        grid = (layout.num_seeds, layout.num_configs)
        updates = int(plan.updates_of_block[:done].sum())
        metrics = saved.chunk.metrics
        return (
            np.shape(saved.chunk.train_loss) == (*grid, updates)
            and {"loss", "loss_normalized"} <= metrics.keys()
            and {np.shape(m) for m in metrics.values()}
            == {(*grid, done, len(EVAL_SPLITS))}
        )

    def _unpadded_state(self) -> Any:
        seeds, configs = self._layout.num_seeds, self._layout.num_configs
        return jax.tree.map(lambda x: as_numbers(x)[:seeds, :configs], self._opt_state)

    @property
    def steps_per_block(self) -> int:
        """Trial-steps of a block, over all trials."""
        layout = self._layout
        return self._plan.block_updates * layout.num_seeds * layout.num_configs

    @property
    def blocks_left(self) -> int:
        """Blocks still to do."""
        return self._plan.num_evals - self._done

    def advance(
        self,
        seconds: float = float("inf"),
        on_progress: Callable[[Progress], None] = lambda progress: None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Go on for about so long, or to the end.

        Args:
          seconds: how long, compilation apart.
          on_progress: called after every chunk.
          checkpoint: where to save to, now and then and when told to stop.

        Raises:
          RunStoppedError: if the checkpoint says to stop; what was done is saved, if
            it can be.
        """
        end = self.run_seconds + seconds
        while self.blocks_left and self.run_seconds < end:
            self._do_chunk()
            on_progress(self._progress())
            if checkpoint and self.blocks_left:
                self._maybe_save(checkpoint)

    def _do_chunk(self) -> None:
        inputs, size = self._fed or self._read(self._done)
        compile_seconds, start = self.compile_seconds, time.perf_counter()
        outputs = self._start(inputs)
        # The next chunk's data is read while the devices work.
        following = self._done + size
        self._fed = self._read(following) if following < self._plan.num_evals else None
        chunk = self._collect(outputs, self._done, size)
        seconds = time.perf_counter() - start
        seconds -= self.compile_seconds - compile_seconds
        self.run_seconds += seconds
        self.seconds_per_block = seconds / size
        self._chunks.append(chunk)
        self._done += size

    def _read(self, first: int) -> tuple[FedChunk, int]:
        """Return what the chunk from a block on reads, and its number of blocks."""
        size = int(_SECONDS_PER_CHUNK / max(self.seconds_per_block, 1e-9))
        size = max(1, min(size, self._program.max_blocks, self._plan.num_evals - first))
        return self._feed.inputs(first, size), size

    def evaluate_whole_splits(self, checkpoint: Checkpoint | None = None) -> None:
        """Measure every trial on whole splits, once no block is left.

        Args:
          checkpoint: as in `advance`.

        Raises:
          RunStoppedError: as in `advance`.
        """
        evaluation = self._final_evaluation()
        while evaluation.batches_left:
            evaluation.advance()
            if checkpoint and evaluation.batches_left:
                self._maybe_save(checkpoint)
        self._final = evaluation.means()
        self.run_seconds += evaluation.run_seconds

    def measure_whole_splits(self, seconds: float) -> float:
        """Return about how long evaluating whole splits takes, compilation apart.

        Args:
          seconds: how long to measure.
        """
        evaluation = self._final_evaluation()
        while evaluation.batches_left and evaluation.run_seconds < seconds:
            evaluation.advance()
        done = evaluation.num_batches - evaluation.batches_left
        return evaluation.run_seconds / max(done, 1) * evaluation.num_batches

    def _final_evaluation(self) -> FinalEvaluation:
        return FinalEvaluation(
            self._program,
            self._layout,
            self.strategy.trials_at_once,
            (self._opt_state, self._is_asked_for, self._hparams, self._keys),
            self._feed.eval_arrays,
            self._compile,
        )

    def result(self) -> GridResult:
        """Return the whole curves, once no block is left."""
        return GridResult(
            curves=curves_of(self._plan, join(self._chunks)) | self._final,
            run_seconds=self.run_seconds,
            compile_seconds=self.compile_seconds,
            devices=tuple(self._layout.mesh.devices.flat),
            strategy=self.strategy,
        )

    def _maybe_save(self, checkpoint: Checkpoint) -> None:
        stop, is_saved = checkpoint.should_stop(), True
        if stop or checkpoint.is_due():
            is_saved = checkpoint.save(
                Saved(
                    blocks_done=self._done,
                    opt_state=self._unpadded_state(),
                    chunk=join(self._chunks),
                    run_seconds=self.run_seconds,
                    strategy=self.strategy,
                )
            )
        if stop:
            lost = "" if is_saved else ", which could not be saved"
            raise RunStoppedError(
                f"stopped after {self._progress().updates_done} updates{lost}"
            )

    def _progress(self) -> Progress:
        done, chunk = self._done, self._chunks[-1]
        plan, layout = self._plan, self._layout
        return Progress(
            updates_done=int(plan.updates_of_block[:done].sum()),
            num_updates=plan.num_steps + 1,
            num_trials=layout.num_seeds * layout.num_configs,
            num_devices=layout.mesh.size,
            num_diverged=int(np.sum(~np.isfinite(chunk.train_loss[:, :, -1]))),
            run_seconds=self.run_seconds,
            compile_seconds=self.compile_seconds,
            strategy=self.strategy,
        )
