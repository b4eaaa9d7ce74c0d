"""Sweeps whose training is quick and counted, and a disk that fails where told to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.results.owner import Owner
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.trials import result_record
from learned_optimization.training.results import GridResult
from learned_optimization.training.strategy import Strategy


class KilledError(BaseException):
    """Stands for the end of the process: nothing is written after it."""


@dataclass
class Trainer:
    """Takes the place of `TrialGrid.run`.

    Its curves depend on the trial alone, and its `strategy` and `accelerator_devs` on
    which trials were trained together: archives show whether grids were formed anew.

    Attributes:
      trained: the trials of each grid that was trained.
    """

    trained: list[list[tuple[str, int]]] = field(default_factory=list)

    def run(self, grid: TrialGrid, *args: Any, **kwargs: Any) -> list[Any]:
        self.trained.append([(t.opt_name, t.seed) for t in grid.trials])
        size = len(grid.trials)
        plan = grid.first.plan
        rng = np.random.default_rng(0)
        shape = (len(grid.rows), len(grid.rows[0]))
        seeds = np.asarray([t.seed for t in grid.rows[0]])
        train = rng.random(plan.num_steps + 1) + seeds[:, None]
        evals = rng.random(plan.num_evals) + seeds[:, None]
        curves = {
            "train/xs": np.arange(plan.num_steps + 1),
            "train/loss": np.broadcast_to(train, (*shape, plan.num_steps + 1)),
            "eval/xs": plan.eval_steps,
            **{
                f"eval/{split}/loss": np.broadcast_to(evals, (*shape, plan.num_evals))
                for split in ("train", "outer_valid", "test")
            },
        }
        for key, values in curves.items():
            if not key.endswith("xs"):
                curves[key] = values.astype(np.float32)
        device: Any = type("Device", (), {"platform": "cpu", "device_kind": "none"})
        result = GridResult(curves, 1.0, 1.0, (device,) * size, Strategy(size, False))
        return [
            (trial, result_record(trial, result, c, s, size))
            for c, row in enumerate(grid.rows)
            for s, trial in enumerate(row)
        ]


CALLS = ("write_whole", "remove_file", "move_file")
"""Functions of `filesystem` that change something."""


class Disk:
    """Counts what changes something on the disk, and fails at one of these calls.

    Args:
      fails: called before (False) and after (True) each call with its number from 0,
        the function's name and the path; it may raise.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        fails: Callable[[bool, int, str, str], None] = lambda *call: None,
    ):
        self.calls: list[tuple[str, str]] = []
        for name in CALLS:
            real = getattr(filesystem, name)
            monkeypatch.setattr(filesystem, name, self._watched(name, real, fails))

    def _watched(self, name: str, real: Callable, fails: Callable) -> Callable:
        def call(path, *args):
            number = len(self.calls)
            self.calls.append((name, str(path)))
            fails(False, number, name, str(path))
            real(path, *args)
            fails(True, number, name, str(path))

        return call


def killed_at(number: int, after: bool) -> Callable[[bool, int, str, str], None]:
    """Return what ends the process before or after a call; none comes after it."""
    is_dead = False

    def fails(is_after: bool, at: int, name: str, path: str) -> None:
        nonlocal is_dead
        is_dead = is_dead or (at == number and is_after == after)
        if is_dead:
            raise KilledError

    return fails


def of_a_dead_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what this process claims seem to be of one that has ended."""
    here = Owner.here()
    # Its id is given again, to this process.
    gone = Owner(here.host, here.machine, here.process, "1")
    monkeypatch.setattr(Owner, "here", lambda: gone)


def archived(path: str | Path) -> dict[str, np.ndarray]:
    """Return what an archive holds, but for times."""
    with np.load(path) as npz:
        return {k: npz[k] for k in npz.files if not k.startswith("timing/")}


def assert_same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Compare archives bit for bit."""
    assert got.keys() == wanted.keys()
    for key, values in wanted.items():
        assert got[key].dtype == values.dtype, key
        assert got[key].tobytes() == values.tobytes(), key


def results() -> list[str]:
    """Return the names of all result files, and check that no trial has two."""
    paths = sorted(Path(utils.get_root_baseline_dir()).rglob("*.curves"))
    trials = []
    for path in paths:
        with np.load(path) as npz:
            trials.append((str(npz["opt_name"]), int(npz["seed"])))
    assert len(trials) == len(set(trials)), "a trial has two results"
    return [str(path) for path in paths]


def leftovers() -> list[str]:
    """Return the hidden files below the root."""
    root = utils.get_root_baseline_dir()
    files = filesystem.walk_files(root, "", hidden=True)
    return [f.path for f in files if "/." in f.path.removeprefix(root)]
