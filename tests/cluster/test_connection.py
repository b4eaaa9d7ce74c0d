"""A cluster of this machine is reached from this machine alone."""

import json
import subprocess
import sys

import pytest

# In a process of its own: Ray reads its settings when it is imported.
SCRIPT = """
import json, os
import psutil
from learned_optimization.cluster.connection import connected
before = dict(os.environ)
with connected("local"):
    import ray
    mode, token = os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]
    seen = ray.get(ray.remote(lambda: os.environ.get("RAY_AUTH_MODE")).remote())
    me = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in [me, *me.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
left = sorted(name for name in os.environ if name.startswith("RAY_AUTH"))
print(json.dumps([mode, len(token), seen, listening, left]))
"""


@pytest.mark.slow
def test_a_local_cluster_listens_at_loopback_and_asks_for_a_token(monkeypatch):
    pytest.importorskip("psutil")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    mode, length, seen, listening, left = json.loads(done.stdout.splitlines()[-1])
    assert (mode, length, seen) == ("token", 64, "token")
    assert len(listening) > 3
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert left == []
