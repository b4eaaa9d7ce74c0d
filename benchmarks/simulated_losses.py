"""Losses of sets whose best is known, for the simulations of races and verdicts.

A curve says how much worse each configuration of a set is than the best one, in
standard deviations of a difference of two trials with the same seed. A seed adds the
same to all trials, which cancels in differences.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from learned_optimization.baselines.stats.chains import TaskLosses

_K = np.arange(14)
CURVES: dict[str, np.ndarray] = {
    "one": np.zeros(1),
    "steep": 4.0 * np.abs(_K - 7),
    # As Adam's learning rates: the two best are 0.43 apart, the others far.
    "adam": np.array([160, 120, 60, 25, 9, 3.0, 0.43, 0, 1.4, 6, 20, 60, 120, 160]),
    "near ties": 0.14 * (_K - 7.0) ** 2,
    "equal": np.zeros(14),
}
_SHIFTED = [np.roll(_K, 2 * i) for i in range(7)]

# How much of the noise of a test loss its outer_valid loss shares.
_SHARED = 0.8


@dataclass(frozen=True)
class Law:
    """How losses of sets are drawn.

    Attributes:
      curve: name of the curve of all sets; `"shapes"` gives each set another.
      noise: `"normal"`, `"t3"`, `"spread"` (times 1 to 4 over sets), `"one skewed"`
        (the last set's is exponential, times 3), or `"others skewed"`.
      divergence: share of trials that diverge, of each configuration alike.
      of_seed: standard deviation of what a seed adds to all trials.
    """

    curve: str
    noise: str = "normal"
    divergence: float = 0.0
    of_seed: float = 3.0

    def draw(
        self, better: np.ndarray, num_seeds: int, rng: np.random.Generator
    ) -> TaskLosses:
        """Return losses of sets, each better than the curve by a number of sd.

        Args:
          better: `[sets]`, in standard deviations of a difference.
          num_seeds: of each set.
          rng: of the noise.
        """
        valid, test, num_sets = [], [], len(better)
        of_seed = self.of_seed * rng.normal(size=num_seeds)
        for a in range(num_sets):
            curve = self._curve(a) - better[a]
            noise = self._noise(a, num_sets, (2, len(curve), num_seeds), rng)
            shared = _SHARED * noise[0] + np.sqrt(1 - _SHARED**2) * noise[1]
            test.append(curve[:, None] + of_seed + noise[0])
            valid.append(curve[:, None] + of_seed + shared)
            if self.divergence:
                lost = rng.random(test[a].shape) < self.divergence
                test[a][lost] = valid[a][lost] = np.nan
        return TaskLosses(valid, test, ceiling=1000.0)

    def _curve(self, a: int) -> np.ndarray:
        if self.curve != "shapes":
            return CURVES[self.curve]
        # Equal bests, at other places, of other widths.
        return (0.05 + 0.25 * (a % 6)) * (_SHIFTED[a % 7] - 7.0) ** 2

    def _noise(
        self, a: int, num_sets: int, shape: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        is_last = a == num_sets - 1
        skewed = {"one skewed": is_last, "others skewed": not is_last}
        if skewed.get(self.noise):
            return 3.0 * (rng.exponential(size=shape) - 1.0) / np.sqrt(2)
        if self.noise == "t3":
            return rng.standard_t(3, size=shape) / np.sqrt(6)
        spread = 1 + 3 * a / max(num_sets - 1, 1) if self.noise == "spread" else 1.0
        return spread * rng.normal(size=shape) / np.sqrt(2)


class Checkpoint:
    """Results of chunks of simulations, in a JSON file: run again, it goes on.

    Args:
      path: the file; nothing is kept if it is None.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self._results: dict[str, list[list[float]]] = {}
        if path and path.exists():
            self._results = json.loads(path.read_text())

    def mean(
        self,
        name: str,
        simulate: Callable[[np.random.Generator], Iterable[float]],
        num: int,
        chunk: int = 50,
    ) -> np.ndarray:
        """Return the mean results of simulations, NaN left out.

        Args:
          name: of the row; its random numbers depend on nothing else.
          simulate: gives one result, a few numbers.
          num: of simulations.
          chunk: so many are kept together.
        """
        rows: list[np.ndarray] = []
        for first in range(0, num, chunk):
            key = f"{name} [{first}]"
            if key not in self._results:
                rng = np.random.default_rng([*name.encode(), first])
                count = min(chunk, num - first)
                self._results[key] = [list(simulate(rng)) for _ in range(count)]
                self._save()
            rows.append(np.asarray(self._results[key], np.float64))
        return np.nanmean(np.concatenate(rows)[:num], axis=0)

    def _save(self) -> None:
        if self._path:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self._results))
            os.replace(new, self._path)
