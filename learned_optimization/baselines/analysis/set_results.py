"""What an archive says of one set on one task: its best, how sure, and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.best_of_set import (
    CURVE_KEYS,
    BestOfSet,
    Curves,
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
from learned_optimization.baselines.analysis.smoothing import smooth
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.errors import ResultError

# Smoothing, per evaluation, of the curves that times to a target are read from, so
# that one lucky batch does not count as reaching the target.
_EMA_OF_TIMES = 0.9

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
      best: the configuration with the lowest mean loss on the selecting split.
      nested: the loss on the reporting split where every seed is reported for the
        configuration that the other seeds select; where there is one seed, for its
        own.
      select: split that selects.
      report: split that is reported.
      rate_line: int64 `[num_rates]`, configurations that differ from the best one in
        nothing but the learning rate, lowest rate first; None if there are none.
      learning_rates: float64 `[num_configs]`, the rate of each configuration, where
        there is such a line; NaN for one that has none.
      sensitivity: how wide the range of good learning rates is on the line, if it is
        one: all other hyper-parameters have their best values.
      tuning: expected loss after so many configurations drawn at random.
      seeds: int `[num_seeds]`, if the files say.
      seconds_per_step: of one trial, in the grid it ran in; NaN if the files do not
        say.
      facts: what else the files say: where and with what the set was trained.
    """

    task_name: str
    set_name: str
    curves: Curves
    best: BestOfSet
    nested: stats.NestedSelection
    select: str
    report: str
    rate_line: np.ndarray | None
    learning_rates: np.ndarray | None
    sensitivity: stats.Sensitivity | None
    tuning: stats.TuningCurve
    seeds: np.ndarray | None
    seconds_per_step: float
    facts: Mapping[str, str]

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
    def final(self) -> np.ndarray:
        """Float64 `[num_configs, num_seeds]`, last reported loss, inf if diverged."""
        return stats.mark_diverged(self.curves.losses[self.report][:, :, -1])

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

    @property
    def initial_loss(self) -> float:
        """Mean reported loss before the first update; NaN if none is finite."""
        first = self.curves.losses[self.report][:, :, 0]
        finite = first[np.isfinite(first)]
        return float(finite.mean(dtype=np.float64)) if finite.size else float("nan")

    def best_curves(self, split: str | None = None) -> np.ndarray:
        """Return float `[num_seeds, num_evals]`, the best configuration's loss."""
        return self.curves.losses[split or self.report][self.best.index]

    @property
    def reported(self) -> np.ndarray:
        """Float64 `[num_seeds]`, the nested loss, at most the initial one.

        A seed that diverged, or ended worse than it began, counts as not trained. It
        is inf if it diverged and no initial loss is finite.
        """
        # The smaller one, or the one that is a number.
        return np.fmin(stats.mark_diverged(self.nested.report), self.initial_loss)

    @property
    def has_loss(self) -> bool:
        """Whether `reported` is finite for every seed."""
        return bool(np.isfinite(self.reported).all())

    @property
    def num_diverged(self) -> int:
        """Seeds whose nested loss is not finite."""
        return int((~np.isfinite(self.nested.report)).sum())

    def steps_to(self, target: float) -> np.ndarray:
        """Return updates until the best configuration's smoothed loss is at a target.

        Args:
          target: a loss on the reporting split.

        Returns:
          Float64 `[num_seeds]`, inf where it is never reached.
        """
        return stats.steps_to_target(self._timed_curves(), self.curves.xs, target)

    def lowest(self) -> float:
        """Return the lowest smoothed loss of the best configuration, median over seeds.

        Of an even number it is the upper one, so that at least half get there.
        """
        lowest = self._timed_curves().min(axis=-1)
        return float(np.quantile(lowest, 0.5, method="higher"))

    def _timed_curves(self) -> np.ndarray:
        curves = self.best_curves()
        timed = np.full(curves.shape, np.inf)
        for seed, curve in enumerate(curves):
            # A loss that overflows before training does not end the run.
            start = int(np.argmax(np.isfinite(curve)))
            timed[seed, start:] = smooth(curve[start:], _EMA_OF_TIMES)
        return stats.mark_diverged(timed)


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
        arrays = read_archive(path, [*CURVE_KEYS, *_FACTS], missing_ok=True)
        read = of_file(path)
    else:
        read = of_arrays(arrays)
    if missing := [key for key in CURVE_KEYS if key not in arrays]:
        raise ResultError(
            f"the archive of {set_name} on {task_name} lacks {', '.join(missing)}."
        )
    curves = curves_of(f"{set_name} on {task_name}", arrays)
    curves = replace(curves, hparams=hyperparameters(set_name, read))
    chosen_by, reported = (
        stats.mark_diverged(curves.losses[split][:, :, -1])
        for split in (select, report)
    )
    best = best_of_set(curves, select)
    line, rates = rate_line(curves.hparams, best.index)
    seeds = arrays["seed"][0] if "seed" in arrays else None
    return SetResult(
        task_name=task_name,
        set_name=set_name,
        curves=curves,
        best=best,
        nested=_nested(chosen_by, reported),
        select=select,
        report=report,
        rate_line=line,
        learning_rates=rates,
        sensitivity=sensitivity_on(line, rates, reported),
        tuning=stats.best_after(chosen_by.mean(axis=1), reported.mean(axis=1)),
        seeds=seeds,
        seconds_per_step=_seconds_per_step(arrays),
        facts=_facts(arrays),
    )


def _nested(chosen_by: np.ndarray, reported: np.ndarray) -> stats.NestedSelection:
    if reported.shape[1] > 1:
        return stats.nested_selection(chosen_by, reported)
    # The only seed both chooses and reports: its bias cannot be known.
    index = int(np.argmin(chosen_by[:, 0]))
    loss = float(reported[index, 0])
    return stats.NestedSelection(
        index=index,
        report=reported[index],
        chosen=np.asarray([index]),
        naive=loss,
        nested=loss,
        bias=float("nan"),
    )


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
