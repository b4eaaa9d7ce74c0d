"""Meta-training as one compiled program: many meta-steps a call, on all devices.

A meta-step trains both sides of every antithetic pair for a truncation, estimates the
meta-gradient, averages it over devices by one reduction, and steps the outer optimizer.
Inner problems are split over devices. Data is in arrays; which rows updates read is
decided before a call, as in the training engine.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.outer_trainers.full_es import FullES
from learned_optimization.outer_trainers.full_grad import FullGrad
from learned_optimization.outer_trainers.gradient_estimator import (
    OuterState,
    WorkerWeights,
)
from learned_optimization.outer_trainers.gradient_worker import (
    LOSS_OF_NAN,
)
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.truncated_es import TruncatedES
from learned_optimization.outer_trainers.truncated_grad import TruncatedGrad
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.prng import key_of_words, seed_words
from learned_optimization.tasks.datasets.streams import EpochStream
from learned_optimization.training.strategy import Strategy

_AXIS = "problems"
_INIT, _STEP = range(2)
_MOST_STEPS_OF_A_CALL, _UPDATES_OF_A_CALL = 20, 1000

Estimator = TruncatedPES | TruncatedES | TruncatedGrad | FullES | FullGrad


@flax.struct.dataclass
class MetaState:
    """Where meta-training is.

    Attributes:
      opt_state: of the outer optimizer; theta is its parameters.
      average: the moving average of theta.
      problems: states of the inner problems, one per estimator.
      iteration: int32, meta-steps done.
    """

    opt_state: Any
    average: MetaParams
    problems: tuple[Any, ...]
    iteration: jax.Array


@dataclass(frozen=True, eq=False)
class MetaProgram:
    """How meta-training is done; `MetaRunner` runs it.

    Attributes:
      learned_opt: the learned optimizer.
      estimators: of the gradient, each on inner problems of its own.
      theta_opt: the outer optimizer.
      num_steps: meta-steps in all, told to the outer optimizer.
      seed: of all that is random.
      average_decay: of the moving average of theta, corrected for its start.
      at_once: how many estimators a meta-step has, in rotation; all if None.
      grad_clip: what entries of the gradient are clipped to.
    """

    learned_opt: LearnedOptimizer
    estimators: Sequence[Estimator]
    theta_opt: Optimizer
    num_steps: int
    seed: int = 0
    average_decay: float = 0.98
    at_once: int | None = None
    grad_clip: float = 3.0

    def __post_init__(self) -> None:
        if not self.estimators:
            raise LoptError("estimators must hold at least one, got none.")
        for estimator in self.estimators:
            inner_problems(estimator)
            check_at_least("num_updates", estimator.num_updates, 1)

    @property
    def active(self) -> int:
        """How many estimators a meta-step has."""
        return min(self.at_once or len(self.estimators), len(self.estimators))

    def is_active(self, index: int, iteration: Any) -> Any:
        """Return whether an estimator's turn is at a meta-step."""
        count = len(self.estimators)
        return (index - iteration * self.active) % count < self.active

    @property
    def updates_per_step(self) -> float:
        """Updates of inner problems in a meta-step, on the mean over turns.

        Runs whose length is drawn count as the longest.
        """
        total = sum(
            e.num_updates
            * e.truncated_step.num_tasks
            * (1 if isinstance(e, TruncatedGrad | FullGrad) else 2)
            for e in self.estimators
        )
        return total * self.active / len(self.estimators)

    @property
    def usual_room(self) -> int:
        """How many meta-steps a call has, at most, where nothing else is said.

        What it reads is in memory: a row's number per example.
        """
        longest = max(estimator.num_updates for estimator in self.estimators)
        return max(1, min(_MOST_STEPS_OF_A_CALL, _UPDATES_OF_A_CALL // longest))

    @property
    def most_shares(self) -> int:
        """The largest number of equal shares that inner problems can be split into."""
        return math.gcd(*[e.truncated_step.num_tasks for e in self.estimators])

    def num_devices(self, available: int) -> int:
        """Return how many devices inner problems can be split over."""
        return max(n for n in range(1, available + 1) if self.most_shares % n == 0)

    def theta(self, state: MetaState) -> MetaParams:
        """Return the meta-parameters."""
        return self.theta_opt.get_params(state.opt_state)

    def init(self, words: Any, theta: MetaParams | None = None) -> MetaState:
        """Return the state before the first meta-step.

        Args:
          words: of the seed's key, an argument so that seeds share one program.
          theta: meta-parameters to begin from; those of `init` if None.
        """
        key = jax.random.fold_in(key_of_words(words), _INIT)
        theta_key, key = jax.random.split(key)
        if theta is None:
            theta = self.learned_opt.init(theta_key)
        theta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), theta)
        outer = OuterState(jnp.zeros([], jnp.int32))
        weights = WorkerWeights(theta, None, outer)
        problems = tuple(
            estimator.init_worker_state(weights, jax.random.fold_in(key, i))
            for i, estimator in enumerate(self.estimators)
        )
        opt_state = self.theta_opt.init(theta, num_steps=self.num_steps)
        zeros = jax.tree.map(jnp.zeros_like, theta)
        return MetaState(opt_state, zeros, problems, outer.outer_iteration)

    def averaged(self, state: MetaState) -> MetaParams:
        """Return the average of theta, corrected for its start; theta at the start."""
        done = int(state.iteration)
        if not done:
            return jax.tree.map(np.asarray, self.theta(state))
        share = 1 - self.average_decay**done
        return jax.tree.map(lambda x: np.asarray(x) / np.float32(share), state.average)

    def meta_steps(
        self,
        state: MetaState,
        count: Any,
        data: tuple[Any, ...],
        arrays: Any,
        words: Any,
    ) -> tuple[MetaState, jax.Array]:
        """Run some meta-steps on a device's share of the inner problems.

        Args:
          state: the state before, with this device's problems.
          count: int32 scalar, how many.
          data: rows to read, one tree per estimator, `[most, updates, problems, ...]`.
          arrays: stored arrays of the data, one tree per estimator.
          words: of the seed's key.

        Returns:
          The state, and the mean meta-loss of every meta-step, float32 `[most]`.
        """
        most = jax.tree.leaves(data)[0].shape[0]

        def body(i: Any, carry: tuple[MetaState, jax.Array]) -> Any:
            state, losses = carry
            rows = jax.tree.map(lambda x: x[i], data)
            state, loss = self._meta_step(state, rows, arrays, words)
            return state, losses.at[i].set(loss)

        return lax.fori_loop(0, count, body, (state, jnp.zeros(most, jnp.float32)))

    def _meta_step(self, state: MetaState, rows: Any, arrays: Any, words: Any) -> Any:
        share = lax.axis_index(_AXIS)
        problems, estimate = self.estimate(
            self.theta(state),
            state.iteration,
            state.problems,
            rows,
            arrays,
            words,
            share,
        )
        # Loss and gradient are one array: a meta-step waits for other devices once.
        state, loss = self.step(state, lax.pmean(estimate, _AXIS), words)
        return dataclasses.replace(state, problems=problems), loss

    def estimate(
        self,
        theta: MetaParams,
        iteration: jax.Array,
        problems: tuple[Any, ...],
        rows: Any,
        arrays: Any,
        words: Any,
        share: Any,
    ) -> tuple[tuple[Any, ...], jax.Array]:
        """Train a share of the inner problems for a truncation.

        Args:
          theta: meta-parameters.
          iteration: int32 scalar, meta-steps done.
          problems: states of the share's problems, one tree per estimator.
          rows: to read, one tree per estimator, `[updates, problems, ...]`.
          arrays: stored arrays of the data, one tree per estimator.
          words: of the seed's key.
          share: int32 scalar, its number, which decides what is drawn.

        Returns:
          The states after it, and the share's mean meta-loss and gradient as one
          array, summed over estimators.
        """
        weights = WorkerWeights(theta, None, OuterState(iteration))
        own_key = jax.random.fold_in(self._step_key(iteration, words), share)
        total, _ = ravel_pytree(self._nothing(theta))
        after = []
        for i, estimator in enumerate(self.estimators):

            def run(problem, i=i, estimator=estimator):
                count = jax.tree.leaves(rows[i])[0].shape[1]
                step = inner_problems(estimator).reading(arrays[i], count)
                out = dataclasses.replace(estimator, truncated_step=step)._estimate(
                    weights, jax.random.fold_in(own_key, i), problem, rows[i]
                )
                made, _ = ravel_pytree((out.mean_loss, out.grad))
                return out.unroll_state, made

            def skip(problem, total=total):
                return problem, jnp.zeros_like(total)

            if self.active == len(self.estimators):
                problem, made = run(problems[i])
            else:
                turn = self.is_active(i, iteration)
                problem, made = lax.cond(turn, run, skip, problems[i])
            after.append(problem)
            total = total + made
        return tuple(after), total

    def step(
        self, state: MetaState, estimate: jax.Array, words: Any
    ) -> tuple[MetaState, jax.Array]:
        """Move theta by an estimate of its gradient.

        Args:
          state: the state before; its problems are left as they are.
          estimate: the mean over shares of what `estimate` returns.
          words: of the seed's key.

        Returns:
          The state, and the mean meta-loss, float32 scalar.
        """
        _, unravel = ravel_pytree(self._nothing(self.theta(state)))
        loss, grad = unravel(estimate / self.active)
        grad = jax.tree.map(
            lambda g: jnp.clip(
                jnp.nan_to_num(g, nan=0.0, posinf=0.0, neginf=0.0),
                -self.grad_clip,
                self.grad_clip,
            ),
            grad,
        )
        loss = jnp.where(jnp.isfinite(loss), loss, LOSS_OF_NAN)
        key = jax.random.fold_in(self._step_key(state.iteration, words), 1 << 30)
        opt_state = self.theta_opt.update(state.opt_state, grad, loss=loss, key=key)
        theta, decay = self.theta_opt.get_params(opt_state), self.average_decay
        average = jax.tree.map(
            lambda old, new: decay * old + (1 - decay) * new, state.average, theta
        )
        after = MetaState(opt_state, average, state.problems, state.iteration + 1)
        return after, loss

    def _step_key(self, iteration: jax.Array, words: Any) -> jax.Array:
        key = jax.random.fold_in(key_of_words(words), _STEP)
        return jax.random.fold_in(key, iteration)

    def _nothing(self, theta: MetaParams) -> tuple[jax.Array, MetaParams]:
        """Return a loss and a gradient of zero, whose shapes an estimate has."""
        return jnp.zeros([]), jax.tree.map(jnp.zeros_like, theta)


