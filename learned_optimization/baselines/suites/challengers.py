"""What a challenge compares: the challenger's sets, and those of the baselines.

A challenger is an optimizer of a file of one's own, a set, or a checkpoint. An
optimizer gets the standard search: `LEARNING_RATES`, on the seeds of the suite.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from learned_optimization.baselines.sets.checkpoint_sets import CheckpointTemplate
from learned_optimization.baselines.sets.checkpoints import NamedCheckpoint
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sets.files import import_file
from learned_optimization.baselines.sets.hparam_set import (
    LEARNING_RATES,
    SCHEDULES,
    HParamSet,
    learning_rates,
    schedules,
)
from learned_optimization.baselines.sets.registry import SETS, known_hparam_sets
from learned_optimization.baselines.suites.files import load_sets_and_suites
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import all_optimizers
from learned_optimization.registry import source_file
from learned_optimization.training.plan import RunPlan

BASELINES = (
    *("Adam", "AdamCosine", "AdamWCosine", "NAdamW", "NAdamWCosine"),
    *("SGDM", "SGDMCosine", "Lion", "ScheduleFreeAdamW", "MuonCosine", "SOAPCosine"),
)
"""Optimizers that a challenger is compared with, after their names that of a schedule.

They are those that most people use, and the first of the board.
"""

_RATE = "learning_rate"


def baseline_sets(suite: Suite, names: Iterable[str] = BASELINES) -> list[HParamSet]:
    """Return the sets of baselines, of the length of a suite.

    Args:
      suite: the suite.
      names: of optimizers, those that `BASELINES` has or others; with `Cosine` or
        `Linear` at the end, their learning rate falls so.

    Raises:
      UnknownNameError: if there is no optimizer of a name.
    """
    known = all_optimizers()
    lengths = [(suite.num_steps, suite.seeds)]
    sets = []
    for name in names:
        optimizer = name if name in known else _without_schedule(name)
        if optimizer not in known:
            raise UnknownNameError("optimizer", optimizer, known)
        if optimizer == name:
            [made] = learning_rates(f"{name}LR", name, lengths)
        else:
            made = next(s for s in schedules(optimizer, lengths) if s.family == name)
        sets.append(_of_suite(made, suite))
    return sets


def _without_schedule(name: str) -> str:
    return next((name.removesuffix(s) for s in SCHEDULES if name.endswith(s)), name)


def sets_of_file(path: str | os.PathLike, suite: Suite) -> list[HParamSet]:
    """Return the sets of a challenger's file, or of the optimizers it defines.

    Args:
      path: a `.py`, `.yaml`, `.yml` or `.gin` file.
      suite: the suite, which says how long they are.

    Raises:
      LoptError: if there is a mistake in the file, it defines neither a set nor an
        optimizer, or a set is of another length than the suite.
    """
    if Path(path).suffix != ".py":
        return [_checked(s, suite) for s in load_sets_and_suites(path)[0]]
    if sets := import_file(path):
        return [_checked(s, suite) for s in sets]
    real = os.path.realpath(path)
    optimizers = [
        name
        for name, cls in all_optimizers().items()
        if source_file(sys.modules.get(cls.__module__)) == real
    ]
    if not optimizers:
        raise LoptError(
            f"{os.fspath(path)} defines no optimizer and no set: decorate a class "
            "with @optimizer, or call hparam_set(...) in it."
        )
    return [standard_set(name, suite) for name in optimizers]


def sets_of_name(name: str, suite: Suite) -> list[HParamSet]:
    """Return the set of that name, or that of an optimizer.

    Raises:
      UnknownNameError: if it is the name of neither.
      LoptError: if the set is of another length than the suite.
    """
    optimizers, sets = all_optimizers(), known_hparam_sets([name])
    if name in sets:
        return [_checked(sets[name], suite)]
    if name not in optimizers:
        raise UnknownNameError("optimizer, set or file", name, [*optimizers, *sets])
    return [standard_set(name, suite)]


def set_of_checkpoint(checkpoint: NamedCheckpoint, suite: Suite) -> HParamSet:
    """Return the set of a learned optimizer: as it was trained, of one setting."""
    checkpoint.define()
    template = CheckpointTemplate(
        f"LOpt_{suite.num_steps}_R{suite.seeds}",
        "as it was trained",
        suite.num_steps,
        suite.seeds,
        {"{name}": {}},
    )
    return _of_suite(
        template.with_checkpoint(
            checkpoint.name, checkpoint.path, checkpoint.extra_bindings
        ),
        suite,
    )


def standard_set(optimizer: str, suite: Suite) -> HParamSet:
    """Return the standard search of an optimizer, and register it.

    It is over `LEARNING_RATES`, everything else as the optimizer has it; one that has
    no learning rate is trained as it is, and so untuned.

    Raises:
      LoptError: if the optimizer cannot be made with a rate.
    """
    has_rate = _RATE in inspect.signature(all_optimizers()[optimizer]).parameters
    stem = f"{optimizer}LR" if has_rate else optimizer
    plan = suite.plan
    name = _name(f"{stem}_{suite.num_steps}_R{suite.seeds}", plan)
    known = SETS.all().get(name)
    if known is not None and known.optimizer == optimizer:
        return known
    return hparam_set(
        name=name,
        optimizer=optimizer,
        num_steps=suite.num_steps,
        space={_RATE: list(LEARNING_RATES)} if has_rate else None,
        seeds=suite.seeds,
        eval_every=plan.eval_every,
        eval_batches=plan.eval_batches,
        last_eval_batches=plan.last_eval_batches,
    )


def _of_suite(hparam_set: HParamSet, suite: Suite) -> HParamSet:
    """Return a set of the suite's length with its evaluations too."""
    plan = suite.plan
    return replace(
        hparam_set,
        name=_name(hparam_set.name, plan),
        eval_every=plan.eval_every,
        eval_batches=plan.eval_batches,
        last_eval_batches=plan.last_eval_batches,
    )


def _name(name: str, plan: RunPlan) -> str:
    """Return a set's name, which tells its evaluations if they are not the usual."""
    usual = RunPlan(plan.num_steps)
    if plan == usual:
        return name
    return f"{name}_eval{plan.eval_every}x{plan.eval_batches}x{plan.last_eval_batches}"


def _checked(hparam_set: HParamSet, suite: Suite) -> HParamSet:
    if hparam_set.num_steps != suite.num_steps:
        raise LoptError(
            f"set {hparam_set.name} is of {hparam_set.num_steps:,} steps, and suite "
            f"{suite.name} of {suite.num_steps:,}: give the set as many (a schedule "
            "depends on them)."
        )
    return hparam_set
