"""Runs one trial whose optimizer steps in Python, between compiled gradients.

All but the step is what it is in every other trial of the seed: initial parameters,
data, random numbers of the loss, evaluations. So the results of such trials pair with
those of others.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import PartitionSpec

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer, StatelessState
from learned_optimization.optimizers.stepped import SteppedOptimizer
from learned_optimization.prng import key_of_words
from learned_optimization.training.backend import local_devices
from learned_optimization.training.feed import FedChunk
from learned_optimization.training.final_evaluation import FinalEvaluation
from learned_optimization.training.grid import Layout
from learned_optimization.training.grid_runner import GridRunner
from learned_optimization.training.initial import initializer_of
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.program import ChunkOutputs, TrialProgram
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.trial_data import EVAL_SPLITS

# Only holds what is evaluated at the end.
_HOLDER = Optimizer()
_MAX_COMPILED = 64


class SteppedRunner(GridRunner):
    """A trial that is stepped in Python, as far as it has come.

    Args:
      program: what a trial does, with a `SteppedOptimizer`.
      layout: the device.
      plan: number of steps and evaluations.
      hparams: empty: there is one configuration.
      keys: words of the PRNG key of the seed.
      strategy: how the gradient is compiled.

    Raises:
      LoptError: if there is more than one trial, or its device is not jax's first, or
        is no CPU.
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
        self._opt = cast("SteppedOptimizer", program.make_optimizer(()))
        _check_alone(self._opt, layout)
        # Once an optimizer has failed for numbers that are not finite.
        self._is_lost = False
        holder = replace(program, make_optimizer=lambda hparams: _HOLDER)
        super().__init__(holder, layout, plan, hparams, keys, strategy)

    def _init(self, keys: list[np.ndarray]) -> Any:
        """Start the optimizer; the state of the grid is empty until the end."""
        [words] = keys
        params, self._model_state = self._layout.put(
            initializer_of(self._program.task)(words), PartitionSpec()
        )
        self._arrangement = self._opt.arrangement(params)
        arrays = self._compile(self._arrangement.to_arrays, params)(params)
        self._stepper = self._opt.start(
            self._arrangement, arrays, self._plan.num_steps, int(words[-1])
        )
        self._key = self._layout.put(words, PartitionSpec())
        self._gradient: Callable[..., Any] | None = None
        self._evaluate: Callable[..., Any] | None = None
        return None

    def _compile(
        self, function: Callable, *args: Any, donate: tuple[int, ...] = ()
    ) -> Callable[..., Any]:
        """Return a function compiled, for this trial or for another like it."""
        del donate
        start = time.perf_counter()
        lowered = _Lowered(jax.jit(function).lower(*args))
        compiled = _compiled(lowered, tuple(sorted(self._options.items())))
        self.compile_seconds += time.perf_counter() - start
        return compiled

    def _start(self, inputs: FedChunk) -> ChunkOutputs:
        """Run a chunk."""
        numbers = jax.tree.map(np.asarray, inputs.numbers)
        program, num_blocks = self._program, int(numbers.num_blocks)
        losses = np.zeros(program.max_blocks * program.block_updates, np.float32)
        rows: list[dict[str, np.ndarray]] = []
        # It counts itself, so that no number crosses to the device at each update.
        row = self._layout.put(np.int32(0), PartitionSpec())
        for block in range(num_blocks):
            first = block * program.block_updates
            rows.append(self._evaluated(inputs, block))
            for place in range(first, first + int(numbers.updates[block])):
                losses[place], row = self._update(inputs, row)
        metrics = {
            name: np.zeros((program.max_blocks, len(EVAL_SPLITS)), np.float32)
            for name in rows[0]
        }
        for block, values in enumerate(rows):
            for name, value in values.items():
                metrics[name][block] = value
        outputs = cast("Any", ChunkOutputs(cast("Any", losses), cast("Any", metrics)))
        return jax.tree.map(lambda x: x[None, None], outputs)

    def _update(self, inputs: FedChunk, row: jax.Array) -> tuple[float, jax.Array]:
        """Run one update; return its loss, and the row of the next one's batch."""
        if self._is_lost:
            return np.nan, row
        before = self._model_state
        after: tuple[jax.Array, Any] | None = None
        first_step = inputs.numbers.first_step
        reads = (self._key, first_step, row, inputs.train_indices, inputs.data[0])
        following = row

        def gradient(
            arrays: Sequence[jax.Array],
        ) -> tuple[jax.Array, Sequence[jax.Array]]:
            nonlocal after, following
            args = (list(arrays), before, *reads)
            if self._gradient is None:
                self._gradient = self._compile(self._gradient_function, *args)
            loss, state, grads, following = self._gradient(*args)
            # The optimizer changes in place what the program reads and has written.
            for grad in grads:
                grad.block_until_ready()
            # Of several evaluations of a step, the first one is at its parameters.
            if after is None:
                after = loss, state
            return loss, grads

        try:
            self._stepper.step(gradient)
        except Exception:
            if after is None or np.isfinite(float(after[0])):
                raise
            self._is_lost = True
        assert after is not None
        loss, self._model_state = after
        return float(loss), following

    def _gradient_function(
        self, arrays, state, words, first_step, row, indices, data
    ) -> Any:
        loss_function = self._program.loss_function(
            state, key_of_words(words), first_step + row, indices[0, row], data
        )

        def loss_of(arrays: Sequence[jax.Array]) -> Any:
            return loss_function(self._arrangement.to_params(arrays))

        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, new_state), grads = gradient(arrays)
        return loss, new_state, grads, row + 1

    def _evaluated(self, inputs: FedChunk, block: int) -> dict[str, np.ndarray]:
        with self._stepper.evaluated() as arrays:
            args = (
                list(arrays),
                self._model_state,
                self._key,
                np.int32(block),
                inputs.numbers,
                inputs.eval_indices,
                inputs.data[1],
            )
            if self._evaluate is None:
                self._evaluate = self._compile(self._evaluation_function, *args)
            return jax.tree.map(np.asarray, self._evaluate(*args))

    def _evaluation_function(
        self, arrays, state, words, block, numbers, indices, data
    ) -> Any:
        program, key = self._program, key_of_words(words)
        params = self._arrangement.to_params(arrays)
        step = numbers.first_step + block * program.block_updates
        names = program.metric_names(params, state, key, program.eval_pool.batch_size)
        return program.evaluate(
            params,
            state,
            key,
            step,
            indices[0, block],
            numbers.eval_batches[block],
            data,
            names,
        )

    def _final_evaluation(self) -> FinalEvaluation:
        def held(arrays: Sequence[jax.Array], state: Any) -> StatelessState:
            params = self._arrangement.to_params(arrays)
            trial = StatelessState(params=params, state=state)
            return jax.tree.map(lambda x: x[None, None], trial)

        with self._stepper.evaluated() as arrays:
            args = (list(arrays), self._model_state)
            state = jax.block_until_ready(self._compile(held, *args)(*args))
        self._opt_state = self._layout.put(state, self._layout.over_grid)
        return super()._final_evaluation()

    def _unpadded_state(self) -> Any:
        saved = np.frombuffer(self._stepper.state(), np.uint8)
        return {
            "optimizer": saved,
            "model": jax.tree.map(np.asarray, self._model_state),
        }

    def _state_like(self) -> Any:
        like = jax.tree.map(np.asarray, self._model_state)
        # As many bytes as there are.
        return {"optimizer": jax.ShapeDtypeStruct((-1,), np.uint8), "model": like}

    def _restore(self, state: Any) -> bool:
        try:
            self._stepper.restore(state["optimizer"].tobytes())
        except LoptError:
            return False
        self._model_state = self._layout.put(state["model"], PartitionSpec())
        return True


