"""The compiled program: blocks of evaluation and updates, for many trials at once.

One program serves runs of any length. How many blocks a call does, and how many
batches and updates a block has, are run-time numbers, so a run may be cut into
chunks anywhere without changing one bit of its curve.

Trials form a grid `[seeds, configs]`. Configurations share the batches of their
seed (common random numbers), which lets XLA turn the first layer of all of them
into one matrix product. The grid is split over devices along one axis; trials
never communicate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.base import Task
from learned_optimization.training.pools import Pool
from learned_optimization.training.trial_data import EVAL_SPLITS

# The type of curves, whatever the task computes in.
_CURVE = jnp.float32

# Sub-keys of a seed's key, so that no two uses share random numbers.
INIT_KEY, OPT_INIT_KEY, LOSS_KEY, UPDATE_KEY, EVAL_KEY, FINAL_KEY = range(6)


class ChunkInputs(NamedTuple):
    """What one call reads besides the trials' state.

    Attributes:
      first_step: int32 scalar, number of the chunk's first update.
      num_blocks: int32 scalar, blocks to do.
      updates: int32 `[max_blocks]`, updates of each block.
      eval_batches: int32 `[max_blocks]`, batches of each evaluation.
    """

    first_step: Any
    num_blocks: Any
    updates: Any
    eval_batches: Any


class ChunkOutputs(NamedTuple):
    """The curves of one call, filled as far as its blocks go.

    Attributes:
      train_loss: float32 `[max_blocks * block_updates]`.
      metrics: metric name to float32 `[max_blocks, 3]`, a column a split.
    """

    train_loss: jax.Array
    metrics: dict[str, jax.Array]


@dataclass(frozen=True)
class TrialProgram:
    """How one trial runs; traceable, to be mapped over seeds and configurations.

    Attributes:
      task: the task trained on.
      eval_task: the task evaluated.
      make_optimizer: the optimizer of given (traced) hyper-parameters.
      train_pool: data trained on.
      eval_pool: data evaluated on.
      num_steps: told to the optimizer's `init`.
      block_updates: updates per block at most.
      max_blocks: blocks a call at most.
    """

    task: Task
    eval_task: Task
    make_optimizer: Callable[[Any], Optimizer]
    train_pool: Pool
    eval_pool: Pool
    num_steps: int
    block_updates: int
    max_blocks: int

    def init(self, hparams: Any, params: Any, model_state: Any, key: jax.Array) -> Any:
        """Return the optimizer state before the first update."""
        return self.make_optimizer(hparams).init(
            params,
            model_state=model_state,
            num_steps=self.num_steps,
            key=jax.random.fold_in(key, OPT_INIT_KEY),
        )

    def run_chunk(
        self,
        hparams: Any,
        opt_state: Any,
        key: jax.Array,
        train_indices: jax.Array,
        eval_indices: jax.Array,
        train_arrays: Any,
        eval_arrays: Any,
        inputs: ChunkInputs,
    ) -> tuple[Any, ChunkOutputs]:
        """Run some blocks of one trial.

        Args:
          hparams: traced hyper-parameters of the configuration.
          opt_state: state before the chunk.
          key: PRNG key of the seed.
          train_indices: int32 `[max_blocks * block_updates, batch]`.
          eval_indices: int32 `[max_blocks, max_eval_batches, 3, eval_batch]`.
          train_arrays: tree of stored arrays of the training data.
          eval_arrays: the same of the evaluation data.
          inputs: what varies between calls.

        Returns:
          The state after the chunk, and its curves.
        """
        opt = self.make_optimizer(hparams)

        def evaluate(opt_state, step, block):
            params, state = self.evaluated(hparams, opt_state)
            indices, count = eval_indices[block], inputs.eval_batches[block]
            return self.evaluate(
                params, state, key, step, indices, count, eval_arrays, metric_names
            )

        def update(step, row, opt_state):
            params, state = opt.get_params_state(opt_state)
            loss_with_state = self.loss_function(
                state, key, step, train_indices[row], train_arrays
            )
            (loss, new_state), grad = jax.value_and_grad(loss_with_state, has_aux=True)(
                params
            )
            extra = {}
            if "loss_fn" in opt.needs:
                extra["loss_fn"] = lambda params: loss_with_state(params)[0]
            opt_state = opt.update(
                opt_state,
                grad,
                loss=loss,
                model_state=new_state,
                key=jax.random.fold_in(jax.random.fold_in(key, UPDATE_KEY), step),
                **extra,
            )
            return opt_state, loss

        def block(b, carry):
            opt_state, out = carry
            first_row = b * self.block_updates
            step = inputs.first_step + first_row
            metrics = jax.tree.map(
                lambda buffer, value: buffer.at[b].set(value),
                out.metrics,
                evaluate(opt_state, step, b),
            )

            def one_update(u, carry):
                opt_state, losses = carry
                opt_state, loss = update(step + u, first_row + u, opt_state)
                return opt_state, losses.at[first_row + u].set(
                    jnp.asarray(loss, _CURVE)
                )

            opt_state, losses = lax.fori_loop(
                0, inputs.updates[b], one_update, (opt_state, out.train_loss)
            )
            return opt_state, ChunkOutputs(losses, metrics)

        metric_names = self.metric_names(
            *opt.get_params_state(opt_state), key, self.eval_pool.batch_size
        )
        out = ChunkOutputs(
            _zeros(self.max_blocks * self.block_updates),
            {m: _zeros(self.max_blocks, len(EVAL_SPLITS)) for m in metric_names},
        )
        return lax.fori_loop(0, inputs.num_blocks, block, (opt_state, out))

    def loss_function(
        self,
        model_state: Any,
        key: jax.Array,
        step: jax.Array,
        indices: jax.Array,
        arrays: Any,
    ) -> Callable[[Any], tuple[jax.Array, Any]]:
        """Return the loss of one update's batch as a function of the parameters.

        Args:
          model_state: the model's state before the update.
          key: PRNG key of the seed.
          step: int32 scalar, number of the update.
          indices: int32 `[batch]`, rows of its batch.
          arrays: tree of stored arrays of the training data.

        Returns:
          A function to the loss, a scalar, and the model's state behind it.
        """
        batch = self.train_pool.batch(arrays, indices)
        loss_key = jax.random.fold_in(jax.random.fold_in(key, LOSS_KEY), step)

        def loss_with_state(params: Any) -> tuple[jax.Array, Any]:
            return self.task.loss_with_state(params, model_state, loss_key, batch)

        return loss_with_state

    def evaluate(
        self,
        params: Any,
        model_state: Any,
        key: jax.Array,
        step: jax.Array,
        indices: jax.Array,
        num_batches: jax.Array,
        arrays: Any,
        metric_names: list[str],
    ) -> dict[str, jax.Array]:
        """Return the mean metrics of one evaluation within the run.

        Args:
          params: parameters, and ...
          model_state: ... the model's state, as of `evaluated`.
          key: PRNG key of the seed.
          step: int32 scalar, number of the update the evaluation precedes.
          indices: int32 `[max_batches, 3, batch]`.
          num_batches: int32 scalar, batches of each split to evaluate.
          arrays: tree of stored arrays of the evaluation data.
          metric_names: as of `metric_names`.

        Returns:
          Metric name to float32 `[3]`, a split each.
        """
        eval_key = jax.random.fold_in(jax.random.fold_in(key, EVAL_KEY), step)

        def one_split(indices, split_key):
            batch = self.eval_pool.batch(arrays, indices)
            return self._metrics(params, model_state, split_key, batch)

        def add_batch(b, total):
            keys = jax.random.split(jax.random.fold_in(eval_key, b), len(EVAL_SPLITS))
            metrics = jax.vmap(one_split)(indices[b], keys)
            return jax.tree.map(jnp.add, total, metrics)

        zeros = {name: _zeros(len(EVAL_SPLITS)) for name in metric_names}
        total = lax.fori_loop(0, num_batches, add_batch, zeros)
        return jax.tree.map(lambda x: x / num_batches, total)

    def evaluated(self, hparams: Any, opt_state: Any) -> tuple[Any, Any]:
        """Return the parameters and the model's state that a trial is evaluated at.

        Args:
          hparams: traced hyper-parameters of the configuration.
          opt_state: the optimizer's state.
        """
        opt = self.make_optimizer(hparams)
        return opt.get_eval_params(opt_state), opt.get_state(opt_state)

    def evaluate_batches(
        self,
        params: Any,
        model_state: Any,
        key: jax.Array,
        indices: jax.Array,
        arrays: Any,
        first: jax.Array,
        num_batches: jax.Array,
    ) -> dict[str, jax.Array]:
        """Return the metrics of a trial on some batches, as it is at the end.

        Args:
          params: parameters, and ...
          model_state: ... state, as of `evaluated` behind the last update.
          key: PRNG key of the seed.
          indices: int32 `[max_batches, batch]`.
          arrays: tree of stored arrays of the evaluation data.
          first: int32 scalar, number of the first batch among all that are evaluated.
          num_batches: int32 scalar, batches to do.

        Returns:
          Metric name to float32 `[max_batches]`, zero behind the batches done.
        """
        final_key = jax.random.fold_in(key, FINAL_KEY)

        def add_batch(b, out):
            batch = self.eval_pool.batch(arrays, indices[b])
            batch_key = jax.random.fold_in(final_key, first + b)
            metrics = self._metrics(params, model_state, batch_key, batch)
            return {name: out[name].at[b].set(metrics[name]) for name in out}

        max_batches, batch_size = indices.shape
        names = self.metric_names(params, model_state, key, batch_size)
        zeros = {name: _zeros(max_batches) for name in names}
        return lax.fori_loop(0, num_batches, add_batch, zeros)

    def metric_names(
        self, params: Any, model_state: Any, key: jax.Array, batch_size: int
    ) -> list[str]:
        """Return `loss`, `loss_normalized` and the auxiliary names of the task."""

        def metrics(params, model_state, key):
            arrays = jax.tree.map(jnp.asarray, self.eval_pool.one_row())
            indices = jnp.zeros(batch_size, jnp.int32)
            batch = self.eval_pool.batch(arrays, indices)
            return self._metrics(params, model_state, key, batch)

        return list(jax.eval_shape(metrics, params, model_state, key))

    def _metrics(self, params, state, key, batch) -> dict[str, jax.Array]:
        loss, _, aux = self.eval_task.loss_with_state_and_aux(params, state, key, batch)
        own = {"loss": loss, "loss_normalized": self.eval_task.normalizer(loss)}
        for name, value in (*own.items(), *aux.items()):
            if jnp.shape(value):
                raise LoptError(
                    f"task {self.eval_task.name} returns {name!r} of shape "
                    f"{jnp.shape(value)}: it must be a scalar."
                )
        if clash := sorted(own.keys() & aux.keys()):
            raise LoptError(
                f"task {self.eval_task.name} returns an auxiliary value named "
                f"{clash[0]!r}, which the result file uses itself: rename it."
            )
        return {k: jnp.asarray(v, _CURVE) for k, v in {**own, **aux}.items()}


def _zeros(*shape: int) -> jax.Array:
    return jnp.zeros(shape, _CURVE)
