"""What an archive says of one set on one task: its best, how sure, and its cost."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.best_of_set import (
    CURVE_KEYS,
    BestOfSet,
    Curves,
    FinalLosses,
    best_of_set,
    check_eval_split,
    curves_of,
)
from learned_optimization.baselines.analysis.hyperparameters import (
    hyperparameters,
    of_arrays,
    of_file,
)
from learned_optimization.baselines.analysis.rates import rate_line, sensitivity_on
from learned_optimization.baselines.release.thin import THIN_KEYS
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.results.last_losses import (
    WHOLE_KEYS,
    has_whole,
    last_losses,
    measured_alike,
)
from learned_optimization.benchmarking.optimizer_cost import OptimizerCost
from learned_optimization.errors import ResultError
from learned_optimization.eval_training import EVAL_SPLITS

# Files of the published system lack them.
_FACTS = (
    "seed",
    "num_steps",
    "eval_every",
    "accelerator_platform",
    "accelerator_kind",
    "accelerator_devs",
    "versions",
    "jax_config",
    "synthetic_data",
    "divergence_note",
    "timing/run_seconds_per_trial",
    "timing/trials_run_together",
)


@dataclass(frozen=True, eq=False)
class SetResult:
    """A set on a task.

    Attributes:
      task_name: the task.
      set_name: the set.
      curves: its evaluation curves.
      ends: split to float64 `[num_configs, num_seeds]`, final loss, inf if diverged.
      ends_of_whole: the same over whole splits, where the files say; empty if not.
      best: the configuration with the lowest mean loss on the selecting split.
      bias: how much lower the loss would look if the same seeds chose and were
        reported (`stats.nested_selection`); NaN where there is one seed.
      select: split that selects.
      report: split that is reported.
      rate_line: int64 `[num_rates]`, configurations that differ from the best one in
        nothing but the learning rate, lowest rate first; None if there are none.
      learning_rates: float64 `[num_configs]`, the rate of each configuration, where
        there is such a line; NaN for one that has none.
      sensitivity: how wide the range of good learning rates is on the line, if it is
        one: all other hyper-parameters have their best values.
      tuning: expected loss after so many configurations drawn at random.
      seeds: int `[num_seeds]`, if the files say, and all configurations have the
        same ones.
      seconds_per_step: of one trial, in the grid it ran in; NaN if the files do not
        say.
      facts: what else the files say: where and with what the set was trained.
      cost: what was measured of its optimizer alone; None if nothing.
    """

    task_name: str
    set_name: str
    curves: Curves
    ends: Mapping[str, np.ndarray]
    ends_of_whole: Mapping[str, np.ndarray]
    best: BestOfSet
    bias: float
    select: str
    report: str
    rate_line: np.ndarray | None
    learning_rates: np.ndarray | None
    sensitivity: stats.Sensitivity | None
    tuning: stats.TuningCurve
    seeds: np.ndarray | None
    seconds_per_step: float
    facts: Mapping[str, str]
    cost: OptimizerCost | None = None

    @property
    def num_steps(self) -> int:
        """Number of the last update."""
        return int(self.curves.xs[-1])

    @property
    def jax_config(self) -> str:
        """What was changed in jax's configuration, as of `numerics.record`."""
        return self.facts.get("jax_config", "")

    @property
    def num_seeds(self) -> int:
        """Seeds of every configuration."""
        return self.curves.losses[self.report].shape[1]

    @property
    def num_configs(self) -> int:
        """Configurations of the set."""
        return len(self.curves.opt_names)

    @property
    def is_of_whole(self) -> bool:
        """Whether `ends` are over whole splits, not a few batches."""
        return self.ends is self.ends_of_whole

    @property
    def final(self) -> np.ndarray:
        """Float64 `[num_configs, num_seeds]`, last reported loss, inf if diverged."""
        return self.ends[self.report]

    def seconds_alone(self, steps: float) -> float:
        """Return seconds of so many updates, from `cost`; NaN without one.

        Of one trial alone, gradients included and evaluations not.
        """
        return steps * self.cost.step_seconds if self.cost else float("nan")

    def final_over_rates(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the learning rates in order, and the final losses of each.

        Returns:
          Float64 `[num_rates]` of `rate_line`, and float64 `[num_rates, num_seeds]`,
          NaN for all seeds of a rate where one diverged; None if there is no line.
        """
        if self.rate_line is None or self.learning_rates is None:
            return None
        final = self.final[self.rate_line]
        whole = np.isfinite(final).all(axis=1, keepdims=True)
        return self.learning_rates[self.rate_line], np.where(whole, final, np.nan)

    @cached_property
    def initial_loss(self) -> float:
        """Mean reported loss before the first update; NaN if none is finite."""
        return self.initial_loss_on(self.report)

    def initial_loss_on(self, split: str) -> float:
        """Return the mean loss before the first update; NaN if none is finite."""
        first = self.curves.losses[split][:, :, 0]
        finite = first[np.isfinite(first)]
        return float(finite.mean(dtype=np.float64)) if finite.size else float("nan")

    def best_curves(self, split: str | None = None) -> np.ndarray:
        """Return float `[num_seeds, num_evals]`, the best configuration's loss."""
        return self.curves.losses[split or self.report][self.best.index]

    def of_last_evaluation(self) -> SetResult:
        """Return the same with `ends` of the last evaluations, a few batches each."""
        if not self.is_of_whole:
            return self
        ends = {
            split: stats.mark_diverged(losses[:, :, -1])
            for split, losses in self.curves.losses.items()
        }
        return replace(
            self, ends=ends, **_of_ends(self.curves, ends, self.select, self.report)
        )


def of_set(row: Sequence[SetResult], set_name: str) -> SetResult:
    """Return the result of a set, which is among those of a task."""
    return next(result for result in row if result.set_name == set_name)


def comparable(row: Sequence[SetResult]) -> list[SetResult]:
    """Return sets on a task whose final losses are measured in the same way.

    They are those over whole splits where all sets have them, or else those of the
    last evaluations. Curves are alike too: where some are thin, others of their length
    have the evaluations that all have, as an average over more of them would reach a
    target later.
    """
    return _at_shared_evaluations(measured_alike(row))


def _at_shared_evaluations(row: list[SetResult]) -> list[SetResult]:
    shared: dict[int, np.ndarray] = {}
    for num_steps in {r.num_steps for r in row if r.curves.thinned is not None}:
        of_length = [r.curves.xs for r in row if r.num_steps == num_steps]
        shared[num_steps] = functools.reduce(np.intersect1d, of_length)
    return [
        replace(r, curves=r.curves.at(shared[r.num_steps]))
        if r.num_steps in shared
        else r
        for r in row
    ]


def load_set_result(
    task_name: str,
    set_name: str,
    select: str = "outer_valid",
    report: str = "test",
    arrays: Result | None = None,
) -> SetResult:
    """Work out what an archive says of a set on a task.

    Args:
      task_name: the task.
      set_name: the set.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      arrays: what the archive would hold, where there is none.

    Raises:
      ResultError: if there is no such archive, it cannot be read, or its trials
        were not all evaluated at the same steps.
      UnknownNameError: if a split is not one that runs evaluate.
    """
    check_eval_split(select)
    check_eval_split(report)
    if arrays is None:
        path = find_archive(task_name, set_name)
        keys = [*CURVE_KEYS, *WHOLE_KEYS, *THIN_KEYS, *_FACTS]
        arrays = read_archive(path, keys, missing_ok=True)
        read = of_file(path)
    else:
        read = of_arrays(arrays)
    if missing := [key for key in CURVE_KEYS if key not in arrays]:
        raise ResultError(
            f"the archive of {set_name} on {task_name} lacks {', '.join(missing)}."
        )
    curves = curves_of(f"{set_name} on {task_name}", arrays)
    curves = replace(curves, hparams=hyperparameters(set_name, read))
    whole = has_whole(arrays)
    ends = {
        split: stats.mark_diverged(last_losses(arrays, split, whole))
        for split in EVAL_SPLITS
    }
    return SetResult(
        task_name=task_name,
        set_name=set_name,
        curves=curves,
        ends=ends,
        ends_of_whole=ends if whole else {},
        select=select,
        report=report,
        seeds=_seeds(arrays),
        seconds_per_step=_seconds_per_step(arrays),
        facts=_facts(arrays),
        **_of_ends(curves, ends, select, report),
    )


def _of_ends(
    curves: Curves, ends: Mapping[str, np.ndarray], select: str, report: str
) -> dict[str, Any]:
    """Return those fields of a result that follow from how its trials end."""
    chosen_by, reported = ends[select], ends[report]
    whole = FinalLosses(dict(ends), curves.opt_names, curves.hparams)
    best = best_of_set(whole, select)
    line, rates = rate_line(curves.hparams, best.index)
    bias = float("nan")
    if reported.shape[1] > 1:
        bias = float(stats.nested_selection(chosen_by, reported).bias)
    return {
        "best": best,
        "bias": bias,
        "rate_line": line,
        "learning_rates": rates,
        "sensitivity": sensitivity_on(line, rates, reported),
        "tuning": stats.best_after(chosen_by.mean(axis=1), reported.mean(axis=1)),
    }


def _seeds(arrays: Result) -> np.ndarray | None:
    """Return the seeds, unless configurations have others, or one twice."""
    if "seed" not in arrays:
        return None
    seeds = arrays["seed"]
    if (seeds != seeds[:1]).any() or len(np.unique(seeds[0])) < seeds.shape[1]:
        return None
    return seeds[0].astype(np.int64)


def _seconds_per_step(arrays: Result) -> float:
    if "timing/run_seconds_per_trial" not in arrays:
        return float("nan")
    seconds = arrays["timing/run_seconds_per_trial"].astype(np.float64)
    return float(np.median(seconds)) / (int(arrays["eval/xs"].max()) + 1)


def _facts(arrays: Result) -> dict[str, str]:
    facts = {}
    for key in _FACTS:
        if key in arrays and arrays[key].dtype.kind in "Ub":
            values = [str(value) for value in np.unique(arrays[key])]
            facts[key] = " | ".join(values)
    if "accelerator_devs" in arrays:
        counts = np.unique(arrays["accelerator_devs"])
        facts["accelerator_devs"] = " | ".join(str(int(count)) for count in counts)
    return facts
