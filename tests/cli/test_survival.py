"""A sweep that is killed or stopped goes on where it was, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

LOPT = Path(sys.executable).parent / "lopt"
TASK = "ImageMLP_FashionMnist8_Relu32"
SET = """\
name: Survivors
optimizer: Adam
num_steps: 40000
seeds: 2
space:
  learning_rate: [0.001, 0.01, 0.1]
"""


@pytest.fixture
def sweep(tmp_path):
    """Start a sweep with its results below a folder of a given name."""
    (tmp_path / "survivors.yaml").write_text(SET)

    def start(root: str) -> subprocess.Popen:
        env = {
            **os.environ,
            "LOPT_BASELINE_DIR": str(tmp_path / root),
            "LOPT_CHECKPOINT_SECONDS": "0.5",
        }
        command = [LOPT, "sweep", TASK, "--set", "survivors.yaml", "--no-archive"]
        # Measuring could choose another strategy for one of the two sweeps.
        command += ["--strategy", "trials_at_once=8"]
        return subprocess.Popen(
            command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )

    return start


def checkpoints(root: Path) -> list[Path]:
    return list((root / ".checkpoints").glob("*.npz"))


def wait_for_checkpoints(
    process: subprocess.Popen, root: Path, newer_than: float, count: int = 1
) -> None:
    """Until the process has written so many checkpoints of its own."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if sum(p.stat().st_mtime > newer_than for p in checkpoints(root)) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no checkpoints; exit code {process.poll()}")


def curves(root: Path) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    found = {}
    for path in root.rglob("*.curves"):
        with np.load(path) as result:
            key = str(result["opt_name"]), int(result["seed"])
            assert key not in found, f"{key} is there twice"
            found[key] = {
                k: result[k] for k in result.files if not k.startswith("timing/")
            }
    return found


def assert_equal_curves(root: Path, expected_root: Path) -> None:
    got, expected = curves(root), curves(expected_root)
    assert got.keys() == expected.keys()
    assert len(got) == 6
    for trial, result in expected.items():
        for key, values in result.items():
            np.testing.assert_array_equal(got[trial][key], values, err_msg=key)


@pytest.mark.slow
def test_killed_stopped_and_resumed_sweeps_end_alike(sweep, tmp_path):
    unbroken = sweep("unbroken")
    _, stderr = unbroken.communicate(timeout=300)
    assert unbroken.returncode == 0, stderr
    assert not checkpoints(tmp_path / "unbroken")

    broken = tmp_path / "broken"
    moments = random.Random(0)
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        started = time.time()
        process = sweep("broken")
        wait_for_checkpoints(process, broken, newer_than=started)
        # At any moment: between two chunks, within one, or while saving.
        time.sleep(moments.uniform(0, 0.6))
        process.send_signal(how)
        _, stderr = process.communicate(timeout=120)
        print(how.name, "->", process.returncode, stderr.splitlines()[-1:])
        if how == signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == 130
            assert f"{how.name}: stopping" in stderr
            assert "the same command goes on from there" in stderr
        assert not curves(broken)

    process = sweep("broken")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert_equal_curves(broken, tmp_path / "unbroken")
    assert not checkpoints(broken)
    # Killed while it saved, a sweep leaves what it had begun; that can be removed once
    # it is so old that nobody may be writing it.
    begun = list(broken.rglob("*.tmp"))
    assert len(begun) <= 1
    for path in begun:
        os.utime(path, (0, 0))
    env = {**os.environ, "LOPT_BASELINE_DIR": str(broken)}
    command = [LOPT, "rm", "--only", "leftovers", "--yes"]
    subprocess.run(command, env=env, check=True, timeout=60)
    assert not list(broken.rglob("*.tmp"))
    assert len(curves(broken)) == 6


def test_a_second_signal_stops_at_once():
    code = (
        "import os, signal, time\n"
        "from learned_optimization.cli.signals import stop_requests\n"
        "with stop_requests() as should_stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert should_stop()\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "stopped\n", result.stderr
