"""Runs a grid of trials from first to last update, a chunk at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import PartitionSpec

from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import cost
from learned_optimization.training.checkpoint import Checkpoint, RunStoppedError, join
from learned_optimization.training.feed import FedChunk, Feed, max_blocks
from learned_optimization.training.grid import (
    Device,
    Layout,
    map_in_groups,
    stack_hparams,
)
from learned_optimization.training.initial import initializer_of, key_words
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.program import (
    ChunkOutputs,
    TrialProgram,
)
from learned_optimization.training.results import GridResult, Progress, curves_of
from learned_optimization.training.trial_data import Pool

# Arithmetic of one step of the trials that a device trains side by side.
_FLOPS_AT_ONCE = 4e9
_SECONDS_A_CHUNK = 1.0


def run_grid(
    task: Task,
    opts: Sequence[Optimizer],
    keys: Sequence[jax.Array],
    plan: RunPlan,
    *,
    eval_task: Task | None = None,
    devices: Sequence[Device] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> GridResult:
    """Trains every optimizer with every key.

    Args:
      task: the task trained on.
      opts: one optimizer a configuration, differing in numeric
        hyper-parameters only.
      keys: one PRNG key a seed; it decides initial parameters, the order of the
        data and every other random number, the same for each configuration.
      plan: number of steps and evaluations.
      eval_task: the task evaluated; `task` if None.
      devices: devices to run on; all local ones if None.
      on_progress: called after every chunk.
      checkpoint: where to go on from and to save to, now and then and when told
        to stop; the caller removes it once the result is kept.

    Returns:
      The curves, and how long they took.

    Raises:
      DataNotFoundError: if the task's data is not at hand.
      LoptError: if the optimizers cannot run in one program.
      RunStoppedError: if the checkpoint says to stop; what was done is saved.
    """
    eval_task = eval_task or task
    train_pool = Pool.of(task.datasets)
    eval_pool = (
        train_pool
        if eval_task.datasets == task.datasets
        else Pool.of(eval_task.datasets)
    )
    hparams, make_optimizer = stack_hparams(opts)
    layout = Layout.choose(len(keys), len(opts), list(devices or jax.local_devices()))
    program = TrialProgram(
        task=task,
        eval_task=eval_task,
        make_optimizer=make_optimizer,
        train_pool=train_pool,
        eval_pool=eval_pool,
        num_steps=plan.num_steps,
        block_updates=plan.block_updates,
        max_blocks=max_blocks(plan, train_pool, eval_pool, len(keys)),
    )
    words = [key_words(key) for key in keys]
    runner = _GridRunner(program, layout, plan, hparams, words)
    return runner.run(on_progress or (lambda progress: None), checkpoint)


class _GridRunner:
    """The state of one `run_grid` call."""

    def __init__(
        self,
        program: TrialProgram,
        layout: Layout,
        plan: RunPlan,
        hparams: list[np.ndarray],
        keys: list[np.ndarray],
    ):
        self._program, self._layout, self._plan = program, layout, plan
        self._compile_seconds = self._run_seconds = 0.0

        padded = [np.asarray(layout.pad_configs(list(values))) for values in hparams]
        self._hparams = layout.put(padded, layout.over_configs)
        raw_keys = np.stack(layout.pad_seeds(keys))
        self._keys = layout.put(raw_keys, layout.over_seeds)
        self._feed = Feed(plan, layout, program, keys)
        self._opt_state = self._init(keys)
        self._chunk = None

    def _compile(
        self, function: Callable, *args: Any, donate: tuple[int, ...] = ()
    ) -> Callable[..., Any]:
        start = time.perf_counter()
        compiled = cast(
            "Callable[..., Any]",
            jax.jit(function, donate_argnums=donate).lower(*args).compile(),
        )
        self._compile_seconds += time.perf_counter() - start
        return compiled

    def _init(self, keys: list[np.ndarray]) -> Any:
        program, layout = self._program, self._layout
        # One seed at a time, so that a seed's initial parameters do not depend
        # on which other seeds run with it.
        start = time.perf_counter()
        draw = initializer_of(program.task)
        drawn = [draw(words) for words in keys]
        self._compile_seconds += time.perf_counter() - start
        initial = jax.tree.map(lambda *x: np.stack(x), *layout.pad_seeds(drawn))
        initial = layout.put(initial, layout.over_seeds)

        def init(hparams, initial, keys):
            def one(hparams, initial, key):
                params, model_state = initial
                key = jax.random.wrap_key_data(key)
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
        width = _trials_at_once(program.task)

        def chunk(opt_state, hparams, keys, train_ix, eval_ix, data, inputs):
            def one(opt_state, hparams, key, train_ix, eval_ix):
                key = jax.random.wrap_key_data(key)
                train_arrays, eval_arrays = data
                return program.run_chunk(
                    hparams,
                    opt_state,
                    key,
                    train_ix,
                    eval_ix,
                    train_arrays,
                    eval_arrays,
                    inputs,
                )

            over_configs = map_in_groups(
                one, (0, 0, None, None, None), layout.configs_per_device, width
            )
            over_seeds = map_in_groups(
                over_configs,
                (0, None, 0, 0, 0),
                layout.seeds_per_device,
                width // layout.configs_per_device,
            )
            return over_seeds(opt_state, hparams, keys, train_ix, eval_ix)

        grid, seeds, configs = layout.over_grid, layout.over_seeds, layout.over_configs
        everywhere = PartitionSpec()
        return layout.map(
            chunk, (grid, configs, seeds, seeds, seeds, everywhere, everywhere)
        )

    def _start(self, inputs: FedChunk) -> ChunkOutputs:
        """Sets the devices to work on a chunk, without waiting for them."""
        args = (self._opt_state, self._hparams, self._keys, *inputs)
        if self._chunk is None:
            self._chunk = self._compile(self._chunk_function(), *args, donate=(0,))
        self._opt_state, outputs = self._chunk(*args)
        return outputs

    def _collect(
        self, outputs: ChunkOutputs, first: int, num_blocks: int
    ) -> ChunkOutputs:
        """The curves of a chunk, once the devices are done with it."""
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

    def _blocks_in(self, seconds_a_block: float) -> int:
        """Blocks that take about a second."""
        size = int(_SECONDS_A_CHUNK / max(seconds_a_block, 1e-9))
        return max(1, min(size, self._program.max_blocks))

    def _resume(self, checkpoint: Checkpoint) -> tuple[int, list[ChunkOutputs]]:
        """Goes to where a checkpoint was made; returns blocks done and curves."""
        saved = checkpoint.load(self._unpadded_state())
        if saved is None:
            return 0, []
        layout = self._layout
        rows, columns = (
            np.minimum(np.arange(padded), size - 1)
            for padded, size in zip(
                layout.padded, (layout.num_seeds, layout.num_configs), strict=True
            )
        )
        padded = jax.tree.map(lambda x: x[rows][:, columns], saved.opt_state)
        self._opt_state = layout.put(padded, layout.over_grid)
        self._feed.skip(saved.blocks_done)
        self._run_seconds = saved.run_seconds
        return saved.blocks_done, [saved.chunk]

    def _unpadded_state(self) -> Any:
        seeds, configs = self._layout.num_seeds, self._layout.num_configs
        return jax.tree.map(lambda x: np.asarray(x)[:seeds, :configs], self._opt_state)

    def run(
        self, on_progress: Callable[[Progress], None], checkpoint: Checkpoint | None
    ) -> GridResult:
        plan, layout = self._plan, self._layout
        done, chunks = self._resume(checkpoint) if checkpoint else (0, [])
        size = min(1, plan.num_evals - done)
        inputs = self._feed.inputs(done, size)
        next_size = size
        while size:
            compile_seconds, start = self._compile_seconds, time.perf_counter()
            outputs = self._start(inputs)
            next_size = min(next_size, plan.num_evals - done - size)
            if next_size:
                # The next chunk's data is read while the devices work.
                inputs = self._feed.inputs(done + size, next_size)
            chunk = self._collect(outputs, done, size)
            seconds = time.perf_counter() - start
            seconds -= self._compile_seconds - compile_seconds
            self._run_seconds += seconds
            chunks.append(chunk)
            done += size
            on_progress(self._progress(done, chunk))
            if checkpoint and next_size:
                self._maybe_save(checkpoint, done, chunks)
            size, next_size = next_size, self._blocks_in(seconds / size)

        return GridResult(
            curves=curves_of(plan, join(chunks)),
            run_seconds=self._run_seconds,
            compile_seconds=self._compile_seconds,
            devices=tuple(layout.mesh.devices.flat),
        )

    def _maybe_save(
        self, checkpoint: Checkpoint, done: int, chunks: list[ChunkOutputs]
    ) -> None:
        stop = checkpoint.should_stop()
        if stop or checkpoint.is_due():
            checkpoint.save(done, self._unpadded_state(), chunks, self._run_seconds)
        if stop:
            raise RunStoppedError(
                f"stopped after {self._progress(done, chunks[-1]).updates_done} updates"
            )

    def _progress(self, done: int, chunk: ChunkOutputs) -> Progress:
        plan, layout = self._plan, self._layout
        return Progress(
            updates_done=int(plan.updates_of_block[:done].sum()),
            num_updates=plan.num_steps + 1,
            num_trials=layout.num_seeds * layout.num_configs,
            num_diverged=int(np.sum(~np.isfinite(chunk.train_loss[:, :, -1]))),
            run_seconds=self._run_seconds,
            compile_seconds=self._compile_seconds,
        )


def _trials_at_once(task: Task) -> int:
    """Trials worth training side by side on one device.

    Small models gain from it: their matrix products become larger ones. Those of
    large models are large already, and would only take more memory.
    """
    try:
        flops = cost(task).flops
    except NotImplementedError:
        flops = 0
    return max(1, int(_FLOPS_AT_ONCE / max(flops, 1)))
