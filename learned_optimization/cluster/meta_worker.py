"""What a node of the cluster does: trains a group of shares of the inner problems."""

from __future__ import annotations

import functools
import itertools
import math
import socket
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import keep_compiled
from learned_optimization.learned_optimizers.base import (
    MetaParams,
    get_learned_optimizer,
)
from learned_optimization.outer_trainers.mixes import families_of
from learned_optimization.outer_trainers.program import MetaProgram, Rows
from learned_optimization.outer_trainers.recipe import Recipe
from learned_optimization.prng import seed_words
from learned_optimization.text import said
from learned_optimization.training.backend import local_devices
from learned_optimization.training.grid import map_in_groups
from learned_optimization.training.strategy import Strategy

_AXIS = "shares"

Problems = tuple[Any, ...]
"""States of inner problems, one tree per estimator."""


@dataclass(frozen=True)
class MetaJob:
    """A meta-training, as it is described to the nodes.

    Attributes:
      optimizer: name of the class of the learned optimizer.
      settings: its settings, names and values.
      task_names: names of fixed tasks to train on.
      mix: a mix to train on, or none.
      recipe: the settings.
      files: those that define what is not of the package.
      installation: of the process that starts it.
    """

    optimizer: str
    settings: tuple[tuple[str, Any], ...]
    task_names: tuple[str, ...]
    mix: str | None
    recipe: Recipe
    files: PackedFiles
    installation: Installation

    def program(self) -> MetaProgram:
        """Return the meta-training that it describes."""
        families = families_of(self.task_names, self.mix)
        lopt = get_learned_optimizer(self.optimizer)(**dict(self.settings))
        return self.recipe.program(lopt, families)


@dataclass(frozen=True)
class Group:
    """Shares of the inner problems that one task trains.

    Attributes:
      first: number of the first share.
      stop: number behind the last one.
      num_shares: shares of all groups.
    """

    first: int
    stop: int
    num_shares: int

    def of(self, num_problems: int) -> slice:
        """Return which of so many problems are in the group."""
        size = num_problems // self.num_shares
        return slice(self.first * size, self.stop * size)

    def by_share(self, problems: Any, axis: int = 0) -> Any:
        """Return a tree of arrays of the group's problems as `[shares, ...]`.

        Args:
          problems: arrays with an axis of the group's problems.
          axis: which.
        """
        count = self.stop - self.first

        def split(x: Any) -> np.ndarray:
            x = np.asarray(x)
            shape = (*x.shape[:axis], count, -1, *x.shape[axis + 1 :])
            return np.moveaxis(x.reshape(shape), axis, 0)

        return jax.tree.map(split, problems)


def train_shares(
    job: MetaJob, group: Group, iteration: int, theta: MetaParams, problems: Problems
) -> tuple[Problems, np.ndarray]:
    """Train a group's problems for a truncation.

    Args:
      job: the meta-training.
      group: the shares.
      iteration: meta-steps done.
      theta: meta-parameters.
      problems: states of the group's problems before.

    Returns:
      Their states after it, and what each share estimates, float32
      `[shares, numbers]`, as `MetaProgram.estimate` has it.

    Raises:
      LoptError: if this node computes other numbers or lacks data, with its name.
    """
    try:
        return _worker(job).train(group, iteration, theta, problems)
    except LoptError as error:
        # A subclass may need more arguments than a message: it cannot be pickled.
        raise LoptError(f"on {socket.gethostname()}: {said(error)}") from None


class _Worker:
    """The program of a job in a process, which trains any group, in any order."""

    def __init__(self, job: MetaJob) -> None:
        job.installation.check_is_alike("the meta-training")
        keep_compiled()
        job.files.load()
        self._program = job.program()
        self._words = seed_words(self._program.seed)
        self._rows, self._next, self._read = self._new_rows(), 0, ()
        self._arrays = tuple(rows.arrays for rows in self._rows)
        self._compiled: dict[int, Any] = {}

    def train(
        self, group: Group, iteration: int, theta: MetaParams, problems: Problems
    ) -> tuple[Problems, np.ndarray]:
        rows = tuple(
            jax.tree.map(
                lambda x: group.by_share(x[0][:, group.of(x.shape[2])], axis=1), read
            )
            for read in self._rows_at(iteration)
        )
        args = (
            theta,
            np.int32(iteration),
            group.by_share(problems),
            rows,
            self._arrays,
            self._words,
            np.arange(group.first, group.stop, dtype=np.int32),
        )
        count = group.stop - group.first
        if count not in self._compiled:
            self._compiled[count] = self._compile(count, *args)
        after, estimates = self._compiled[count](*args)
        joined = jax.tree.map(
            lambda x: np.asarray(x).reshape(-1, *np.shape(x)[2:]), after
        )
        return joined, np.asarray(estimates)

    def _rows_at(self, iteration: int) -> tuple[Any, ...]:
        """Return the rows that all problems read at a meta-step, read in order."""
        if iteration != self._next - 1:
            if iteration < self._next:
                # A lost step is done again.
                self._rows, self._next = self._new_rows(), 0
            for rows in self._rows:
                rows.skip(iteration, self._next)
            self._read = tuple(rows.take(iteration, 1, 1) for rows in self._rows)
            self._next = iteration + 1
        return self._read

    def _new_rows(self) -> list[Rows]:
        return [Rows(self._program, i) for i in range(len(self._program.estimators))]

    def _compile(self, count: int, *args: Any) -> Any:
        devices = local_devices()
        used = max(n for n in range(1, len(devices) + 1) if count % n == 0)
        mesh = Mesh(np.asarray(devices[:used]), (_AXIS,))
        platform = devices[0].platform
        here = count // used
        # One after another on a CPU, where small states stay in its cache.
        width = 1 if platform == "cpu" else here

        def estimates(theta, iteration, problems, rows, arrays, words, shares):
            def one(problems: Any, rows: Any, share: Any) -> Any:
                return self._program.estimate(
                    theta, iteration, problems, rows, arrays, words, share
                )

            return map_in_groups(one, (0, 0, 0), here, width)(problems, rows, shares)

        everywhere, split = PartitionSpec(), PartitionSpec(_AXIS)
        mapped = jax.shard_map(
            estimates,
            mesh=mesh,
            in_specs=(
                everywhere,
                everywhere,
                split,
                split,
                everywhere,
                everywhere,
                split,
            ),
            out_specs=split,
            check_vma=False,
        )
        options = Strategy(1).compiler_options(platform)
        return jax.jit(mapped).lower(*args).compile(compiler_options=options)


# A process trains many groups of one meta-training.
@functools.lru_cache(maxsize=1)
def _worker(job: MetaJob) -> _Worker:
    return _Worker(job)


def groups_of(num_shares: int, num_places: int) -> list[Group]:
    """Return shares divided into groups of about one size, one per place.

    Args:
      num_shares: how many there are.
      num_places: groups that can be trained at a time.
    """
    count = max(1, min(num_shares, num_places))
    bounds = [math.floor(i * num_shares / count) for i in range(count + 1)]
    return [
        Group(first, stop, num_shares) for first, stop in itertools.pairwise(bounds)
    ]
