"""Measurements in processes of their own, so that none warms up the next."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from learned_optimization.errors import LoptError


def measure(processes: int, *arguments: object) -> list[dict[str, Any]]:
    """Run a measurement in several processes at once.

    Args:
      processes: how many.
      *arguments: name and arguments of one of `measurements`.

    Returns:
      What each of them measured.

    Raises:
      LoptError: if one fails, with its last line of output.
    """
    module = "learned_optimization.benchmarking.measurements"
    command = [sys.executable, "-m", module, *map(str, arguments)]
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    outputs = [process.communicate() for process in running]
    for process, (_, stderr) in zip(running, outputs, strict=True):
        if process.returncode:
            last = (stderr.strip().splitlines() or ["no output"])[-1]
            raise LoptError(f"the measurement {' '.join(command[3:])} failed: {last}")
    return [json.loads(stdout) for stdout, _ in outputs]
