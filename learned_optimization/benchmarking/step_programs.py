"""Compiled loops whose steps are timed: an update alone, a gradient alone, or both.

A loop of any number of steps is one program, so that no step is dispatched from
Python. Nothing may be left out of it or moved out of it: the gradients change at
every step, the number of steps is not known when it is compiled, each step continues
the state of the one before, and all of the last state is returned.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task

NUM_BATCHES = 4
"""Batches, and gradients, that the steps take by turns."""

RUN_LENGTH = 10_000
"""The length of the run that optimizers are told."""

# Updates before the measured ones: some optimizers begin otherwise than they go on.
_WARM_UP = 20


@dataclass(frozen=True, eq=False)
class Workload:
    """A task with what its steps take.

    Attributes:
      task: the task.
      key: PRNG key that the random numbers of steps are made from.
      params: initial parameters.
      model_state: initial model state, None for a stateless model.
      batches: tree of arrays `[NUM_BATCHES, ...]`, None for a task without data.
      losses: `[NUM_BATCHES]`, of those batches at the initial parameters.
      gradients: tree of arrays `[NUM_BATCHES, ...]`, likewise.
    """

    task: Task
    key: jax.Array
    params: Any
    model_state: Any
    batches: Any
    losses: jax.Array
    gradients: Any

    @classmethod
    def of(cls, task: Task) -> Workload:
        """Return the workload of a task, whose data must be available."""
        key = key_of_seed(0)
        params, model_state = jax.jit(task.init_with_state)(key)
        batches = None
        if task.datasets is not None:
            taken = itertools.islice(task.datasets.split("train"), NUM_BATCHES)
            batches = jax.tree.map(lambda *rows: jnp.stack(rows), *taken)

        def gradient(row: jax.Array) -> Any:
            (loss, _), grad = _loss_and_gradient(
                task, params, model_state, key, _row(batches, row)
            )
            return loss, grad

        losses, gradients = jax.jit(
            lambda: lax.map(gradient, jnp.arange(NUM_BATCHES))
        )()
        return cls(task, key, params, model_state, batches, losses, gradients)

    @property
    def num_params(self) -> int:
        """Numbers that are trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    @property
    def dtype(self) -> str:
        """Types of the parameters, e.g. `float32`."""
        names = {str(leaf.dtype) for leaf in jax.tree.leaves(self.params)}
        return ",".join(sorted(names))

    def start(self, opt: Optimizer) -> Any:
        """Return an optimizer's state before the first update."""
        return jax.jit(self._init(opt))(self.params, self.model_state)

    def shape_of_start(self, opt: Optimizer) -> Any:
        """Return shapes and types of `start`; nothing is computed."""
        return jax.eval_shape(self._init(opt), self.params, self.model_state)

    def _init(self, opt: Optimizer) -> Callable[[Any, Any], Any]:
        def init(params: Any, model_state: Any) -> Any:
            return opt.init(
                params, model_state=model_state, num_steps=RUN_LENGTH, key=self.key
            )

        return init


class StepProgram:
    """A compiled loop of steps.

    Args:
      loop: from the state, arrays it reads, and the number of steps to the last state.
      state: what the first step continues.
      arrays: what the steps read.
    """

    def __init__(
        self, loop: Callable[[Any, Any, jax.Array], Any], state: Any, arrays: Any
    ):
        self._state, self._arrays = state, arrays
        self._program = jax.jit(loop).lower(state, arrays, jnp.int32(0)).compile()

    def run(self, num_steps: int) -> Any:
        """Return the state after some steps, once it is computed."""
        return jax.block_until_ready(
            self._program(self._state, self._arrays, jnp.int32(num_steps))
        )

    def warmed_up(self) -> StepProgram:
        """Return it with some steps done: every run continues after those."""
        self._state = self.run(_WARM_UP)
        return self

    @property
    def temporary_bytes(self) -> int | None:
        """What the program allocates besides inputs and outputs, if XLA says so."""
        analysis = self._program.memory_analysis()
        return None if analysis is None else int(analysis.temp_size_in_bytes)


