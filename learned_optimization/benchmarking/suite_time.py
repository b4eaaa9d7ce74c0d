"""How long a suite of tasks takes for one optimizer, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from learned_optimization.baselines.sets.hparam_set import LEARNING_RATES
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.baselines.sweeps.estimate import trial_flops
from learned_optimization.baselines.sweeps.sweep import check_data
from learned_optimization.benchmarking import meta_training
from learned_optimization.benchmarking.processes import measure
from learned_optimization.errors import UnknownNameError
from learned_optimization.learned_optimizers.base import all_learned_optimizers
from learned_optimization.optimizers.base import all_optimizers
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.training.backend import num_cores

REFERENCE = "Adam"
"""The optimizer that the loop trains, which others are compared with."""


@dataclass(frozen=True)
class TaskTime:
    """What one optimizer takes on one task of a suite.

    Attributes:
      task: name of the task.
      optimizer: name of the optimizer.
      num_trials: trials of its set: settings times seeds.
      strategy: how they were computed.
      trial_steps_per_second: updates per second, evaluations included.
      share_of_peak: arithmetic of the task a second against the machine's matrix
        products; the optimizer's own is not counted.
      ratio: trial-steps per second against a loop of jitted steps in one process per
        core; None where that was not measured.
      ratio_of_one: the same against one process.
      train_seconds: to train the set.
      final_seconds: to evaluate it on whole splits at the end.
      compile_seconds: to compile it, where nothing is compiled yet.
      peak_mib: resident memory at most.
    """

    task: str
    optimizer: str
    num_trials: int
    strategy: str
    trial_steps_per_second: float
    share_of_peak: float
    ratio: float | None
    ratio_of_one: float | None
    train_seconds: float
    final_seconds: float
    compile_seconds: float
    peak_mib: float

    @property
    def seconds(self) -> float:
        """Seconds of the whole set."""
        return self.train_seconds + self.final_seconds + self.compile_seconds


@dataclass(frozen=True)
class MetaTime:
    """How fast a learned optimizer is meta-trained, see `meta_training`.

    Attributes:
      task: name of the task.
      meta_steps_per_second: of the compiled program.
      inner_steps_per_second: updates of the task that this takes.
      share_of_peak: arithmetic a second against the machine's matrix products, that of
        the learned optimizer's network included.
      ratio: meta-steps per second against a loop that dispatches each truncation.
      compile_seconds: to compile it, where nothing is compiled yet.
      peak_mib: resident memory at most.
    """

    task: str
    meta_steps_per_second: float
    inner_steps_per_second: float
    share_of_peak: float
    ratio: float
    compile_seconds: float
    peak_mib: float


def run(
    suite: Suite,
    optimizers: Sequence[str] = (REFERENCE,),
    seconds: float = 3.0,
    on_row: Callable[[TaskTime], None] = lambda row: None,
) -> dict[str, Any]:
    """Measure the standard search of optimizers on every task of a suite.

    That is every learning rate on the suite's seeds; of a learned optimizer, which has
    none, one setting. Each measurement is a process of its own.

    Args:
      suite: the suite; the data of its tasks must be available, or made up.
      optimizers: names of optimizers and learned optimizers.
      seconds: how long each is measured, after it is compiled.
      on_row: called with each row as it is done.

    Returns:
      `cores`, `peak_gflops`, `rows`, `meta_training` and `suite_seconds`, optimizer to
      the seconds of the whole suite, as they go into the JSON file.

    Raises:
      UnknownNameError: if there is no optimizer of a name.
      DataNotFoundError: if a task's data is not available; before anything is
        measured.
      LoptError: if a measurement fails, with its last line of output.
    """
    known = {*all_optimizers(), *all_learned_optimizers()}
    for name in optimizers:
        if name not in known:
            raise UnknownNameError("optimizer", name, known)
    check_data(get_task_from_name(task) for task in suite.tasks)
    [peak] = measure(1, "peak")
    rows = []
    for task in suite.tasks:
        for optimizer in optimizers:
            row = _row(suite, task, optimizer, seconds, peak["flops_per_second"])
            rows.append(row)
            on_row(row)
    return {
        "suite": suite.name,
        "cores": num_cores(),
        "peak_gflops": peak["flops_per_second"] / 1e9,
        "rows": [{**asdict(row), "seconds": row.seconds} for row in rows],
        "meta_training": asdict(_meta_time(seconds, peak["flops_per_second"])),
        "suite_seconds": {
            name: sum(row.seconds for row in rows if row.optimizer == name)
            for name in optimizers
        },
    }


def _meta_time(seconds: float, peak: float) -> MetaTime:
    [program] = measure(1, "meta", seconds)
    [loop] = measure(1, "meta_loop", seconds)
    rate = program["meta_steps_per_second"]
    return MetaTime(
        task=meta_training.TASK,
        meta_steps_per_second=rate,
        inner_steps_per_second=rate * meta_training.inner_steps(),
        share_of_peak=rate * meta_training.meta_step_flops() / peak,
        ratio=rate / loop["meta_steps_per_second"],
        compile_seconds=program["compile_seconds"],
        peak_mib=program["peak_mib"],
    )


def _row(
    suite: Suite, task: str, optimizer: str, seconds: float, peak: float
) -> TaskTime:
    settings = 1 if optimizer in all_learned_optimizers() else len(LEARNING_RATES)
    trials, num_steps = settings * suite.seeds, suite.num_steps
    [grid] = measure(1, "grid", task, trials, "default", seconds, num_steps, optimizer)
    rate = grid["trial_steps_per_second"]
    ratios: dict[str, float | None] = {"ratio": None, "ratio_of_one": None}
    if optimizer == REFERENCE:
        for name, processes in (("ratio_of_one", 1), ("ratio", num_cores())):
            loops = measure(processes, "loop", task, seconds)
            ratios[name] = rate / sum(x["trial_steps_per_second"] for x in loops)
    flops = trial_flops(get_task_from_name(task), suite.plan) / (num_steps + 1)
    return TaskTime(
        task=task,
        optimizer=optimizer,
        num_trials=trials,
        strategy=grid["strategy"],
        trial_steps_per_second=rate,
        share_of_peak=rate * flops / peak,
        train_seconds=trials * (num_steps + 1) / rate,
        final_seconds=grid["seconds_at_end"],
        compile_seconds=grid["compile_seconds"],
        peak_mib=grid["peak_mib"],
        **ratios,
    )
