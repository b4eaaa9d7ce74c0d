"""What a step of an optimizer costs: the record of a measurement, and where it is kept.

`optimizer_timing.measure_costs` measures; a report reads what was measured here. The
seconds until a target are its steps times `OptimizerCost.step_seconds`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax

from learned_optimization import filesystem
from learned_optimization.cache import cache_dir
from learned_optimization.errors import DamagedFileError
from learned_optimization.training.backend import num_cores, processor

# Of a file of measurements, each of which takes two thousand.
_MAX_BYTES = 64 << 20


class Quartiles(NamedTuple):
    """The middle half of repeated measurements.

    Attributes:
      low: a quarter of them is below.
      median: half of them is below.
      high: three quarters of them are below.
    """

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Machine:
    """What a measurement holds for.

    Attributes:
      device: platform and kind of jax's default device, e.g. `cpu cpu`.
      cores: processor cores that the process may use.
      processor: equal for processors of one kind.
      jax: version of jax.
    """

    device: str
    cores: int
    processor: str
    jax: str

    @classmethod
    def here(cls) -> Machine:
        """Return this one."""
        device = jax.devices()[0]
        return cls(
            device=f"{device.platform} {device.device_kind}",
            cores=num_cores(),
            processor=processor(),
            jax=version("jax"),
        )


@dataclass(frozen=True)
class OptimizerCost:
    """What one optimizer costs on one task: one trial, on jax's default device.

    Attributes:
      name: what was asked for: an optimizer, or a set, measured at its first setting.
      setting: `Optimizer.name` of what was measured.
      task: name of the task.
      needs: what the optimizer needs besides gradients, see `optimizers.base.NEEDS`;
        it is part of what is measured.
      num_params: numbers that are trained.
      dtype: their types, e.g. `float32`.
      state_bytes: bytes of the optimizer's state, without one copy of the parameters
        and without the model state; counters included. Exact.
      state_floats: floating-point numbers of the same.
      temporary_bytes: what the compiled loop of updates allocates besides its inputs
        and outputs, as XLA plans it; None where XLA does not say.
      update_flops: operations of one update as XLA counts them, before it optimizes:
        all of the work that is done at some steps only, a single pass of each loop,
        and next to nothing of decompositions of matrices. None where XLA does not
        say.
      update_seconds: seconds of one update, without the gradient. Of an optimizer
        that needs the loss function: of a whole step, less the gradient's.
      update_ratio: that against the update of SGD, repetition by repetition.
      gradient_seconds: seconds of one loss and gradient of one batch.
      sgd_seconds: seconds of one update of SGD in the same repetitions.
      step_ratio: gradient and update against gradient and update of SGD, repetition
        by repetition.
      repetitions: measurements of each of them, by turns.
      num_steps: updates of each measurement.
      peak_flops_per_second: see `benchmarking.peak`.
      machine: where.
      measured: when, as ISO 8601 in UTC.
    """

    name: str
    setting: str
    task: str
    needs: tuple[str, ...]
    num_params: int
    dtype: str
    state_bytes: int
    state_floats: int
    temporary_bytes: int | None
    update_flops: float | None
    update_seconds: Quartiles
    update_ratio: Quartiles
    gradient_seconds: Quartiles
    sgd_seconds: Quartiles
    step_ratio: Quartiles
    repetitions: int
    num_steps: int
    peak_flops_per_second: float
    machine: Machine
    measured: str

    @property
    def bytes_per_parameter(self) -> float:
        """Bytes of state for each number that is trained."""
        return self.state_bytes / self.num_params

    @property
    def floats_per_parameter(self) -> float:
        """Floating-point numbers of state for each number that is trained."""
        return self.state_floats / self.num_params

    @property
    def step_seconds(self) -> float:
        """Seconds of a whole step: median of the gradient plus median of the update."""
        return self.gradient_seconds.median + self.update_seconds.median

    @property
    def update_share(self) -> float:
        """Share of a whole step's time that the update takes."""
        return self.update_seconds.median / self.step_seconds

    @property
    def share_of_peak(self) -> float | None:
        """Operations of an update per second, against the machine's matrix products."""
        if self.update_flops is None:
            return None
        most = self.update_seconds.median * self.peak_flops_per_second
        return self.update_flops / most if most > 0 else None

    @property
    def is_difference(self) -> bool:
        """Whether the update was measured as a whole step less its gradient."""
        return "loss_fn" in self.needs

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON holds it, the properties too."""
        derived = (
            *("bytes_per_parameter", "floats_per_parameter", "step_seconds"),
            *("update_share", "share_of_peak"),
        )
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


def save_costs(costs: Iterable[OptimizerCost]) -> None:
    """Keep measurements in `LOPT_CACHE_DIR`.

    A measurement replaces the one before of the same name, task, parameters and
    machine.

    Raises:
      ResultError: if a file cannot be written.
    """
    for cost in costs:
        stored = asdict(cost)
        identity = [stored[k] for k in ("name", "task", "num_params", "dtype")]
        key = json.dumps([identity, stored["machine"]])
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        text = json.dumps(stored, indent=2) + "\n"
        filesystem.write_bytes(_folder() / name, text.encode())


def load_costs(
    task_name: str | None = None, machine: Machine | None = None
) -> list[OptimizerCost]:
    """Return what was measured, by task and name; the newest of each.

    Args:
      task_name: only of this task; of every task if None.
      machine: where it was measured; this machine and its version of jax if None.

    Returns:
      Empty where nothing was measured. A damaged file is none, as everywhere in a
      cache.
    """
    costs = [_load(path) for path in sorted(_folder().glob("*.json"))]
    costs = [c for c in costs if c is not None and task_name in (None, c.task)]
    if not costs:
        # To ask for this machine starts jax's backend, which a report does not need.
        return []
    machine = machine or Machine.here()
    newest: dict[tuple[str, str], OptimizerCost] = {}
    for cost in costs:
        if cost.machine != machine:
            continue
        key = cost.task, cost.name
        if key not in newest or newest[key].measured < cost.measured:
            newest[key] = cost
    return [newest[key] for key in sorted(newest)]


def write_costs(path: Path, costs: Iterable[OptimizerCost]) -> None:
    """Write measurements into one file, which `read_costs` reads on any machine.

    Raises:
      ResultError: if it cannot be written.
    """
    ordered = sorted(costs, key=lambda cost: (cost.task, cost.name))
    text = json.dumps([asdict(cost) for cost in ordered], indent=1) + "\n"
    filesystem.write_bytes(path, text.encode())


def read_costs(path: Path) -> list[OptimizerCost]:
    """Return the measurements of a file of `write_costs`.

    Raises:
      DamagedFileError: if it is no such file.
      ResultError: if it cannot be read.
    """
    content = filesystem.read_all(path, _MAX_BYTES)
    try:
        return [_from_json(stored) for stored in json.loads(content)]
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(str(path), f"it holds no costs: {error}") from error


def _folder() -> Path:
    return cache_dir() / "optimizer_costs"


def _load(path: Path) -> OptimizerCost | None:
    try:
        return _from_json(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _from_json(stored: Mapping[str, Any]) -> OptimizerCost:
    """Return the measurement a file holds.

    Raises:
      ValueError: if it holds something else; KeyError or TypeError likewise.
    """
    values = {field.name: stored[field.name] for field in fields(OptimizerCost)}
    for name in ("name", "setting", "task", "dtype", "measured"):
        if not isinstance(values[name], str):
            raise ValueError(name)
    for name in ("num_params", "state_bytes", "state_floats", "peak_flops_per_second"):
        values[name] = _finite(values[name])
    for name in ("temporary_bytes", "update_flops"):
        values[name] = None if values[name] is None else _finite(values[name])
    for name in ("update", "gradient", "sgd"):
        values[f"{name}_seconds"] = _quartiles(values[f"{name}_seconds"])
    for name in ("update_ratio", "step_ratio"):
        values[name] = _quartiles(values[name])
    values["needs"] = tuple(map(str, values["needs"]))
    values["machine"] = Machine(**values["machine"])
    return OptimizerCost(**values)


def _quartiles(values: Any) -> Quartiles:
    return Quartiles(*map(_finite, values))


def _finite(value: Any) -> Any:
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(value)
    return value
