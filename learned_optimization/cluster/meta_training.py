"""Meta-training on a Ray cluster: nodes estimate gradients, one learner steps.

A meta-step is one Ray task per group of inner problems, and one step of the outer
optimizer by the mean of what they return. The states of the problems go from task to
task within the cluster. If a node is lost with them, Ray does again what made them,
from what the learner keeps: the states that were saved last, and theta at every
meta-step since. All of it is decided by the seed, so nothing changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import ray

from learned_optimization.baselines.sets.files import files_read
from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.meta_worker import (
    Group,
    MetaJob,
    Problems,
    groups_of,
    train_shares,
)
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.cluster.remote import check_has_place, remote, result_of
from learned_optimization.cluster.resources import GroupResources
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.learned_optimizers.description import settings_of
from learned_optimization.outer_trainers.program import MetaProgram, MetaState
from learned_optimization.outer_trainers.recipe import Recipe
from learned_optimization.prng import seed_words


def meta_job(
    lopt: LearnedOptimizer,
    task_names: Sequence[str],
    recipe: Recipe,
    mix: str | None = None,
) -> MetaJob:
    """Return how this process describes a meta-training to nodes.

    Args:
      lopt: the learned optimizer.
      task_names: names of fixed tasks to train on.
      recipe: the settings.
      mix: a mix to train on, or none.
    """
    return MetaJob(
        type(lopt).__name__,
        tuple(settings_of(lopt).items()),
        tuple(task_names),
        mix,
        recipe,
        PackedFiles.pack(files_read()),
        Installation.of_this_process(),
    )


class ClusterRunner:
    """A meta-training on the cluster connected to, as far as it has come.

    Its inner problems are split into as many shares as they can be, each with random
    numbers of its own; which task trains which decides nothing. So the result is that
    of a `MetaRunner` on as many devices, to float32 rounding.

    Args:
      program: how it is done.
      job: the same, as nodes are told.
      resources: what a group of shares gets of a node.
      theta: meta-parameters to begin from; new ones if None.
      may_grow: whether nodes may join the cluster, so that a group that fits none
        waits for one.

    Attributes:
      done: meta-steps done.
      room: meta-steps of a call, at most.

    Raises:
      LoptError: if no node fits a group.
    """

    def __init__(
        self,
        program: MetaProgram,
        job: MetaJob,
        resources: GroupResources,
        theta: MetaParams | None = None,
        *,
        may_grow: bool = True,
    ):
        self.program, self.room, self.done = program, program.usual_room, 0
        num_places = check_has_place(resources, may_grow=may_grow)
        self._groups = groups_of(self.num_devices, num_places)
        self._words = seed_words(program.seed)
        self._job = ray.put(job)
        self._train = remote(
            train_shares, resources, resources.environment(), num_returns=2
        )
        self._step = jax.jit(_outer_step, static_argnums=0)
        state = jax.jit(program.init)(self._words, theta)
        self._placed(jax.tree.map(np.asarray, state))

    @property
    def num_devices(self) -> int:
        """How many shares the inner problems are split into."""
        return self.program.most_shares

    @property
    def state(self) -> MetaState:
        """Where it is, of numpy arrays: all states come from the cluster.

        A node that is lost later costs the meta-steps since then.
        """
        each: list[Problems] = [
            result_of(ref, self._called(i), _KEPT) for i, ref in enumerate(self._refs)
        ]
        problems = jax.tree.map(lambda *x: np.concatenate(x), *each)
        outer = jax.tree.map(np.asarray, self._outer)
        state = dataclasses.replace(outer, problems=problems)
        self._placed(state)
        return state

    def averaged(self) -> MetaParams:
        """Return the average of theta, as `MetaProgram.averaged`."""
        return self.program.averaged(self._outer)

    def restore(self, state: MetaState) -> None:
        """Go on from a state that was saved.

        Args:
          state: shaped as `state`, of numpy arrays.
        """
        self._placed(state)
        self.done = int(state.iteration)

    def advance(self, count: int) -> np.ndarray:
        """Run some meta-steps, and return the meta-loss of each, float32 `[count]`.

        Args:
          count: how many.

        Raises:
          LoptError: if a node computes other numbers or lacks data, or groups are
            lost again and again.
        """
        return np.asarray([self._meta_step() for _ in range(count)], np.float32)

    def _meta_step(self) -> float:
        theta = ray.put(jax.tree.map(np.asarray, self.program.theta(self._outer)))
        self._kept.append(theta)
        made = [
            self._train.remote(self._job, group, self.done, theta, ref)
            for group, ref in zip(self._groups, self._refs, strict=True)
        ]
        self._refs = [problems for problems, _ in made]
        estimates = [
            result_of(estimates, self._called(i), _KEPT)
            for i, (_, estimates) in enumerate(made)
        ]
        self._outer, loss = self._step(
            self.program, self._outer, np.concatenate(estimates), self._words
        )
        self.done += 1
        return float(loss)

    def _placed(self, state: MetaState) -> None:
        """Put all problems into the cluster, and forget what led to them."""
        self._outer = dataclasses.replace(state, problems=())
        self._refs = [
            ray.put(_problems_of(group, state.problems)) for group in self._groups
        ]
        # Ray can make lost states again as long as what they are made of is held.
        self._kept = list(self._refs)

    def _called(self, index: int) -> str:
        return f"group {index + 1} of {len(self._groups)} at meta-step {self.done + 1}"


_KEPT = "The same command goes on from what was saved last."


def _problems_of(group: Group, problems: Problems) -> Problems:
    return jax.tree.map(lambda x: np.asarray(x)[group.of(len(x))], problems)


def _outer_step(
    program: MetaProgram, state: MetaState, estimates: jax.Array, words: Any
) -> tuple[MetaState, jax.Array]:
    return program.step(state, jnp.mean(estimates, 0), words)
