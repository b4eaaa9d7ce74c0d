"""How long sets on tasks will take here: as recorded, as measured, or as guessed.

One grid is measured for each task and structure of the optimizer, and scaled to all
others of its kind. Tasks take turns, so that something is known of each of them before
the time for measuring is used up.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from learned_optimization.baselines.sweeps.estimate import Estimate, SetOnTask
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.recorded_costs import (
    RecordedCost,
    evaluation_of,
    kind_of,
    load_costs,
    nearest,
    save_cost,
)
from learned_optimization.baselines.sweeps.sweep import check_data

# Tests set another.
_now = time.monotonic


class SweepPlan:
    """What sets on tasks will cost, row by row, as soon as each is known.

    What is measured is recorded, as is what sweeps took: the next plan measures only
    what is left.

    Args:
      work: what is to be run.
      seconds: how long a grid is measured, compiling apart.
      total_seconds: how long all measurements may take together, compiling included;
        if 0, what is recorded has to do.

    Attributes:
      num_to_measure: grids that are measured if the time suffices.

    Raises:
      LoptError: if something cannot be measured: its data is not available, or its
        optimizer cannot train.
    """

    def __init__(
        self,
        work: Sequence[SetOnTask],
        seconds: float = 1.0,
        total_seconds: float = 50.0,
    ):
        self._work, self._seconds, self._total_seconds = work, seconds, total_seconds
        grids = [grid for row in work for grid in row.grids]
        self._kinds = {grid: kind_of(grid) for grid in grids}
        self._compiled: set[tuple[object, ...]] = set()
        self._costs = {kind: load_costs(kind) for kind in self._kinds.values()}
        unknown = [grid for grid in grids if not self._costs[self._kinds[grid]]]
        self._to_measure = self._one_per_kind(unknown) if total_seconds > 0 else []
        self.num_to_measure = len(self._to_measure)
        check_data(grid.first.task for grid in self._to_measure)
        for grid in self._to_measure:
            for trial in grid.trials:
                trial.opt.prepare()

    def _one_per_kind(self, grids: Sequence[TrialGrid]) -> list[TrialGrid]:
        """Return the longest grid of each kind, kinds with most updates first."""
        of_kind: dict[str, list[TrialGrid]] = defaultdict(list)
        for grid in grids:
            of_kind[self._kinds[grid]].append(grid)
        kinds = sorted(
            of_kind.values(), key=lambda same: -sum(g.num_updates for g in same)
        )
        return [max(same, key=lambda g: g.num_updates) for same in kinds]

    def estimates(
        self, on_measuring: Callable[[TrialGrid], None] = lambda grid: None
    ) -> Iterator[Estimate]:
        """Measure, and give each set on each task once its time is known.

        Args:
          on_measuring: called before each grid that is measured.
        """
        waiting = list(self._work)
        self._compiled.clear()
        yield from self._known_of(waiting)
        for grid in in_turns(self._to_measure, self._total_seconds):
            on_measuring(grid)
            cost = self._measured(grid)
            self._costs[self._kinds[grid]].append(cost)
            save_cost(self._kinds[grid], cost)
            yield from self._known_of(waiting)
        of_task = self._costs_by_task()
        speed = self._flops_per_second()
        for row in waiting:
            seconds = self._seconds_of(row, of_task[row.estimate.task_name], speed)
            yield replace(row.estimate, seconds=seconds, is_rough=seconds is not None)

    def _measured(self, grid: TrialGrid) -> RecordedCost:
        # What whole splits take is the same for every optimizer.
        others = self._costs_by_task()[grid.task_name].values()
        known = [nearest(costs, grid).seconds_at_end for costs in others]
        measured = grid.measure(self._seconds, at_end=not known)
        cost = RecordedCost.of_measurement(grid, measured)
        return replace(cost, seconds_at_end=known[0]) if known else cost

    def _known_of(self, waiting: list[SetOnTask]) -> Iterator[Estimate]:
        """Give the rows of which all is known, and take them off those that wait."""
        for row in list(waiting):
            if all(self._cost_of(grid) for grid in row.grids):
                waiting.remove(row)
                yield replace(row.estimate, seconds=self._seconds_of(row))

    def _cost_of(self, grid: TrialGrid) -> RecordedCost | None:
        costs = self._costs[self._kinds[grid]]
        return nearest(costs, grid) if costs else None

    def _costs_by_task(self) -> dict[str, dict[str, list[RecordedCost]]]:
        """Return what is known of each task, by kind."""
        of_task: dict[str, dict[str, list[RecordedCost]]] = defaultdict(dict)
        for grid, kind in self._kinds.items():
            if self._costs[kind]:
                of_task[grid.task_name][kind] = self._costs[kind]
        return of_task

    def _flops_per_second(self) -> float | None:
        """Return the operations per second that what is known reaches, of all tasks."""
        flops = seconds = 0.0
        for row in self._work:
            for grid, of_grid in zip(row.grids, row.grid_flops, strict=True):
                if cost := self._cost_of(grid):
                    flops += of_grid
                    seconds += cost.run_seconds(grid) + cost.compile_seconds
        return flops / seconds if seconds > 0 else None

    def _seconds_of(
        self,
        row: SetOnTask,
        of_task: Mapping[str, Sequence[RecordedCost]] | None = None,
        flops_per_second: float | None = None,
    ) -> float | None:
        """Return how long a row takes, and compiling what no row before it needed.

        Args:
          row: the row.
          of_task: costs of its task, by kind: what is not known itself is taken to
            cost the middle of them, since the gradient is the same.
          flops_per_second: where there are none, its arithmetic is taken to be done
            so fast.

        Returns:
          None if all of that says nothing.
        """
        total = 0.0
        for grid, flops in zip(row.grids, row.grid_flops, strict=True):
            # Runs of all lengths share a program: it counts where it is needed first.
            shape = len(grid.rows), len(grid.rows[0])
            program = self._kinds[grid], shape, evaluation_of(grid.first.plan)
            own = self._cost_of(grid)
            costs = (
                [own] if own else [nearest(c, grid) for c in (of_task or {}).values()]
            )
            if costs:
                total += statistics.median_low(c.run_seconds(grid) for c in costs)
                if program not in self._compiled:
                    total += statistics.median_low(c.compile_seconds for c in costs)
            elif flops and flops_per_second:
                total += flops / flops_per_second
            else:
                return None
            self._compiled.add(program)
        return total


def in_turns(grids: Sequence[TrialGrid], total_seconds: float) -> Iterator[TrialGrid]:
    """Give grids to be measured, tasks by turns, until the time is used up.

    A measurement cannot be cut short: none is begun that would end too late, going by
    the longest of the same task; nor is a task begun once the time is used up.

    Args:
      grids: of each task, in the order in which they are to be measured.
      total_seconds: the time.
    """
    of_task: dict[str, deque[TrialGrid]] = defaultdict(deque)
    for grid in grids:
        of_task[grid.task_name].append(grid)
    start, longest = _now(), dict.fromkeys(of_task, 0.0)
    while of_task:
        for task_name in list(of_task):
            begun = _now()
            left = total_seconds - (begun - start)
            if left <= 0 or longest[task_name] > left:
                del of_task[task_name]
                continue
            yield of_task[task_name].popleft()
            longest[task_name] = max(longest[task_name], _now() - begun)
            if not of_task[task_name]:
                del of_task[task_name]