def _check_alone(opt: SteppedOptimizer, layout: Layout) -> None:
    if (layout.num_seeds, layout.num_configs) != (1, 1):
        raise LoptError(
            f"{opt.defined_by.__name__} steps in Python, one trial after another: it "
            f"takes one optimizer and one key at a time, got {layout.num_configs} and "
            f"{layout.num_seeds}."
        )
    device, first = layout.mesh.devices.flat[0], local_devices()[0]
    if device != first or device.platform != "cpu":
        raise LoptError(
            f"{opt.defined_by.__name__} steps in Python, where memory is shared with "
            f"jax's first device alone, and that must be a CPU: it is {first}, and the "
            f"trial is to run on {device}. JAX_PLATFORMS=cpu makes it one."
        )


class _Lowered:
    """A lowered program, equal to those that do the same."""

    def __init__(self, lowered: Any):
        self.lowered = lowered
        # What is not used is no part of a program, nor is what its results are called.
        called = f"{lowered.args_info}\n{lowered.out_info}"
        self._text = f"{called}\n{lowered.as_text()}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lowered) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


# Tracing is repeated for each trial of a sweep, compiling is not.
@functools.lru_cache(maxsize=_MAX_COMPILED)
def _compiled(program: _Lowered, options: tuple) -> Callable[..., Any]:
    return program.lowered.compile(compiler_options=dict(options))
