"""Locks: one at a time is in, and who was killed bars nobody."""

import subprocess
import sys
import time

import pytest

from learned_optimization import filesystem, locking
from learned_optimization.errors import ResultError

WAITING = """
import sys
from learned_optimization import locking
with locking.alone(sys.argv[1]):
    print("in", flush=True)
    sys.stdin.read()
"""


def other(path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WAITING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_one_process_at_a_time_is_in(tmp_path):
    path = tmp_path / "folder" / ".lock"
    first = other(path)
    assert first.stdout is not None
    assert first.stdout.readline() == "in\n"
    with pytest.raises(BlockingIOError), locking.alone(str(path), wait=False):
        pytest.fail("two are in")
    first.kill()
    first.communicate()
    # Its file is there still, and means nothing.
    assert path.exists()
    with locking.alone(str(path)):
        second = other(path)
        time.sleep(0.1)
        assert second.poll() is None
    out, _ = second.communicate("", timeout=60)
    assert out == "in\n"
    assert not path.exists()


def test_what_is_raised_within_ends_it(tmp_path):
    with pytest.raises(KeyError), locking.alone(str(tmp_path / ".lock")):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ResultError, match=f"cannot write below {tmp_path}/file/r"),
        filesystem.alone(f"{tmp_path}/file/r"),
    ):
        pytest.fail("it is no folder")
