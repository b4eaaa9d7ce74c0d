"""A sweep over a Ray cluster: groups of trials are Ray tasks.

A group is a shard of the sweep, so that its number is all that a node needs. Its
results go straight to `LOPT_BASELINE_DIR`; the process that starts the sweep, the
driver, only gets counts. A group whose node is lost begins again on another, which
skips trials that have results and goes on from the group's checkpoint.
"""

from __future__ import annotations

import contextlib
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from learned_optimization import filesystem
from learned_optimization.baselines.sets.checkpoints import known_checkpoints
from learned_optimization.baselines.sets.files import files_read
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.observing import SweepSummary
from learned_optimization.baselines.sweeps.sweep import sweep_trials
from learned_optimization.baselines.sweeps.trials import num_updates
from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.board import Board, GroupReport
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.cluster.remote import (
    check_has_place,
    places,
    remote,
    result_of,
)
from learned_optimization.cluster.resources import GroupResources
from learned_optimization.cluster.worker import GroupResult, Job, train_group
from learned_optimization.eval_training import RunStoppedError, Strategy

# Groups kept waiting, per place and at least: an autoscaler looks at what waits.
_WAITING_PER_PLACE, _LEAST_WAITING = 1, 4
_SECONDS_BETWEEN_LOOKS = 0.5
# As long as a large program takes to compile: groups cannot stop sooner.
_SECONDS_TO_STOP = 120.0


@dataclass(frozen=True)
class ClusterProgress:
    """How far a sweep over a cluster is.

    Attributes:
      num_groups: groups that the trials are divided into.
      groups_done: groups finished.
      groups_running: groups that train now.
      groups_lost: how often a group was begun again, its node or process lost.
      num_nodes: machines where groups train now.
      total_updates: updates of all trials, those that had results too.
      updates_skipped: of trials that had results.
      updates_done: of the others.
      num_diverged: trials whose loss is no longer finite.
    """

    num_groups: int
    groups_done: int
    groups_running: int
    groups_lost: int
    num_nodes: int
    total_updates: int
    updates_skipped: int
    updates_done: int
    num_diverged: int


class ClusterObserver(Protocol):
    """Is told how a sweep over a cluster goes."""

    def progressed(self, progress: ClusterProgress) -> None:
        """Take note of how it is now, about twice a second."""


def run_ray_sweep(
    task_names: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    resources: GroupResources,
    observer: ClusterObserver | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    *,
    may_grow: bool = True,
) -> SweepSummary:
    """Train every trial that has no result yet, on the cluster connected to.

    All nodes must share `LOPT_BASELINE_DIR`, and have the data of the tasks, and the
    same versions of the packages as this process.

    Args:
      task_names: names of fixed tasks.
      hparam_sets: the sets; the files of those that came from files are sent along,
        and the paths of checkpoints, which every node must be able to read.
      resources: what a group of trials gets.
      observer: told how it goes.
      should_stop: asked now and then; if so, the groups save where they are.
      strategy: how devices compute their shares; if None, the fastest known.
      may_grow: whether nodes may join the cluster, so that a group that fits none
        waits for one.

    Returns:
      Counts and times, summed over the groups.

    Raises:
      LoptError: if a name or setting is wrong, no node fits a group, or a group
        failed; the others save where they are first.
      RunStoppedError: if it was told to stop.
    """
    trials = sweep_trials(task_names, hparam_sets)
    total_updates = num_updates(trials)
    num_places = check_has_place(resources, may_grow=may_grow)
    environment = resources.environment()
    root = environment["LOPT_BASELINE_DIR"]
    filesystem.check_writable(root)
    job = Job(
        tuple(task_names),
        tuple(s.name for s in hparam_sets),
        PackedFiles.pack(files_read()),
        tuple(known_checkpoints()),
        resources.num_groups(len(trials), num_places),
        strategy,
        sign=filesystem.join(root, f".lopt-sweep-{uuid.uuid4().hex}"),
        installation=Installation.of_this_process(),
    )
    del trials
    filesystem.write_bytes(job.sign, b"")
    try:
        groups = _Groups(job, resources, environment, total_updates)
        return _run(groups, observer, should_stop)
    finally:
        filesystem.remove_file(job.sign)


def _run(
    groups: _Groups,
    observer: ClusterObserver | None,
    should_stop: Callable[[], bool],
) -> SweepSummary:
    try:
        while not groups.are_done():
            groups.submit()
            groups.wait()
            if observer is not None:
                observer.progressed(groups.progress())
            if should_stop():
                raise RunStoppedError
    finally:
        groups.stop()
    return groups.summary


class _Groups:
    """The groups of a sweep: those under way, and counts of those done.

    Nothing here grows with the number of trials or groups.
    """

    def __init__(
        self,
        job: Job,
        resources: GroupResources,
        environment: dict[str, str],
        total_updates: int,
    ) -> None:
        self.summary = SweepSummary()
        self._resources = resources
        self._job, self._num_groups = ray.put(job), job.num_groups
        # On the driver's node, so that it survives the loss of a worker node.
        here = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        board: Any = ray.remote(num_cpus=0)(Board)
        self._board = board.options(scheduling_strategy=here).remote()
        self._train = remote(train_group, resources, environment)
        self._under_way: dict[Any, int] = {}
        self._next, self._num_done = 1, 0
        self._total_updates, self._updates_of_done = total_updates, 0

    def are_done(self) -> bool:
        return self._num_done == self._num_groups

    def submit(self) -> None:
        """Submit groups until every place is taken and some groups wait."""
        num_places = places(self._resources)
        window = num_places + max(_WAITING_PER_PLACE * num_places, _LEAST_WAITING)
        while self._next <= self._num_groups and len(self._under_way) < window:
            ref = self._train.remote(self._job, self._next, self._board)
            self._under_way[ref] = self._next
            self._next += 1

    def wait(self) -> None:
        """Wait a moment, and count in the groups that ended meanwhile."""
        refs = list(self._under_way)
        done, _ = ray.wait(refs, num_returns=len(refs), timeout=_SECONDS_BETWEEN_LOOKS)
        for ref in done:
            result = self._result(ref, self._under_way.pop(ref))
            self._num_done += 1
            self._updates_of_done += result.updates
            self.summary.add(result.summary)
            for message in result.warnings:
                warnings.warn(message, stacklevel=2)

    def _result(self, ref: Any, group: int) -> GroupResult:
        which = f"group {group} of {self._num_groups}"
        return result_of(ref, which, "The results so far are kept.")

    def progress(self) -> ClusterProgress:
        """Return how far all groups are."""
        by_group, num_lost = self._read_board()
        reports = by_group.values()
        done = self.summary.trial_steps
        return ClusterProgress(
            num_groups=self._num_groups,
            groups_done=self._num_done,
            groups_running=len(reports),
            groups_lost=num_lost,
            num_nodes=len({r.node for r in reports}),
            total_updates=self._total_updates,
            updates_skipped=self._updates_of_done
            - done
            + sum(r.updates_skipped for r in reports),
            updates_done=done + sum(r.updates_done for r in reports),
            num_diverged=self.summary.num_diverged
            + sum(r.num_diverged for r in reports),
        )

    def stop(self) -> None:
        """End the groups under way; those that train save where they are first."""
        if not self._under_way:
            return
        with contextlib.suppress(RayError):
            ray.get(self._board.stop.remote())
        reported, _ = self._read_board()
        for ref, group in self._under_way.items():
            if group not in reported:
                ray.cancel(ref)
        refs = list(self._under_way)
        ray.wait(refs, num_returns=len(refs), timeout=_SECONDS_TO_STOP)

    def _read_board(self) -> tuple[dict[int, GroupReport], int]:
        try:
            return ray.get(self._board.read.remote(list(self._under_way.values())))
        except RayError:
            # The groups go on without a board.
            return {}, 0
