"""Trains a stored trial again, from what its result file says alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np

from learned_optimization import recorded_gin
from learned_optimization.baselines.folder_names import present_name
from learned_optimization.baselines.results.differences import Difference, differences
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.inner_training import configured_trial
from learned_optimization.baselines.sweeps.trials import Trial, versions
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Strategy
from learned_optimization.numerics import shown
from learned_optimization.text import brief, named
from learned_optimization.torch_optimizers.define import recorded_torch_class

SAME_STEPS = 1_000
"""Steps for which a curve is the same, up to rounding, however it is executed."""

TOLERANCE = 1e-3
"""Largest relative difference that counts as rounding; see `docs/determinism.md`."""


@dataclass(frozen=True)
class Replay:
    """What training a trial again gave.

    Attributes:
      trial: the trial.
      result: the new result; it is not stored.
      differences: of the curves and the losses over whole splits, old against new;
        none if they are the same bit for bit.
      early: largest relative difference of the training loss in the first
        `SAME_STEPS` steps; infinite if it is finite in one of them only.
      changed_versions: `package==version` at that time and now, where they differ.
      elsewhere: what else was different at that time: the configuration of jax, the
        processor, the number of trials run together.
    """

    trial: Trial
    result: Result
    differences: list[Difference]
    early: float
    changed_versions: list[tuple[str, str]]
    elsewhere: list[str]

    @property
    def is_same(self) -> bool:
        """Whether the first `SAME_STEPS` losses agree, up to rounding."""
        return self.early <= TOLERANCE


def trial_of(path: str, stored: Result) -> Trial:
    """Return the trial a result file is of, made from the configuration it records.

    Args:
      path: the file, for messages.
      stored: what it holds.

    Raises:
      LoptError: if the configuration is missing, or makes another trial. A task or
        optimizer that was passed as a Python object cannot be made from text.
    """
    needed = ("gin_operative_config", "seed", "opt_config", "task_name", "opt_name")
    needed += ("train/xs", "train/loss")
    if lacking := [key for key in needed if key not in stored]:
        raise LoptError(
            f"{path} cannot be replayed: it does not record {', '.join(lacking)}."
        )
    text = str(stored["gin_operative_config"])
    cannot = f"{path} cannot be replayed from the gin configuration it records: "
    try:
        if "opt_class" in stored:
            recorded_torch_class(str(stored["opt_class"]))
        recorded_gin.load(text)
        trial = configured_trial()
    except recorded_gin.RefusedError as error:
        raise LoptError(f"{cannot}{error}") from error
    except LoptError as error:
        raise LoptError(
            f"{cannot}{error} Import the file, or the module, of a task or optimizer "
            "of your own before; what was passed as an object from Python is not "
            "recorded."
        ) from error
    except Exception as error:  # whatever a value of a wrong type leads to
        raise LoptError(f"{cannot}{brief(named(error))}.") from error
    now = _identity_of(trial)
    then = {key: str(stored[key]) for key in now if key in stored}
    then["opt_name"] = present_name(then["opt_name"])
    if changed := [key for key in then if now[key] != then[key]]:
        raise LoptError(
            f"{path} cannot be replayed: the gin configuration it records makes a "
            "trial of "
            + ", ".join(f"{key} {now[key]}, not {then[key]}" for key in changed)
            + ". What was passed as an object from Python is not recorded."
        )
    return trial


def _identity_of(trial: Trial) -> dict[str, str]:
    return {
        "task_name": trial.task_name,
        "opt_name": present_name(trial.opt_name),
        "opt_config": trial.opt.name,
        "seed": str(trial.seed),
        **{key: str(value) for key, value in trial.plan.as_keys().items()},
    }


def replay(path: str) -> Replay:
    """Train the trial of a result file again, and compare.

    Nothing is written. The global gin configuration is replaced.

    Args:
      path: the result file.

    Raises:
      LoptError: if the file cannot be read, or the trial cannot be made.
    """
    stored = read_result(path)
    trial, result = train_again(path, stored)
    keys = compared_keys(stored, result)
    return Replay(
        trial=trial,
        result=result,
        differences=differences(stored, result, keys),
        early=_early(stored["train/loss"], result["train/loss"]),
        changed_versions=_changed_versions(str(stored.get("versions", ""))),
        elsewhere=_elsewhere(stored, result),
    )


def prepared_trial_of(path: str, stored: Result) -> Trial:
    """Return the trial a result is of as `trial_of`, ready to be trained again.

    It runs on one device. The global gin configuration is replaced.

    Args:
      path: where the result is from, for messages.
      stored: what it holds, of one trial.

    Raises:
      LoptError: if the trial cannot be made, or not with the data it was trained on.
    """
    trial = trial_of(path, stored)
    was_synthetic = bool(stored.get("synthetic_data", False))
    if was_synthetic != trial.is_synthetic:
        raise LoptError(
            f"{path} was trained on {'made-up' if was_synthetic else 'real'} data: "
            f"{'set' if was_synthetic else 'unset'} LOPT_SYNTHETIC_DATA."
        )
    trial.opt.prepare()
    # On one device, or each would take one of several trials.
    return trial if trial.device else replace(trial, device=jax.local_devices()[0])


def train_again(path: str, stored: Result) -> tuple[Trial, Result]:
    """Train the trial of a result again; nothing is written.

    It is computed as it was: by the same kernels, and where there were trials beside it
    beside one, itself. On the machine that it was trained on this gives the same bits,
    or nearly so. The global gin configuration is replaced.

    Args:
      path: where the result is from, for messages.
      stored: what it holds, of one trial.

    Returns:
      The trial, and its new result.

    Raises:
      LoptError: as `prepared_trial_of`.
    """
    trial = prepared_trial_of(path, stored)
    strategy = Strategy.parse(str(stored["strategy"])) if "strategy" in stored else None
    is_beside = _was_beside(stored, strategy)
    [(_, result), *_] = TrialGrid([[trial]] * (2 if is_beside else 1)).run(
        strategy=strategy
    )
    return trial, result


def _was_beside(stored: Result, strategy: Strategy | None) -> bool:
    """Return whether a device computed other trials beside this one, at once."""
    together = int(stored.get("timing/trials_run_together", 1))
    devices = int(stored.get("accelerator_devs", 1))
    return strategy is not None and strategy.trials_at_once > 1 and together > devices


def compared_keys(stored: Result, result: Result) -> list[str]:
    """Return the keys that a replay compares.

    They are the curves that are stored, and what both have over whole splits: results
    of earlier versions have nothing of these.

    Args:
      stored: the stored result.
      result: of the same trial, trained again.
    """
    curves = [k for k in stored if k.startswith(("train/", "eval/")) and stored[k].ndim]
    return [*curves, *(k for k in stored if k.startswith("final/") and k in result)]


def _early(old: np.ndarray, new: np.ndarray) -> float:
    """Return the largest relative difference of two losses in the first steps."""
    key = "train/loss"
    of_losses = differences({key: old[:SAME_STEPS]}, {key: new[:SAME_STEPS]})
    if not of_losses:
        return 0.0
    if of_losses[0].what or of_losses[0].finite_in_one:
        return float("inf")
    return of_losses[0].largest_relative


def _changed_versions(recorded: str) -> list[tuple[str, str]]:
    now = dict(line.split("==") for line in versions())
    then = dict(line.split("==", 1) for line in recorded.splitlines() if "==" in line)
    return [
        (f"{package}=={then[package]}", f"{package}=={now[package]}")
        for package in now
        if package in then and then[package] != now[package]
    ]


def _elsewhere(stored: Result, result: Result) -> list[str]:
    keys = ("accelerator_kind", "accelerator_devs", "timing/trials_run_together")
    different = [
        f"{key} {stored[key]} then, {result[key]} now"
        for key in keys
        if key in stored and str(stored[key]) != str(result[key])
    ]
    # Results of before it was recorded are of jax's defaults.
    then, now = str(stored.get("jax_config", "")), str(result["jax_config"])
    if then != now:
        different.insert(0, f"{shown(then)} then, {shown(now)} now")
    return different
