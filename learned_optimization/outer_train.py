"""Meta-training as gin configures it, by the published names.

    python -m learned_optimization.outer_train --gin_file=F --gin_bindings=B

needs `run_train.lopt`, `build_gradient_estimators.sample_task_family_fn`,
`build_gradient_estimators.gradient_estimator_fn`, and settings of
`VectorizedLOptTruncatedStep`, `GradientLearner` and the estimator, as published files
have them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from learned_optimization import configuration
from learned_optimization.cli.gin_command import run_gin_command
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import keep_compiled, use_all_cores
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.outer_trainers.gradient_learner import (
    GradientEstimator,
    GradientLearner,
    SingleMachineGradientLearner,
)
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.run import write_published
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import PRNGKey, TaskFamily

__all__ = ["build_gradient_estimators", "local_train", "main", "run_train"]

_configurable = configurable(__name__)

_REPORT_EVERY = 100


@_configurable
def build_gradient_estimators(
    *,
    learned_opt: LearnedOptimizer,
    sample_task_family_fn: Callable[[PRNGKey], TaskFamily],
    gradient_estimator_fn: Callable[..., GradientEstimator],
    key: PRNGKey,
    num_gradient_estimators: int,
    truncated_step_fn: Callable[..., Any] = VectorizedLOptTruncatedStep,
) -> list[GradientEstimator]:
    """Return estimators, each on a family of tasks of its own.

    Args:
      learned_opt: the learned optimizer.
      sample_task_family_fn: draws a family.
      gradient_estimator_fn: makes an estimator of a `truncated_step`.
      key: PRNG key of the families.
      num_gradient_estimators: how many.
      truncated_step_fn: makes inner problems of a `task_family` and a `learned_opt`.
    """
    made = []
    for one in jax.random.split(key, num_gradient_estimators):
        family = sample_task_family_fn(one)
        step = truncated_step_fn(task_family=family, learned_opt=learned_opt)
        made.append(gradient_estimator_fn(truncated_step=step))
    return made


@_configurable
def local_train(
    train_log_dir: str | None,
    lopt: LearnedOptimizer,
    outer_learner_fn: Callable[..., GradientLearner],
    num_estimators: int = 2,
    num_steps: int = 10_000,
    num_seconds: float | None = None,
    seed: int = 0,
    on_step: Callable[[int, float], None] | None = None,
) -> MetaParams:
    """Train meta-parameters in this process, and return the meta-parameters.

    Args:
      train_log_dir: folder that `params` and `config.gin` are written to at the end;
        nothing is written if None.
      lopt: the learned optimizer.
      outer_learner_fn: makes the learner, of `meta_init` and `num_steps`.
      num_estimators: how many estimators.
      num_steps: meta-steps.
      num_seconds: seconds after which it ends; no limit if None.
      seed: of all that is random.
      on_step: told the number of every meta-step done, and its mean meta-loss.
    """
    key, family_key, init_key = jax.random.split(key_of_seed(seed), 3)
    estimators = build_gradient_estimators(  # pyright: ignore[reportCallIssue]
        learned_opt=lopt, key=family_key, num_gradient_estimators=num_estimators
    )
    learner = outer_learner_fn(meta_init=lopt, num_steps=num_steps)
    machine = SingleMachineGradientLearner.of(learner, estimators)
    state = machine.init(init_key)
    start, done = time.monotonic(), 0
    while done < num_steps:
        state, loss, _ = machine.update(state, jax.random.fold_in(key, done))
        done += 1
        if on_step is not None:
            on_step(done, float(loss))
        if num_seconds is not None and time.monotonic() - start > num_seconds:
            break
    theta = jax.tree.map(np.asarray, machine.get_meta_params(state))
    if train_log_dir is not None:
        write_published(train_log_dir, lopt, theta, "", done)
    return theta


@_configurable
def run_train(
    lopt: LearnedOptimizer,
    outer_learner_fn: Callable[..., GradientLearner] = GradientLearner,
    num_estimators: int = 2,
    train_log_dir: str | None = None,
    is_trainer: bool = True,
    is_worker: bool = True,
    num_steps: int = 10_000,
    num_seconds: float | None = None,
    trainer_batch_size: int = 1,
    stochastic_resample_frequency: int | None = None,
    summary_every_n: int = _REPORT_EVERY,
    seed: int = 0,
) -> MetaParams:
    """Train meta-parameters as published configurations say.

    Args:
      lopt: the learned optimizer.
      outer_learner_fn: makes the learner.
      num_estimators: estimators, each on a family drawn for it.
      train_log_dir: folder of `params` and `config.gin`; nothing is written if None.
      is_trainer: must be True, as `is_worker`: this process does both.
      is_worker: as said.
      num_steps: meta-steps.
      num_seconds: seconds after which it ends; no limit if None.
      trainer_batch_size: must be 1: gradients of several workers are not awaited.
      stochastic_resample_frequency: must be None: families are drawn once.
      summary_every_n: meta-steps between two lines that are printed.
      seed: of all that is random.

    Raises:
      LoptError: if it is asked for what is not supported.
    """
    if not (is_trainer and is_worker) or trainer_batch_size != 1:
        raise LoptError(
            "run_train is trainer and worker in one process: leave out is_trainer, "
            "is_worker and trainer_batch_size."
        )
    if stochastic_resample_frequency is not None:
        raise LoptError(
            "run_train draws families once: leave out stochastic_resample_frequency, "
            "and raise num_estimators."
        )

    def report(done: int, loss: float) -> None:
        if done % summary_every_n == 0 or done == num_steps:
            print(f"meta-step {done:,} of {num_steps:,}: meta-loss {loss:.6g}")

    return local_train(
        train_log_dir,
        lopt,
        outer_learner_fn,
        num_estimators,
        num_steps,
        num_seconds,
        seed,
        report,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""

    def run() -> None:
        use_all_cores()
        keep_compiled()
        configuration.call_bound(run_train)

    return run_gin_command(
        argv,
        "learned_optimization.outer_train",
        "Meta-train a learned optimizer, configured by gin.",
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
