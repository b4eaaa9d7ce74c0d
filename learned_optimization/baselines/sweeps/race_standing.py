"""How a race stands, in words and with the names of its sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.hyperparameters import of_set
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.looks import FIRST_LOOK
from learned_optimization.baselines.sweeps.observing import SweepSummary


@dataclass(frozen=True, eq=False)
class RaceStanding:
    """How a race stands.

    Attributes:
      tasks: the losses on each task, with the constants they are scaled by.
      sets: the sets; `result` numbers them in this order.
      result: what the looks have found.
      summary: what was trained for it by this call.
      num_without_whole: per task, trials that have no loss over whole splits; where
        there is one, losses are of the last evaluations (`RaceLosses`).
      first_seed: the seed that `result` counts as 0.
      is_synthetic: whether made-up data stood in for the real one.
      seconds: since the call.
    """

    tasks: Sequence[stats.TaskLosses]
    sets: tuple[HParamSet, ...]
    result: stats.RaceResult
    summary: SweepSummary
    num_without_whole: tuple[int, ...]
    first_seed: int
    is_synthetic: bool
    seconds: float

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(task.name for task in self.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets."""
        return tuple(s.name for s in self.sets)

    @property
    def left(self) -> tuple[str, ...]:
        """Names of the sets that may be the best."""
        return tuple(self.names[a] for a in self.result.left)

    @property
    def num_run(self) -> int:
        """How many trials were trained by this call."""
        s = self.summary
        return s.num_trials - s.num_skipped - s.num_failed

    @property
    def num_uniform(self) -> int:
        """How many trials the same seeds take if every configuration has them all."""
        return self.result.num_seeds * self.num_configs

    @property
    def num_trials(self) -> int:
        """How many trials were looked at, or are of too few seeds for a look."""
        return self.result.num_trials or self.num_uniform

    @property
    def num_configs(self) -> int:
        """How many configurations there are, of all sets on all tasks."""
        return len(self.tasks) * sum(s.num_configs for s in self.sets)

    def sentence(self) -> str:
        """Return the verdict, with what it claims."""
        return stats.race_sentence(self.result, self.names)

    def missing(self) -> list[str]:
        """Return, per configuration that the next look lacks, the seeds it lacks."""
        wanted, seeds = self.result.wanted, dict[tuple[int, int, int], list[int]]()
        for q, a, b, seed in wanted.missing if wanted else ():
            seeds.setdefault((q, a, b), []).append(self.first_seed + seed)
        return [
            f"{self.task_names[q]} {self.sets[a].opt_names[b]}: "
            f"seed{'s' * (len(of_config) > 1)} {', '.join(map(str, of_config))}"
            for (q, a, b), of_config in seeds.items()
        ]

    def remarks(self) -> list[str]:
        """Return what the verdict has to be read with."""
        return [
            *self._few_seeds(),
            *self._edges(),
            *self._differences(),
            *self._last_evaluations(),
            *self._constants(),
            *(
                ["Made-up data stands in for the real one."]
                if self.is_synthetic
                else []
            ),
        ]

    def _few_seeds(self) -> list[str]:
        if self.result.rules.max_seeds >= FIRST_LOOK:
            return []
        return [f"Nothing is said below {FIRST_LOOK} seeds."]

    def _edges(self) -> list[str]:
        if not self.result.num_seeds:
            return []
        found = []
        for q, task in enumerate(self.task_names):
            for row in stats.race_rows(self.result, q):
                edges = of_set(self.sets[row.set_index]).edges(row.chosen)
                if row.is_left and edges:
                    where = f" on {task}" if len(self.task_names) > 1 else ""
                    name = self.sets[row.set_index].opt_names[row.chosen]
                    found.append(f"{self.names[row.set_index]}{where} ({name})")
        if not found:
            return []
        return [
            "What is chosen is at the edge of the set, so a better configuration may "
            f"lie outside: {', '.join(found)}."
        ]

    def _differences(self) -> list[str]:
        remarks = []
        for what, values in (
            ("numbers of configurations", [s.num_configs for s in self.sets]),
            ("lengths", [s.num_steps for s in self.sets]),
        ):
            if len(set(values)) > 1:
                each = zip(self.names, values, strict=True)
                listed = ", ".join(f"{name} {value:,}" for name, value in each)
                remarks.append(f"The sets have different {what}: {listed}.")
        return remarks

    def _last_evaluations(self) -> list[str]:
        if not self.result.num_seeds:
            return []
        counts = zip(self.task_names, self.num_without_whole, strict=True)
        lacking = {task: n for task, n in counts if n}
        if not lacking:
            return []
        of_some = f" on {', '.join(lacking)}" if len(self.tasks) > 1 else ""
        n = sum(lacking.values())
        return [
            f"Losses{of_some} are of the last evaluation, over a few batches: {n:,} "
            f"trial{'s have' if n > 1 else ' has'} none over whole splits."
        ]

    def _constants(self) -> list[str]:
        """Return what losses of several tasks are scaled by."""
        if not self.result.num_seeds or len(self.tasks) < 2:
            return []
        listed = "; ".join(
            f"{task.name} {task.ceiling - task.scale:.4g} and {task.ceiling:.4g}"
            for task in self.tasks
        )
        return [
            "Losses are scaled so that on each task the second counts 1, the test loss "
            "before training, and the first 0: what is left of it by the best mean "
            f"improvement on outer_valid of the first {FIRST_LOOK} seeds: {listed}. "
            "The tolerance is in these units."
        ]
