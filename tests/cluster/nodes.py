"""A Ray cluster of several nodes on this machine, whose nodes can be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Starting a node forks, which a process that has used jax must not do.
_CLUSTER = """\
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


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """Start a cluster, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
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
