"""Meta-training of a learned optimizer on some tasks, with settings that work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from learned_optimization.errors import LoptError, UnknownNameError, check_at_least
from learned_optimization.learned_optimizers.base import LearnedOptimizer
from learned_optimization.optimizers.learning_rate_schedules import CosineDecay
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.outer_trainers.full_es import FullES
from learned_optimization.outer_trainers.full_grad import FullGrad
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.meta_losses import META_LOSSES
from learned_optimization.outer_trainers.program import Estimator, MetaProgram
from learned_optimization.outer_trainers.truncated_es import TruncatedES
from learned_optimization.outer_trainers.truncated_grad import TruncatedGrad
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncation_schedule import (
    FOREVER,
    ConstantTruncationSchedule,
    LogUniformLengthSchedule,
    NeverEndingTruncationSchedule,
    TruncationSchedule,
)
from learned_optimization.prng import NUM_SEEDS
from learned_optimization.tasks.base import TaskFamily
from learned_optimization.tasks.task_augmentation import ReparamWeightsFamily

ESTIMATORS = ("pes", "es", "grad", "full_es", "full_grad")
"""Names of the estimators of a meta-gradient."""


@dataclass(frozen=True)
class Recipe:
    """Settings of meta-training.

    Attributes:
      estimator: one of `ESTIMATORS`. Those that are `full_` have whole runs in a
        meta-step, and no truncation; `full_grad` has runs of one length.
      num_steps: meta-steps.
      min_length: shortest run of an inner problem, in updates.
      max_length: longest; lengths are drawn log-uniformly.
      truncation: updates of a meta-step.
      num_tasks: inner problems of each task or family, pairs of trajectories.
      std: standard deviation of perturbations.
      learning_rate: of the outer Adam, at first; it falls along half a cosine to a
        tenth.
      meta_loss: `"log"` of the normalized loss, or `"normalized"`.
      lateness: power of the share of a run that is done, by which its meta-loss is
        weighed; 0 weighs all updates alike.
      at_once: how many tasks or families a meta-step has, in rotation; all if None.
      reparametrize: the largest factor of the reparametrisation of each tensor, drawn
        log-uniformly from its inverse on; 1 for none.
      seed: of all that is random.
    """

    estimator: str = "pes"
    num_steps: int = 1000
    min_length: int = 200
    max_length: int = 2000
    truncation: int = 50
    num_tasks: int = 8
    std: float = 0.01
    learning_rate: float = 3e-3
    meta_loss: str = "log"
    lateness: float = 0.0
    at_once: int | None = None
    reparametrize: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise UnknownNameError("estimator", self.estimator, ESTIMATORS)
        if self.meta_loss not in META_LOSSES:
            raise UnknownNameError("meta-loss", self.meta_loss, META_LOSSES)
        for name in ("num_steps", "min_length", "truncation", "num_tasks"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("max_length", self.max_length, 1, FOREVER)
        check_at_least("seed", self.seed, 0, NUM_SEEDS - 1)
        if self.at_once is not None:
            check_at_least("at_once", self.at_once, 1)
        if self.max_length < self.min_length:
            raise LoptError(
                f"max_length must be at least min_length, {self.min_length}, got "
                f"{self.max_length}."
            )
        if self.estimator == "full_grad" and self.max_length > self.min_length:
            raise LoptError(
                "full_grad differentiates through whole runs of one length: make "
                "min_length and max_length the same number, got "
                f"{self.min_length} and {self.max_length}."
            )
        for name in ("std", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise LoptError(
                    f"{name} must be a number above 0, got {getattr(self, name)!r}."
                )
        if not 0 <= self.lateness < math.inf:
            raise LoptError(
                f"lateness must be a number of at least 0, got {self.lateness!r}."
            )
        if self.lateness and self.estimator == "full_es":
            raise LoptError(
                "full_es draws lengths that its updates do not know of: leave out "
                f"lateness, got {self.lateness!r}."
            )
        if not 1 <= self.reparametrize < math.inf:
            raise LoptError(
                "reparametrize must be a number of at least 1, got "
                f"{self.reparametrize!r}."
            )

    def program(
        self, lopt: LearnedOptimizer, families: Sequence[TaskFamily]
    ) -> MetaProgram:
        """Return the meta-training of a learned optimizer on some families.

        Args:
          lopt: the learned optimizer.
          families: what inner problems are drawn of.
        """
        outer = Adam(
            CosineDecay(
                num_steps=float(self.num_steps),
                learning_rate=self.learning_rate,
                final_fraction=0.1,
            ),
            beta1=0.9,
            beta2=0.99,
        )
        return MetaProgram(
            lopt,
            [self._estimator(lopt, family) for family in families],
            outer,
            self.num_steps,
            self.seed,
            at_once=self.at_once,
        )

    def _estimator(self, lopt: LearnedOptimizer, family: TaskFamily) -> Estimator:
        if self.reparametrize > 1:
            scales = (1 / self.reparametrize, self.reparametrize)
            family = ReparamWeightsFamily(family, "tensor", scales)

        def problems(schedule: TruncationSchedule, offset: int = 0) -> Any:
            return VectorizedLOptTruncatedStep(
                family,
                lopt,
                schedule,
                self.num_tasks,
                random_initial_iteration_offset=offset,
                meta_loss=META_LOSSES[self.meta_loss],
                lateness=self.lateness,
            )

        shortest, longest = self.min_length, self.max_length
        constant = ConstantTruncationSchedule(longest)
        # Of equal bounds, rounding makes less than the length.
        lengths = (
            constant
            if shortest == longest
            else LogUniformLengthSchedule(shortest, longest)
        )
        if self.estimator == "full_grad":
            return FullGrad(problems(constant), longest)
        if self.estimator == "full_es":
            endless = problems(NeverEndingTruncationSchedule())
            return FullES(endless, lengths, self.std, _block(shortest, longest))
        # So that problems do not all begin again at once.
        step = problems(lengths, offset=longest)
        if self.estimator == "pes":
            return TruncatedPES(step, self.truncation, self.std)
        if self.estimator == "es":
            return TruncatedES(step, self.truncation, std=self.std)
        return TruncatedGrad(step, self.truncation)


def _block(shortest: int, longest: int) -> int:
    """Return how many updates runs are made of, so that both lengths are exact."""
    return max(n for n in range(1, 11) if shortest % n == 0 and longest % n == 0)