def inner_problems(estimator: Estimator) -> VectorizedLOptTruncatedStep:
    """Return the inner problems of an estimator.

    Raises:
      LoptError: if they, or the estimator, are none that one program can have.
    """
    step = estimator.truncated_step
    if not (
        isinstance(estimator, Estimator)
        and isinstance(step, VectorizedLOptTruncatedStep)
    ):
        known = ", ".join(each.__name__ for each in get_args(Estimator))
        raise LoptError(
            f"meta-training as one program takes {known}, of "
            f"VectorizedLOptTruncatedStep, got {type(estimator).__name__} of "
            f"{type(step).__name__}: step it with SingleMachineGradientLearner."
        )
    if isinstance(estimator, FullES) and estimator.loss_type == "last_recompute":
        raise LoptError(
            "meta-training as one program reads the batches of updates alone: give "
            "FullES another loss_type than last_recompute, or step it with "
            "SingleMachineGradientLearner."
        )
    return step


class Rows:
    """Which rows of its data the updates of one estimator read, in order.

    Args:
      program: the meta-training.
      index: number of the estimator.
    """

    def __init__(self, program: MetaProgram, index: int):
        self._program, self._index = program, index
        self._estimator = program.estimators[index]
        step = inner_problems(self._estimator).truncated_step
        self._has_data = step.task_family.datasets is not None
        splits = ["train", step.meta_loss_split] if step.has_two_batches else ["train"]
        self._is_pair = step.has_two_batches
        self._streams: list[EpochStream] = []
        self.arrays: Any = None
        if self._has_data:
            pool = step.pool
            assert pool.data is not None
            self.arrays, self._batch_size = pool.arrays, pool.batch_size
            self._streams = [
                EpochStream([program.seed, index, number], pool.data.splits[str(split)])
                for number, split in enumerate(splits)
            ]

    def _shape(self) -> tuple[int, ...]:
        estimator = self._estimator
        shape = (estimator.num_updates, estimator.truncated_step.num_tasks)
        return (*shape, self._batch_size) if self._has_data else shape

    def take(self, first: int, count: int, room: int) -> Any:
        """Return the rows of some meta-steps, `[room, updates, problems, batch]`.

        Args:
          first: number of the first meta-step, the one behind the last call's last.
          count: how many.
          room: length of the result, zero behind them.
        """
        if not self._has_data:
            return np.zeros((room, *self._shape()), np.float32)
        turns = [
            i for i in range(count) if self._program.is_active(self._index, first + i)
        ]
        made = []
        for stream in self._streams:
            rows = np.zeros((room, *self._shape()), np.int32)
            rows[turns] = stream.take(len(turns), *self._shape())
            made.append(rows)
        return tuple(made) if self._is_pair else made[0]

    def skip(self, until: int, first: int = 0) -> None:
        """Pass over the rows of meta-steps that were done before, or elsewhere.

        Args:
          until: number of the meta-step behind them.
          first: number of the first, the one behind the last call's last.
        """
        turns = sum(
            bool(self._program.is_active(self._index, i)) for i in range(first, until)
        )
        for stream in self._streams:
            stream.skip(turns * math.prod(self._shape()))


