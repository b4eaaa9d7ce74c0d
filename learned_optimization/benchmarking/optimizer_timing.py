"""Measures what optimizers cost, by turns with SGD and with the gradient.

On a machine that does other things too, times drift. So an optimizer is measured in
repetitions, each of which times SGD's update, the gradient and the optimizer's update
right after one another, in an order that turns around; ratios are taken within a
repetition, and medians and quartiles over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from learned_optimization.benchmarking.optimizer_cost import (
    Machine,
    OptimizerCost,
    Quartiles,
)
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.benchmarking.step_programs import (
    NUM_BATCHES,
    StepProgram,
    Workload,
    check_finite,
    gradient_program,
    state_size,
    update_flops,
    update_program,
    whole_step_program,
)
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.tasks.base import Task

REPETITIONS = 7
"""Measurements of each optimizer, unless more are asked for."""

# What optimizers do at every second, fifth or tenth step is in every measurement as
# often as in training.
_PERIOD = 10
_MOST_STEPS = 1_000_000
# What fills less than this share of a measurement says little about its length.
_LEAST_SHARE = 0.1
_TRIES = 3

Timer = Callable[[StepProgram, int], float]
"""Seconds that a program takes for some steps."""


def wall_seconds(program: StepProgram, num_steps: int) -> float:
    """Return the seconds a program takes for some steps, by the clock on the wall."""
    start = time.perf_counter()
    program.run(num_steps)
    return time.perf_counter() - start


def measure_costs(
    task: Task,
    optimizers: Mapping[str, Optimizer],
    seconds: float = 1.5,
    *,
    repetitions: int = REPETITIONS,
    peak_flops_per_second: float | None = None,
    timer: Timer = wall_seconds,
    on_cost: Callable[[OptimizerCost], None] = lambda cost: None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> list[OptimizerCost]:
    """Measure one update of each optimizer on one task, and the gradient beside it.

    Nothing else should run meanwhile.

    Args:
      task: its data must be available.
      optimizers: name to optimizer, with concrete hyper-parameters.
      seconds: how long each optimizer is measured, about, after it is compiled.
        Where ten of its steps take longer, so does it.
      repetitions: measurements of each.
      peak_flops_per_second: see `benchmarking.peak`; measured if None.
      timer: how a program is timed.
      on_cost: called with each measurement as it is done.
      on_failure: called with the name of an optimizer that cannot be measured and
        why; the others go on. If None, its error is raised.

    Returns:
      One per optimizer that could be measured, in the order given.

    Raises:
      LoptError: if an argument is not valid, or the task's data not available.
    """
    check_at_least("repetitions", repetitions, 1)
    if not seconds > 0:
        raise LoptError(f"seconds must be above 0, got {seconds!r}.")
    bench = _Bench(
        task,
        # A repetition times three programs.
        seconds / (3 * repetitions),
        repetitions,
        matmul_peak() if peak_flops_per_second is None else peak_flops_per_second,
        timer,
    )
    costs = []
    for name, opt in optimizers.items():
        try:
            cost = bench.measure(name, opt)
        except Exception as error:  # whatever an optimizer of one's own raises
            if on_failure is None:
                raise
            on_failure(name, error)
            continue
        costs.append(cost)
        on_cost(cost)
    return costs


class _Bench:
    """Measures optimizers on one task."""

    def __init__(
        self, task: Task, seconds: float, repetitions: int, peak: float, timer: Timer
    ):
        self._seconds, self._repetitions = seconds, repetitions
        self._peak, self._timer = peak, timer
        self._work = Workload.of(task)
        self._machine = Machine.here()
        self._gradient = gradient_program(self._work)
        self._sgd = update_program(SGD(), self._work)
        self._lengths = [
            self._length(self._sgd),
            self._length(self._gradient, NUM_BATCHES),
        ]

    def measure(self, name: str, opt: Optimizer) -> OptimizerCost:
        opt.prepare()
        work = self._work
        needs_loss_fn = "loss_fn" in opt.needs
        program = (whole_step_program if needs_loss_fn else update_program)(opt, work)
        num_steps = self._length(program)
        rows = list(self._by_turns(program, num_steps))
        check_finite(opt, program.run(num_steps))
        sgd, gradient, own = np.array(rows).T
        update = own - gradient if needs_loss_fn else own
        state_bytes, state_floats = state_size(opt, work)
        return OptimizerCost(
            name=name,
            setting=opt.name,
            task=work.task.name,
            needs=tuple(sorted(opt.needs)),
            num_params=work.num_params,
            dtype=work.dtype,
            state_bytes=state_bytes,
            state_floats=state_floats,
            temporary_bytes=program.temporary_bytes,
            update_flops=update_flops(opt, work),
            update_seconds=_quartiles(update),
            update_ratio=_quartiles(update / sgd),
            gradient_seconds=_quartiles(gradient),
            sgd_seconds=_quartiles(sgd),
            step_ratio=_quartiles((gradient + update) / (gradient + sgd)),
            repetitions=self._repetitions,
            num_steps=num_steps,
            peak_flops_per_second=self._peak,
            machine=self._machine,
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _by_turns(
        self, program: StepProgram, num_steps: int
    ) -> Iterator[tuple[float, ...]]:
        """Yield seconds per step of SGD, of the gradient, and of the program."""
        programs = (self._sgd, self._gradient, program)
        lengths = (*self._lengths, num_steps)
        order = list(range(len(programs)))
        for _ in range(self._repetitions):
            seconds = [0.0] * len(programs)
            for i in order:
                seconds[i] = self._timer(programs[i], lengths[i]) / lengths[i]
            yield tuple(seconds)
            order.reverse()

    def _length(self, program: StepProgram, period: int = _PERIOD) -> int:
        """Return how many steps fill a measurement, a multiple of the period."""
        num_steps = period
        while True:
            # The least of some: one that was interrupted would make all too short.
            taken = min(self._timer(program, num_steps) for _ in range(_TRIES))
            taken = max(taken, 1e-9)
            if taken >= _LEAST_SHARE * self._seconds or num_steps >= _MOST_STEPS:
                break
            num_steps *= 4
        whole = round(num_steps * self._seconds / taken / period) * period
        return min(max(whole, period), _MOST_STEPS)


def _quartiles(values: np.ndarray) -> Quartiles:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Quartiles(float(low), float(median), float(high))
