"""What grids of trials took here, kept so that others are planned without measuring.

Records are below `LOPT_CACHE_DIR` (`costs`), a folder for each kind of grid: the task,
the structure of the optimizer, the machine, the versions of the packages. In it is a
file for each way to evaluate and number of trials, to a power of two. The last record
counts: what a sweep took replaces what a measurement of its beginning said.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax

from learned_optimization import filesystem, numerics
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import versions
from learned_optimization.benchmarking.optimizer_cost import Machine
from learned_optimization.cache import cache_dir, cannot_keep
from learned_optimization.errors import ResultError
from learned_optimization.eval_training import EVAL_SPLITS, Progress, RunPlan
from learned_optimization.json_reading import parse_json
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.tasks.task import identity_of
from learned_optimization.training.backend import local_devices
from learned_optimization.training.grid import Layout
from learned_optimization.training.results import Measurement
from learned_optimization.training.strategy import size_class

# A gradient takes about as long as the loss and twice that again.
_PASSES_OF_UPDATE = 3
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class RecordedCost:
    """What a grid took, so that it can be scaled to other grids of its kind.

    A pass is one loss of one batch; an update counts as three.

    Attributes:
      seconds_per_pass: seconds of training for each pass of each trial, of those of
        the device that had most.
      seconds_at_end: seconds of evaluating whole splits for each of these trials.
      compile_seconds: seconds of compiling.
      trials_per_device: trials of the device that had most.
      eval_every: as in the plan of its runs.
      eval_batches: likewise.
      last_eval_batches: likewise.
    """

    seconds_per_pass: float
    seconds_at_end: float
    compile_seconds: float
    trials_per_device: int
    eval_every: int
    eval_batches: int
    last_eval_batches: int

    @classmethod
    def of_measurement(cls, grid: TrialGrid, measured: Measurement) -> RecordedCost:
        """Return what the beginning of a grid says of all of it."""
        plan = grid.first.plan
        passes = _PASSES_OF_UPDATE * plan.block_updates
        passes += len(EVAL_SPLITS) * plan.eval_batches
        return cls._of(
            grid,
            measured.seconds_per_block / passes,
            measured.seconds_at_end,
            measured.compile_seconds,
        )

    @classmethod
    def of_run(
        cls,
        grid: TrialGrid,
        training_seconds: float,
        run_seconds: float,
        compile_seconds: float,
    ) -> RecordedCost:
        """Return what a whole grid took.

        Args:
          grid: the grid.
          training_seconds: seconds until the last update of each trial was done,
            compilation apart.
          run_seconds: those, and the evaluation of whole splits.
          compile_seconds: seconds of compiling.
        """
        return cls._of(
            grid,
            training_seconds / _passes(grid.first.plan),
            max(0.0, run_seconds - training_seconds),
            compile_seconds,
        )

    @classmethod
    def _of(
        cls, grid: TrialGrid, per_pass: float, at_end: float, compiling: float
    ) -> RecordedCost:
        trials, plan = trials_per_device(grid), grid.first.plan
        return cls(
            seconds_per_pass=per_pass / trials,
            seconds_at_end=at_end / trials,
            compile_seconds=compiling,
            trials_per_device=trials,
            eval_every=plan.eval_every,
            eval_batches=plan.eval_batches,
            last_eval_batches=plan.last_eval_batches,
        )

    def run_seconds(self, grid: TrialGrid) -> float:
        """Return about how long a grid runs, compilation apart."""
        of_trial = self.seconds_per_pass * _passes(grid.first.plan)
        return trials_per_device(grid) * (of_trial + self.seconds_at_end)

    @property
    def evaluation(self) -> tuple[int, int, int]:
        """What a plan says of evaluations."""
        return self.eval_every, self.eval_batches, self.last_eval_batches


def nearest(costs: Sequence[RecordedCost], grid: TrialGrid) -> RecordedCost:
    """Return the one of some costs whose grid was most like another.

    Args:
      costs: at least one.
      grid: the other grid.
    """
    evaluation, trials = evaluation_of(grid.first.plan), trials_per_device(grid)

    def distance(cost: RecordedCost) -> tuple[bool, float]:
        ratio = cost.trials_per_device / trials
        return cost.evaluation != evaluation, abs(math.log(ratio))

    return min(costs, key=distance)


def kind_of(grid: TrialGrid) -> str:
    """Return what grids that take equally long for each trial and pass have in common.

    It is text that is the same in every process.
    """
    first = grid.first
    machine = asdict(Machine.here())
    kind = {
        "task": identity_of(first.task),
        "eval_task": identity_of(first.eval_task),
        "is_synthetic": first.is_synthetic,
        "optimizer": _structure_of(first.opt),
        "devices": [f"{d.platform} {d.device_kind}" for d in _devices_of(grid)],
        **machine,
        "versions": versions(),
        "jax_config": numerics.record(),
    }
    return json.dumps(kind, sort_keys=True)


def load_costs(kind: str) -> list[RecordedCost]:
    """Return what is recorded of grids of a kind, of `kind_of`.

    Files that are damaged, or cannot be read, are as if they were not there.
    """
    try:
        paths = filesystem.list_files(_folder(kind), ".json")
    except ResultError:
        return []
    costs = [_load(path, kind) for path in paths]
    return [cost for cost in costs if cost is not None]


def save_cost(kind: str, cost: RecordedCost) -> None:
    """Record what a grid of a kind took, in place of what is recorded of its size."""
    content = {"kind": kind, **asdict(cost)}
    text = json.dumps(content | {"digest": _digest(content)}, indent=2) + "\n"
    sizes = (*cost.evaluation, size_class(cost.trials_per_device))
    path = _folder(kind) / f"{'_'.join(map(str, sizes))}.json"
    try:
        filesystem.write_bytes(path, text.encode())
    except ResultError as error:
        cannot_keep("recorded costs", error, "they are measured again")


def save_cost_of_run(grid: TrialGrid, last: Progress | None, record: Result) -> None:
    """Record what a sweep's grid took; whatever goes wrong, without it.

    Args:
      grid: the grid.
      last: the last that was said of its training; None if nothing was.
      record: what one of its result files holds.
    """
    # What was measured to choose a strategy may have been all of it, and says nothing.
    if last is None or last.updates_done < last.num_updates:
        return
    # No sweep ends for this, whatever a user's optimizer says of itself.
    with suppress(Exception):
        cost = RecordedCost.of_run(
            grid,
            last.run_seconds,
            float(record["timing/run_seconds"]),
            float(record["timing/compile_seconds"]),
        )
        save_cost(kind_of(grid), cost)


def trials_per_device(grid: TrialGrid) -> int:
    """Return the trials of a grid that the device with most of them has."""
    rows, devices = grid.rows, _devices_of(grid)
    return Layout.choose(len(rows[0]), len(rows), devices).trials_per_device


def evaluation_of(plan: RunPlan) -> tuple[int, int, int]:
    """Return what a plan says of evaluations, as `RecordedCost.evaluation`."""
    return plan.eval_every, plan.eval_batches, plan.last_eval_batches


def _passes(plan: RunPlan) -> int:
    """Return the passes of a whole trial, but for the evaluation at its end."""
    batches = len(EVAL_SPLITS) * int(plan.eval_batches_of_block.sum())
    return _PASSES_OF_UPDATE * (plan.num_steps + 1) + batches


def _devices_of(grid: TrialGrid) -> list[Any]:
    device = grid.first.device
    return local_devices() if device is None else [device]


def _structure_of(opt: Optimizer) -> str:
    """Return what decides an optimizer's program, without its hyper-parameters."""
    leaves, structure = jax.tree.flatten(opt)
    # A class that is no pytree of hyper-parameters is a leaf of itself.
    if any(leaf is opt for leaf in leaves):
        return opt.name
    shapes = [jax.numpy.shape(leaf) for leaf in leaves]
    # Two classes may share a name, in a user's file and here.
    where = f"{opt.defined_by.__module__}.{opt.defined_by.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", f"{where} {structure} {shapes}")


def _folder(kind: str) -> Path:
    return cache_dir() / "costs" / hashlib.sha256(kind.encode()).hexdigest()[:24]


def _load(path: str, kind: str) -> RecordedCost | None:
    try:
        content = parse_json(filesystem.read_all(path, _MOST_BYTES))
        digest = content.pop("digest")
        if digest != _digest(content) or content.pop("kind") != kind:
            return None
        cost = RecordedCost(**content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return cost if _is_possible(cost) else None


def _is_possible(cost: RecordedCost) -> bool:
    seconds = cost.seconds_per_pass, cost.seconds_at_end, cost.compile_seconds
    counts = (cost.trials_per_device, *cost.evaluation)
    return all(_is_number(s) and 0 <= s < math.inf for s in seconds) and all(
        isinstance(c, int) and c > 0 for c in counts
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
