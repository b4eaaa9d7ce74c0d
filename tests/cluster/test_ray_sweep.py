"""Sweeps over a real Ray cluster of several nodes, on this machine."""

import os
import signal
import subprocess
import time

import pytest

from tests.cli.running import TASK, lopt, refused
from tests.cli.test_survival import (
    LOPT,
    assert_equal_curves,
    checkpoints,
    wait_for_checkpoints,
)
from tests.cluster.nodes import ray_cluster

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


@pytest.fixture
def cluster():
    with ray_cluster() as started:
        yield started


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


@pytest.mark.exhaustive
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
