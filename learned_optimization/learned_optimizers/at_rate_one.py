"""A checkpoint's optimizer whose learning rate is left to someone else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from learned_optimization.configurable import configurable
from learned_optimization.learned_optimizers.base import LearnedOptimizer, Optimizer
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)

__all__ = ["at_rate_one", "opt_at_rate_one"]


@configurable(__name__)
def opt_at_rate_one(
    checkpoint_path: str,
    config_path: str | None = None,
    extra_bindings: Sequence[str] = (),
) -> Optimizer:
    """Return the optimizer of a checkpoint, at a learning rate of 1 if it has one.

    It goes inside `ScaledSteps`, whose learning rate is then the optimizer's own: for
    Celo2 the one that its users choose. An architecture that has no such setting makes
    the steps it was trained to make, and these are multiplied.

    Args:
      checkpoint_path: as of `opt_from_checkpoint`, and so are the others.
      config_path: the configuration of the learned optimizer.
      extra_bindings: lines that override it.

    Raises:
      LoptError: as `opt_from_checkpoint`.
    """
    made: Any = opt_from_checkpoint(checkpoint_path, config_path, extra_bindings)
    return at_rate_one(made.lopt).opt_fn(made.theta)


def at_rate_one(lopt: Any) -> LearnedOptimizer:
    """Return a learned optimizer whose learning rate, if it has one, is 1.

    Args:
      lopt: the learned optimizer; its class names the setting by
        `learning_rate_setting`.
    """
    setting = lopt.learning_rate_setting
    if setting is None:
        return lopt
    return dataclasses.replace(lopt, **{setting: 1.0})