def update_program(opt: Optimizer, work: Workload) -> StepProgram:
    """Return the loop of updates alone, on gradients that were computed before.

    After each turn of the gradients their sign changes, so that the parameters stay
    where they are, about, however long it goes on.
    """

    def update(step: jax.Array, state: Any, arrays: Any) -> Any:
        losses, gradients = arrays
        row, sign = step % NUM_BATCHES, 1 - 2 * (step // NUM_BATCHES % 2)
        grad = jax.tree.map(lambda g: g * sign.astype(g.dtype), _row(gradients, row))
        return opt.update(
            state,
            grad,
            loss=losses[row],
            model_state=opt.get_state(state),
            key=jax.random.fold_in(work.key, step),
        )

    arrays = (work.losses, work.gradients)
    return StepProgram(_loop(update), work.start(opt), arrays).warmed_up()


def whole_step_program(opt: Optimizer, work: Workload) -> StepProgram:
    """Return the loop of gradients and updates, as training does them.

    For optimizers that need the loss as a function: what they evaluate has to belong
    to the gradient.
    """

    def step(step: jax.Array, state: Any, batches: Any) -> Any:
        params, model_state = opt.get_params_state(state)
        batch = _row(batches, step % NUM_BATCHES)
        loss_key, update_key = jax.random.split(jax.random.fold_in(work.key, step))
        (loss, new_state), grad = _loss_and_gradient(
            work.task, params, model_state, loss_key, batch
        )
        return opt.update(
            state,
            grad,
            loss=loss,
            model_state=new_state,
            key=update_key,
            loss_fn=_loss_fn(work.task, model_state, loss_key, batch),
        )

    return StepProgram(_loop(step), work.start(opt), work.batches).warmed_up()


def gradient_program(work: Workload) -> StepProgram:
    """Return the loop of losses and gradients alone.

    The parameters stay what they are, but pass a barrier with the sum that each step
    continues: for XLA they may change.
    """

    def step(step: jax.Array, carry: Any, arrays: Any) -> Any:
        params, batches = arrays
        params, (total, model_state) = lax.optimization_barrier((params, carry))
        batch = _row(batches, step % NUM_BATCHES)
        key = jax.random.fold_in(work.key, step)
        (loss, model_state), grad = lax.optimization_barrier(
            _loss_and_gradient(work.task, params, model_state, key, batch)
        )
        # One number of each array: the barrier has all of them computed.
        firsts = [leaf.ravel()[0] for leaf in jax.tree.leaves(grad) if leaf.size]
        total += sum(x.astype(total.dtype) for x in (loss, *firsts))
        return total, model_state

    carry = (jnp.zeros_like(work.losses[0]), work.model_state)
    return StepProgram(_loop(step), carry, (work.params, work.batches))


def update_flops(opt: Optimizer, work: Workload) -> float | None:
    """Return the operations of one update, by XLA's count before it optimizes."""

    def update(state: Any, arrays: Any) -> Any:
        loss, grad, batch = arrays
        model_state, extra = opt.get_state(state), {}
        if "loss_fn" in opt.needs:
            extra["loss_fn"] = _loss_fn(work.task, model_state, work.key, batch)
        return opt.update(
            state, grad, loss=loss, model_state=model_state, key=work.key, **extra
        )

    pools = (work.losses, work.gradients, work.batches)
    arrays = jax.eval_shape(lambda p: _row(p, jnp.int32(0)), pools)
    lowered = jax.jit(update).lower(work.shape_of_start(opt), arrays)
    analysis = lowered.cost_analysis()
    return None if analysis is None else analysis.get("flops")


def state_size(opt: Optimizer, work: Workload) -> tuple[int, int]:
    """Return bytes and floating-point numbers of an optimizer's state.

    Known from shapes: those of the whole state less one copy of the parameters, and
    less the model state.
    """
    state = _size(work.shape_of_start(opt))
    model = _size((work.params, work.model_state))
    return state[0] - model[0], state[1] - model[1]


def check_finite(opt: Optimizer, state: Any) -> None:
    """Refuse parameters that are not finite: what computes with them may end early.

    Raises:
      LoptError: if some are not.
    """
    leaves = jax.tree.leaves(opt.get_params(state))
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in leaves):
        raise LoptError(
            "its parameters are not finite after the measured updates, whose time may "
            "then be another: choose a smaller learning rate."
        )


def _size(tree: Any) -> tuple[int, int]:
    leaves = jax.tree.leaves(tree)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    num_bytes = sum(n * x.dtype.itemsize for n, x in zip(sizes, leaves, strict=True))
    return num_bytes, sum(
        n
        for n, leaf in zip(sizes, leaves, strict=True)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    )


def _loop(step: Callable[[jax.Array, Any, Any], Any]) -> Callable[..., Any]:
    def loop(state: Any, arrays: Any, num_steps: jax.Array) -> Any:
        return lax.fori_loop(0, num_steps, lambda i, s: step(i, s, arrays), state)

    return loop


def _loss_and_gradient(
    task: Task, params: Any, model_state: Any, key: jax.Array, batch: Any
) -> Any:
    return jax.value_and_grad(task.loss_with_state, has_aux=True)(
        params, model_state, key, batch
    )


def _loss_fn(
    task: Task, model_state: Any, key: jax.Array, batch: Any
) -> Callable[[Any], jax.Array]:
    return lambda params: task.loss_with_state(params, model_state, key, batch)[0]


def _row(tree: Any, row: jax.Array) -> Any:
    return jax.tree.map(
        lambda x: lax.dynamic_index_in_dim(x, row, keepdims=False), tree
    )
