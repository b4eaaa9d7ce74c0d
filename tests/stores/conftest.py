"""Real object stores on loopback: a GCS emulator and moto's S3 server."""

import functools
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

BUCKET = "lopt-tests"
_SECONDS_TO_START = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _serve(command: list[str], port: int, env: dict[str, str]) -> subprocess.Popen:
    """Start a server and wait until it accepts connections."""
    bin_dir = Path(sys.executable).parent
    process = subprocess.Popen(
        [str(bin_dir / command[0]), *command[1:]],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{command[0]} ended: {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise AssertionError(f"{command[0]} did not start")


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    port = free_port()
    command = ["gcp-storage-emulator", "start", "--host", "127.0.0.1", "--in-memory"]
    command += ["--port", str(port), "--default-bucket", BUCKET]
    process = _serve(command, port, {})
    yield f"http://127.0.0.1:{port}"
    _stop(process)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    port = free_port()
    process = _serve(["moto_server", "-H", "127.0.0.1", "-p", str(port)], port, {})
    yield f"http://127.0.0.1:{port}"
    _stop(process)


@pytest.fixture
def gcs(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a bucket of the GCS emulator."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    # Which kind a bucket is would be asked of Google, with its credentials.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    return f"gs://{BUCKET}"


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a bucket of moto's S3 server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fs = fsspec.filesystem("s3")
    if not fs.exists(BUCKET):
        fs.mkdir(BUCKET)
    return f"s3://{BUCKET}"


@pytest.fixture(params=["gcs", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    """URL of a folder of its own in a bucket of each store."""
    url = request.getfixturevalue(request.param)
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{url}/{name}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Return a folder, and the address it is served at; see `_Quiet`."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files quietly; what lies in a folder `busy` it cannot give just now."""

    def send_head(self):
        """Return the file that a request is answered with, None after an error."""
        if "/busy/" in self.path:
            self.send_error(503)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass
