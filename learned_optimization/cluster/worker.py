"""What a node of the cluster does: trains one group of a sweep's trials."""

from __future__ import annotations

import functools
import socket
import warnings
from dataclasses import dataclass
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.sets.checkpoints import NamedCheckpoint
from learned_optimization.baselines.sets.registry import get_hparam_set
from learned_optimization.baselines.sweeps.observing import SweepSummary
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.sweep import run_trials, sweep_trials
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.board import Reporter
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    RunStoppedError,
    Strategy,
    keep_compiled,
)
from learned_optimization.text import said


@dataclass(frozen=True)
class Job:
    """A sweep, as it is described to the nodes.

    Attributes:
      task_names: names of fixed tasks.
      set_names: names of the sets.
      files: the files that define sets not of the package.
      checkpoints: those whose sets are known; every node must be able to read them.
      num_groups: groups that the trials are divided into.
      strategy: how devices compute their shares; if None, the fastest known.
      sign: path of a file that every node must be able to see.
      installation: of the process that starts the sweep.
    """

    task_names: tuple[str, ...]
    set_names: tuple[str, ...]
    files: PackedFiles
    checkpoints: tuple[NamedCheckpoint, ...]
    num_groups: int
    strategy: Strategy | None
    sign: str
    installation: Installation


@dataclass(frozen=True)
class GroupResult:
    """What a group did.

    Attributes:
      summary: counts and times.
      updates: updates of all its trials, including those that had results.
      warnings: the texts of its warnings.
    """

    summary: SweepSummary
    updates: int
    warnings: tuple[str, ...]


def train_group(job: Job, group: int, board: Any) -> GroupResult | None:
    """Train the trials of one group that have no result yet.

    Args:
      job: the sweep.
      group: which group, from 1.
      board: the actor `Board`.

    Returns:
      What it did, or None if it was told to stop.

    Raises:
      LoptError: what a sweep raises, with the name of the node.
    """
    node = socket.gethostname()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _check_node(job)
            keep_compiled()
            trials = Shard(group, job.num_groups).of(_trials(job))
            reporter = Reporter(board, group, trials)
            summary = run_trials(trials, reporter, reporter.should_stop, job.strategy)
    except RunStoppedError:
        return None
    except LoptError as error:
        # A subclass may need more arguments than a message: it cannot be pickled.
        raise LoptError(f"on {node}: {said(error)}") from None
    messages = dict.fromkeys(f"on {node}: {warning.message}" for warning in caught)
    return GroupResult(summary, num_updates(trials), tuple(messages))


def _check_node(job: Job) -> None:
    job.installation.check_is_alike("the sweep")
    if not filesystem.exists(job.sign):
        raise LoptError(
            f"{job.sign} cannot be seen there: LOPT_BASELINE_DIR must be a folder "
            "that all nodes share, or a bucket (gs://..., s3://...)."
        )


# A process trains many groups of one sweep.
@functools.lru_cache(maxsize=1)
def _trials(job: Job) -> list[Trial]:
    job.files.load()
    for checkpoint in job.checkpoints:
        checkpoint.define()
    return sweep_trials(job.task_names, [get_hparam_set(n) for n in job.set_names])
