"""The benchmark: tasks from tiny to large, every strategy, against a Python loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from learned_optimization.baselines.sweeps.estimate import trial_flops
from learned_optimization.baselines.sweeps.sweep import check_data
from learned_optimization.benchmarking.measurements import PLAN
from learned_optimization.benchmarking.processes import measure
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.training.backend import num_cores
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.strategy import Strategy

TASKS = (
    "ImageMLP_FashionMnist8_Relu32",
    "ImageMLP_Cifar10_128x128x128_Relu",
    "Conv_Cifar10_8_16x32",
    "Conv_Cifar10_32x64x64",
    "RNNLM_lm1bbytes_Patch32_GRU128_Embed64",
    "TransformerLM_LM1B_MultiRuntime_0",
    "Resnet_MultiRuntime_0",
)
NUM_TRIALS = (1, 5, 14, 70)
# Lengths of runs beside that of `PLAN`.
_OTHER_NUM_STEPS = (1_000, 100_000)
# Trials of models whose single step takes more than this are not grown further:
# they run one after another, and every one needs memory for its state.
_LARGE_FLOPS = 2e9
_MOST_OF_LARGE = 5


@dataclass(frozen=True)
class Row:
    """One way to train one task.

    Attributes:
      task: name of the task.
      way: what was run.
      num_trials: trials at a time.
      num_steps: length of the runs whose beginning is measured.
      trial_steps_per_second: updates per second, evaluations included.
      ratio: that, against the loop in one process for one trial, and against the
        loop in one process per core for more.
      share_of_peak: arithmetic a second against the machine's matrix products.
      compile_seconds: seconds until the first block is done but for its own time.
      peak_mib: resident memory of the process at most; of one process of several.
    """

    task: str
    way: str
    num_trials: int
    num_steps: int
    trial_steps_per_second: float
    ratio: float
    share_of_peak: float
    compile_seconds: float
    peak_mib: float


def run(
    tasks: Sequence[str] = TASKS,
    num_trials: Sequence[int] = NUM_TRIALS,
    seconds: float = 5.0,
    on_row: Callable[[Row], None] = lambda row: None,
) -> dict[str, Any]:
    """Measure everything; one process at a time, but for the loop on all cores.

    Args:
      tasks: names of fixed tasks whose data is available, or made up.
      num_trials: sizes of grids.
      seconds: how long each is measured, after it is compiled.
      on_row: called with each row as it is done.

    Returns:
      `cores`, `peak_gflops` and `rows`, as they go into the JSON file.

    Raises:
      DataNotFoundError: if a task's data is not available; before anything is
        measured.
      LoptError: if a measurement fails, with its last line of output.
    """
    # Data that is missing is found before minutes of measuring.
    check_data(get_task_from_name(task) for task in tasks)
    [peak] = measure(1, "peak")
    rows: list[Row] = []

    def keep(row: Row) -> Row:
        rows.append(row)
        on_row(row)
        return row

    for task in tasks:
        _run_task(_Task(task, peak["flops_per_second"], seconds), num_trials, keep)
    return {
        "cores": num_cores(),
        "peak_gflops": peak["flops_per_second"] / 1e9,
        "rows": [asdict(row) for row in rows],
    }


class _Task:
    """Measures one task."""

    def __init__(self, name: str, peak: float, seconds: float):
        self._name, self._peak, self._seconds = name, peak, seconds
        self.step_flops = self._flops_of_a_step(PLAN.num_steps)

    def _flops_of_a_step(self, num_steps: int) -> float:
        plan = RunPlan(num_steps=num_steps)
        return trial_flops(get_task_from_name(self._name), plan) / (num_steps + 1)

    def loop(self, processes: int) -> Row:
        measured = measure(processes, "loop", self._name, self._seconds)
        way = "loop" if processes == 1 else f"loop, {processes} processes"
        return self._row(way, processes, PLAN.num_steps, measured, None)

    def grid(
        self,
        way: str,
        num_trials: int,
        strategy: str,
        baseline: Row,
        num_steps: int = PLAN.num_steps,
    ) -> Row:
        arguments = (self._name, num_trials, strategy, self._seconds, num_steps)
        measured = measure(1, "grid", *arguments)
        return self._row(way, num_trials, num_steps, measured, baseline)

    def _row(
        self,
        way: str,
        trials: int,
        num_steps: int,
        measured: list[dict[str, Any]],
        baseline: Row | None,
    ) -> Row:
        rate = sum(m["trial_steps_per_second"] for m in measured)
        return Row(
            task=self._name,
            way=way,
            num_trials=trials,
            num_steps=num_steps,
            trial_steps_per_second=rate,
            ratio=rate / baseline.trial_steps_per_second if baseline else 1.0,
            share_of_peak=rate * self._flops_of_a_step(num_steps) / self._peak,
            compile_seconds=max(m["compile_seconds"] for m in measured),
            peak_mib=max(m["peak_mib"] for m in measured),
        )


def _run_task(
    task: _Task, num_trials: Sequence[int], keep: Callable[[Row], Row]
) -> None:
    single = keep(task.loop(1))
    all_cores = keep(task.loop(num_cores())) if num_cores() > 1 else single
    most = max(num_trials)
    if task.step_flops > _LARGE_FLOPS:
        most = min(most, _MOST_OF_LARGE)
    for n in (n for n in num_trials if n <= most):
        keep(task.grid("default", n, "default", single if n == 1 else all_cores))
    for num_steps in _OTHER_NUM_STEPS:
        keep(task.grid("default", most, "default", all_cores, num_steps))
    for strategy in _others(most):
        way = f"{strategy.trials_at_once} at once"
        way += ", YNNPACK" if strategy.library_kernels else ""
        keep(task.grid(way, most, str(strategy), all_cores))


def profiles(tasks: Sequence[str], seconds: float) -> dict[str, dict[str, Any]]:
    """Return where the time of a step goes, each task on one core.

    Args:
      tasks: names of fixed tasks whose data is available, or made up.
      seconds: how long each is run, after it is compiled.

    Returns:
      Name to what `step_profile.step_profile` returns.
    """
    return {task: measure(1, "profile", task, seconds)[0] for task in tasks}


def _others(num_trials: int) -> list[Strategy]:
    widths = sorted({n for n in (1, 8, num_trials) if n <= num_trials})
    return [Strategy(n, kernels) for n in widths for kernels in (False, True)]
