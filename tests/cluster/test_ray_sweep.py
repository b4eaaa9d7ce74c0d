"""Sweeps over a real Ray cluster of several nodes, on this machine."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.running import TASK, lopt, refused
from tests.cli.test_survival import (
    LOPT,
    assert_equal_curves,
    checkpoints,
    wait_for_checkpoints,
)

SET = """\
name: OnACluster
optimizer: Adam
num_steps: 10000
seeds: 2
space:
  learning_rate: [0.001, 0.01, 0.1]
"""
STRATEGY = ("--strategy", "trials_at_once=8")
NUM_GROUPS = 3


# Starting a node forks, which a process that has used jax must not do.
CLUSTER = """\
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
print(cluster.address, flush=True)
try:
    while input() == "kill":
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("killed", flush=True)
finally:
    cluster.shutdown()
"""


class RayCluster:
    """A head that only coordinates, and two nodes of one CPU each."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        self.address = self._next_line()

    def kill_node(self) -> None:
        """Kill all processes of a node at once."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        assert self._next_line() == "killed"

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def cluster():
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env={
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield RayCluster(process)
        process.communicate("shutdown\n", timeout=60)
        assert process.returncode == 0


@pytest.fixture
def sweep(tmp_path):
    """Start a sweep with its results below a folder of a given name."""
    (tmp_path / "on_a_cluster.yaml").write_text(SET)

    def start(root: str, *options: str, **env: str) -> subprocess.Popen:
        env = {
            **os.environ,
            "LOPT_BASELINE_DIR": str(tmp_path / root),
            "LOPT_CHECKPOINT_SECONDS": "0.5",
            **env,
        }
        command = [LOPT, "sweep", TASK, "--set", "on_a_cluster.yaml", *options]
        return subprocess.Popen(
            [*command, *STRATEGY, "--no-archive"],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.slow
def test_stopped_then_robbed_of_a_node(cluster, sweep, tmp_path):
    root = tmp_path / "cluster"
    on_ray = ("--ray", cluster.address, "--ray-trials", "2")

    process = sweep("cluster", *on_ray)
    wait_for_checkpoints(process, root, newer_than=0, count=2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    print("SIGINT ->", process.returncode, stderr)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "stopped; the same command goes on from there."
    # The third group may just begin where one of the others has stopped.
    # Each group has two files, written in turn.
    assert 2 <= len(checkpoints(root)) <= 2 * NUM_GROUPS

    started = time.time()
    process = sweep("cluster", *on_ray)
    wait_for_checkpoints(process, root, newer_than=started, count=2)
    cluster.kill_node()
    stdout, stderr = process.communicate(timeout=300)
    print("a node killed ->", process.returncode, stderr, stdout)
    assert process.returncode == 0
    assert "its group begins again (1 so far)" in stderr
    assert f"{NUM_GROUPS} of {NUM_GROUPS} groups done" in stderr
    assert "6 trials run, 0 had results, 0 diverged" in stdout

    # The same groups, one process each, with nothing lost.
    alone = {"JAX_NUM_CPU_DEVICES": "1", "NPROC": "1"}
    for shard in range(1, NUM_GROUPS + 1):
        process = sweep("alone", "--shard", f"{shard}/{NUM_GROUPS}", **alone)
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    assert_equal_curves(root, tmp_path / "alone")
    # No checkpoint, note or half-written file.
    left = [p.name for p in root.rglob("*") if p.is_file() and p.suffix != ".curves"]
    assert left == []
    assert not checkpoints(root)

    again = sweep("cluster", *on_ray)
    stdout, stderr = again.communicate(timeout=120)
    assert "0 trials run, 6 had results" in stdout, stderr


@pytest.mark.slow
def test_a_folder_that_nodes_do_not_share(cluster, tmp_path):
    # Every process has a memory of its own.
    result = lopt(
        *("sweep", TASK, "AdamLR_1000_R5", "--ray", cluster.address),
        LOPT_BASELINE_DIR="memory://results",
    )
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: group ")
    assert "LOPT_BASELINE_DIR must be a folder that all nodes share" in line


@pytest.mark.slow
def test_no_such_cluster():
    sweep = ("sweep", TASK, "AdamLR_1000_R5")
    message = refused(lopt(*sweep, "--ray", "127.0.0.1:1"))
    assert "cannot reach a Ray cluster at '127.0.0.1:1'" in message
    message = refused(lopt(*sweep, "--ray-cpus", "2"))
    assert "name it by --ray ADDRESS" in message
    message = refused(lopt(*sweep, "--ray", "local", "--shard", "1/2"))
    assert "with --ray, leave out --shard" in message
