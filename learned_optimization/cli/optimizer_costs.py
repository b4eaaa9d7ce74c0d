"""`lopt bench --optimizers`: what a step and the state of optimizers cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from learned_optimization import configuration
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import known_hparam_sets
from learned_optimization.baselines.sets.settings import make_optimizer
from learned_optimization.baselines.suites.registry import without_suites
from learned_optimization.baselines.sweeps.sweep import check_data
from learned_optimization.benchmarking import optimizer_timing, suite
from learned_optimization.benchmarking.optimizer_cost import (
    Machine,
    OptimizerCost,
    save_costs,
)
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.cli.checkpoints import (
    load_archived,
    load_checkpoints,
    with_checkpoints,
)
from learned_optimization.cli.choosing import fixed_tasks, is_pattern, load_sets
from learned_optimization.cli.choosing import matching as names_matching
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console, size
from learned_optimization.errors import UnknownNameError
from learned_optimization.eval_training import keep_compiled
from learned_optimization.optimizers.base import Optimizer, all_optimizers
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.text import one_line

Failure = tuple[str, str, str]
"""A task, an optimizer, and why it was not measured."""


def choose(
    names: Sequence[str] | None,
    set_files: list[str] | None,
    imports: list[str] | None,
    checkpoints: list[str] | None = None,
) -> tuple[list[str], dict[str, Optimizer]]:
    """Tell tasks, optimizers and sets apart.

    Args:
      names: of each, in any order; or patterns of optimizers.
      set_files: files that define sets.
      imports: Python files that are imported before.
      checkpoints: checkpoints of learned optimizers, `NAME=PATH` each.

    Returns:
      The tasks, the smallest of the usual ones where none is named; and what to
      measure by its name: the optimizers named, with their default settings, and the
      sets named, at their first setting. Where neither is named, the sets of the
      files, or every optimizer if there are none.

    Raises:
      UnknownNameError: if a name is of none of them.
      LoptError: if a file is wrong.
    """
    from_files = load_sets(set_files, imports)
    names = with_checkpoints(names or (), load_checkpoints(checkpoints))
    load_archived(names)
    names = without_suites(names)
    tasks, sets, optimizers = fixed_tasks(), known_hparam_sets(names), all_optimizers()
    chosen_tasks: list[str] = []
    chosen: dict[str, Optimizer] = {}
    for name in names:
        if is_pattern(name):
            matching = names_matching("optimizer", name, optimizers)
            chosen |= {found: optimizers[found]() for found in matching}
        elif name in optimizers:
            chosen[name] = optimizers[name]()
        elif name in sets:
            chosen[name] = first_setting(sets[name])
        elif name in tasks:
            chosen_tasks.append(name)
        else:
            known = {*optimizers, *sets, *tasks}
            raise UnknownNameError("optimizer, set or task", name, known)
    if not chosen:
        chosen = {s.name: first_setting(s) for s in from_files}
    if not chosen:
        chosen = {name: cls() for name, cls in optimizers.items()}
    return chosen_tasks or [suite.TASKS[0]], chosen


def first_setting(hparam_set: HParamSet) -> Optimizer:
    """Return the optimizer of a set's first setting."""
    return make_optimizer(hparam_set.optimizer, hparam_set.hparams[0])


