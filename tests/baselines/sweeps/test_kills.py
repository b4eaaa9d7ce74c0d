"""Sweeps whose process is killed for good, at every call that changes a file."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.training import grid_runner
from tests.baselines.files import TASK
from tests.baselines.sweeps.faulty import (
    Disk,
    archived,
    assert_same,
    leftovers,
    results,
)
from tests.tiny import tiny_set

pytestmark = pytest.mark.exhaustive

_NUM_AT_RANDOM = 25


def _sweep(root, pipe, kill_at):
    """Sweep below a root; say which calls change files, and how many grids trained."""
    os.environ["LOPT_BASELINE_DIR"] = str(root)
    os.environ["LOPT_BASELINE_ARCHIVES_DIR"] = f"{root}/archives"
    os.environ["LOPT_CHECKPOINT_SECONDS"] = "0"
    grid_runner._SECONDS_PER_CHUNK = 0.0
    real, updates = grid_runner.GridRunner._do_chunk, []

    def do_chunk(self):
        updates.append(self.blocks_left)
        real(self)

    def fails(is_after, number, name, path):
        if kill_at == (number, is_after):
            os.kill(os.getpid(), signal.SIGKILL)

    grid_runner.GridRunner._do_chunk = do_chunk
    disk = Disk(pytest.MonkeyPatch(), fails)
    small = add_hparam_set(tiny_set())
    run_sweep([TASK], [small])
    calls = [(name, path.removeprefix(str(root))) for name, path in disk.calls]
    archive(TASK, small)
    pipe.send((calls, len(updates)))


@pytest.fixture(scope="module")
def processes():
    """Make processes that have imported everything, and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


class Sweeps:
    """Sweeps of one set, each in a process of its own."""

    def __init__(self, context, tmp_path):
        self._context, self._tmp_path = context, tmp_path
        self.archive = f"archives/{TASK}/{tiny_set().name}.npz"

    def root(self, name):
        return self._tmp_path / name

    def start(self, name, kill_at=None):
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_sweep, args=(self.root(name), theirs, kill_at)
        )
        process.start()
        theirs.close()
        return process, ours

    def finish(self, name):
        """Return the calls and the number of chunks trained."""
        process, pipe = self.start(name)
        said = pipe.recv()
        process.join()
        assert process.exitcode == 0
        return said


def test_killed_at_every_call_and_at_random(processes, tmp_path, monkeypatch):
    sweeps = Sweeps(processes, tmp_path)
    calls, num_chunks = sweeps.finish("undisturbed")
    start = time.monotonic()
    sweeps.finish("timed")
    seconds = time.monotonic() - start
    wanted = archived(sweeps.root("undisturbed") / sweeps.archive)
    chances, outcomes = random.Random(0), Counter()
    kills = [(n, after) for n in range(len(calls)) for after in (False, True)]
    kills += [chances.uniform(0.2, 1) * seconds for _ in range(_NUM_AT_RANDOM)]
    for i, kill in enumerate(kills):
        name = f"killed {i}"
        monkeypatch.setenv("LOPT_BASELINE_DIR", str(sweeps.root(name)))
        if isinstance(kill, tuple):
            process, _ = sweeps.start(name, kill_at=kill)
        else:
            process, _ = sweeps.start(name)
            process.join(kill)
            process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
        root = Path(utils.get_root_baseline_dir())
        is_kept, num_written = bool(list(root.glob(".finished/*.npz"))), len(results())
        assert num_written in (0, 9) or is_kept
        _, chunks = sweeps.finish(name)
        if is_kept or num_written:
            # What was finished is not trained again, not even the end of it.
            assert chunks == 0
        else:
            # The last checkpoint holds all but the evaluation of whole splits.
            assert chunks <= num_chunks
        outcomes[
            "all there"
            if num_written == 9
            else "only written"
            if is_kept
            else "from a checkpoint"
            if chunks < num_chunks
            else "from the start"
        ] += 1
        assert_same(archived(sweeps.root(name) / sweeps.archive), wanted)
        assert len(results()) == 9
        # Of a writer that was killed a hidden file may stay, which nobody reads.
        assert [path for path in leftovers() if not path.endswith(".tmp")] == []
    print(f"{len(kills)} kills, each followed by a restart: {dict(outcomes)}")
    assert min(outcomes.values()) > 0
    assert len(outcomes) == 4
