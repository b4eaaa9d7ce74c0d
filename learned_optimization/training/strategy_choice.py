"""Chooses how a grid is computed: measured once, then remembered on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from learned_optimization import filesystem
from learned_optimization.cache import cache_dir, cannot_keep
from learned_optimization.errors import ResultError
from learned_optimization.tasks.task import Task, identity_of
from learned_optimization.training.backend import processor
from learned_optimization.training.grid import Layout
from learned_optimization.training.grid_runner import GridRunner
from learned_optimization.training.strategy import Strategy, size_class

# Trying the other strategies may take this share of the work they may speed up.
_SHARE_OF_WORK = 0.1
# Seconds each is measured, after it is compiled.
MEASURED_SECONDS = 1.5


@dataclass(frozen=True)
class Remembered:
    """Where the strategy of a kind of grid is remembered.

    Attributes:
      path: a small JSON file in `LOPT_CACHE_DIR`.
      kind: what the choice depends on: the task, the machine, the versions of
        the libraries, and how many trials a device is given, to a power of two.
    """

    path: str
    kind: dict[str, str]

    @classmethod
    def of(cls, task: Task, layout: Layout) -> Remembered:
        """Return the place for grids like this one."""
        device = layout.mesh.devices.flat[0]
        kind = {
            "task": identity_of(task),
            "trials_per_device": str(size_class(layout.trials_per_device)),
            "devices": f"{layout.mesh.size} {device.platform} {device.device_kind}",
            "processor": processor(),
            **{package: version(package) for package in ("jax", "jaxlib")},
        }
        digest = hashlib.sha256(json.dumps(kind).encode()).hexdigest()[:24]
        path = Path(cache_dir()) / "strategies" / f"{digest}.json"
        return cls(str(path), kind)

    def load(self) -> Strategy | None:
        """Return the strategy that was measured, if any; a damaged file is none."""
        try:
            with filesystem.open_to_read(self.path) as file:
                content = json.load(file)
            digest = content.pop("digest")
            if digest != _digest(content) or not self.kind.items() <= content.items():
                return None
            return Strategy.parse(content["strategy"])
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            return None

    def save(self, strategy: Strategy, rates: dict[Strategy, float]) -> None:
        """Keep a strategy, with what was measured.

        Args:
          strategy: the one chosen.
          rates: trial-steps per second of all that were tried.
        """
        content = {
            "strategy": str(strategy),
            "trial_steps_per_second": {str(s): round(r, 1) for s, r in rates.items()},
            **self.kind,
        }
        text = json.dumps(content | {"digest": _digest(content)}, indent=2)
        try:
            filesystem.write_bytes(self.path, text.encode())
        except ResultError as error:
            cannot_keep("strategies", error, "they are measured again")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fastest(
    runner: GridRunner,
    others: Sequence[Callable[[], GridRunner]],
    remembered: Remembered,
    similar_runs: float,
    should_stop: Callable[[], bool],
) -> GridRunner:
    """Return the fastest of several ways to run a grid, which is then remembered.

    The others are tried only where that takes a small share of the work that may
    gain from it. What a runner did while it was measured is part of its run.

    Args:
      runner: the default one, after `MEASURED_SECONDS` of its run.
      others: start the others.
      remembered: where the choice is kept.
      similar_runs: as in `run_grid`.
      should_stop: asked before each.

    Returns:
      A runner, begun.
    """
    best, seconds = runner, {runner.strategy: runner.seconds_per_block}
    work = seconds[best.strategy] * runner.blocks_left * similar_runs
    price = len(others) * (runner.compile_seconds + MEASURED_SECONDS)
    if not others or price > _SHARE_OF_WORK * work:
        return runner
    for start in others:
        if should_stop():
            return best
        try:
            other = start()
            other.advance(MEASURED_SECONDS)
            seconds[other.strategy] = other.seconds_per_block
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            continue
        if seconds[other.strategy] < seconds[best.strategy]:
            best = other
    remembered.save(
        best.strategy, {s: runner.steps_per_block / t for s, t in seconds.items()}
    )
    return best


def is_out_of_memory(error: Exception) -> bool:
    """Return whether XLA failed for want of memory."""
    return "RESOURCE_EXHAUSTED" in str(error)