def measure_and_print(
    task_names: Sequence[str],
    optimizers: Mapping[str, Optimizer],
    seconds: float,
    json_file: Path | None,
) -> None:
    """Measure, print a table for each task, and keep what was measured.

    Ends with exit code 1 where an optimizer could not be measured.

    Raises:
      DataNotFoundError: if a task's data is not available; before anything is
        measured.
    """
    keep_compiled()
    tasks = [get_task_from_name(name) for name in task_names]
    check_data(tasks)
    peak = matmul_peak()
    costs: list[OptimizerCost] = []
    failures: list[Failure] = []

    def keep(cost: OptimizerCost) -> None:
        costs.append(cost)
        save_costs([cost])
        done = f"{len(costs) + len(failures)} of {len(tasks) * len(optimizers)}"
        update = _duration(cost.update_seconds.median)
        say(f"{done}: {cost.task} {cost.name}, an update {update}", err=True)

    for task in tasks:

        def note(name: str, error: Exception, task_name: str = task.name) -> None:
            why = one_line(configuration.reason(error)) or type(error).__name__
            failures.append((task_name, name, why))

        optimizer_timing.measure_costs(
            task,
            optimizers,
            seconds,
            peak_flops_per_second=peak,
            on_cost=keep,
            on_failure=note,
        )
    for task in tasks:
        _print_table([cost for cost in costs if cost.task == task.name])
    for task_name, name, why in failures:
        say(f"failed: {name} on {task_name}: {why}", err=True)
    if json_file:
        machine = Machine.here()
        result = {
            "device": machine.device,
            "cores": machine.cores,
            "jax": machine.jax,
            "peak_gflops": peak / 1e9,
            "costs": [cost.as_json() for cost in costs],
            "failures": [
                {"task": task, "name": name, "reason": why}
                for task, name, why in failures
            ],
        }
        json_file.write_text(json.dumps(result, indent=2) + "\n")
    if failures:
        raise typer.Exit(1)


def measure_quietly(
    task_name: str, optimizers: Mapping[str, Optimizer], seconds: float = 0.5
) -> None:
    """Measure optimizers on a task and keep it, saying no more than what fails.

    Args:
      task_name: the task.
      optimizers: name to optimizer.
      seconds: for which each is measured.
    """
    optimizer_timing.measure_costs(
        get_task_from_name(task_name),
        optimizers,
        seconds,
        peak_flops_per_second=matmul_peak(),
        on_cost=lambda cost: save_costs([cost]),
        on_failure=lambda name, error: say(
            f"not measured: {name}: {one_line(configuration.reason(error))}", err=True
        ),
    )


def _print_table(costs: Sequence[OptimizerCost]) -> None:
    """Print the costs on one task, the cheapest first.

    By the ratio of whole steps, which a machine that slows down changes least.
    """
    if not costs:
        return
    costs = sorted(costs, key=lambda cost: cost.step_ratio.median)
    first = costs[0]
    gradients = sorted(cost.gradient_seconds.median for cost in costs)
    table = Table(
        title=f"{first.task}: {first.num_params:,} parameters, a gradient takes "
        f"{_duration(gradients[len(gradients) // 2])}; {first.machine.device}, "
        f"{first.machine.cores} cores, matrix products "
        f"{first.peak_flops_per_second / 1e9:.1f} GFLOP/s"
    )
    table.add_column("optimizer", min_width=21, overflow="fold")
    for column in (
        *("update", "spread", "x SGD", "of a\nstep", "step\nx SGD"),
        *("of\npeak", "state\n/param", "scratch"),
    ):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("with")
    for cost in costs:
        seconds, peak = cost.update_seconds, cost.share_of_peak
        scratch = cost.temporary_bytes
        table.add_row(
            cost.name,
            _duration(seconds.median),
            f"±{(seconds.high - seconds.low) / 2 / abs(seconds.median):.0%}",
            f"{cost.update_ratio.median:,.1f}",
            f"{cost.update_share:.0%}",
            f"{cost.step_ratio.median:,.2f}",
            "" if peak is None else f"{peak:.1%}",
            f"{cost.bytes_per_parameter:,.1f} B",
            "" if scratch is None else size(scratch),
            ", ".join(cost.needs),
        )
    console().print(table)
    if any(cost.is_difference for cost in costs):
        say(
            "with loss_fn: an update evaluates the loss; its time is that of a whole "
            "step less its gradient's"
        )


def _duration(seconds: float) -> str:
    for unit, scale in (("µs", 1e6), ("ms", 1e3)):
        if abs(seconds) * scale < 999.5:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"