class MetaRunner:
    """A meta-training, as far as it has come.

    Args:
      program: how it is done.
      devices: where; as many are used as problems can be split over.
      room: meta-steps of a call, at most; as many as have a thousand updates if None,
        at most 20.
      theta: meta-parameters to begin from; new ones if None.

    Attributes:
      state: where it is.
      num_devices: devices used.
      room: as given.
      done: meta-steps done.
    """

    def __init__(
        self,
        program: MetaProgram,
        devices: Sequence[Any],
        room: int | None = None,
        theta: MetaParams | None = None,
    ):
        self.program = program
        self.room = program.usual_room if room is None else room
        self.num_devices = program.num_devices(len(devices))
        used = np.asarray(devices[: self.num_devices])
        self._mesh = Mesh(used, (_AXIS,))
        self._rows = [Rows(program, i) for i in range(len(program.estimators))]
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        self._words = seed_words(program.seed)
        self._arrays = jax.device_put(
            tuple(rows.arrays for rows in self._rows), everywhere
        )
        self.state = self._placed(jax.jit(program.init)(self._words, theta))
        self.done = 0
        self._compiled: Any = None

    def _placed(self, state: MetaState) -> MetaState:
        def put(tree: Any, spec: PartitionSpec) -> Any:
            return jax.device_put(tree, NamedSharding(self._mesh, spec))

        return MetaState(
            put(state.opt_state, PartitionSpec()),
            put(state.average, PartitionSpec()),
            put(state.problems, PartitionSpec(_AXIS)),
            put(state.iteration, PartitionSpec()),
        )

    def averaged(self) -> MetaParams:
        """Return the average of theta, as `MetaProgram.averaged`."""
        return self.program.averaged(self.state)

    def restore(self, state: MetaState) -> None:
        """Go on from a state that was saved.

        Args:
          state: shaped as `state`, of numpy arrays.
        """
        self.state, self.done = self._placed(state), int(state.iteration)
        for rows in self._rows:
            rows.skip(self.done)

    def advance(self, count: int) -> np.ndarray:
        """Run some meta-steps, and return the meta-loss of each, float32 `[count]`.

        Args:
          count: how many; no more than there is room for in a call.
        """
        data = tuple(rows.take(self.done, count, self.room) for rows in self._rows)
        data = jax.device_put(
            data,
            NamedSharding(self._mesh, PartitionSpec(None, None, _AXIS)),
        )
        count_here = jnp.asarray(count, jnp.int32)
        args = (self.state, count_here, data, self._arrays, self._words)
        if self._compiled is None:
            self._compiled = self._compile(*args)
        self.state, losses = self._compiled(*args)
        self.done += count
        return np.asarray(losses)[:count]

    def _compile(self, *args: Any) -> Any:
        everywhere, split = PartitionSpec(), PartitionSpec(_AXIS)
        # A prefix of the state: what holds of a part holds of all in it.
        of_state: Any = MetaState(
            everywhere,
            everywhere,
            split,  # pyright: ignore[reportArgumentType]
            everywhere,  # pyright: ignore[reportArgumentType]
        )
        of_data = PartitionSpec(None, None, _AXIS)
        mapped = jax.shard_map(
            self.program.meta_steps,
            mesh=self._mesh,
            in_specs=(of_state, everywhere, of_data, everywhere, everywhere),
            out_specs=(of_state, everywhere),
            check_vma=False,
        )
        platform = self._mesh.devices.flat[0].platform
        # Products this small are slower by the kernels of libraries.
        options = Strategy(1).compiler_options(platform)
        lowered = jax.jit(mapped, donate_argnums=(0,)).lower(*args)
        return lowered.compile(compiler_options=options)
