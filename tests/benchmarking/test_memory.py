"""The greatest memory of a process, as each system counts it."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from learned_optimization.benchmarking.memory import peak_mib


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_is_what_linux_says():
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert said is not None
    assert peak_mib() == pytest.approx(int(said[1]) / 1024, rel=0.01)


def test_bytes_of_macos(monkeypatch):
    used = SimpleNamespace(ru_maxrss=3 * 2**20)
    fake = SimpleNamespace(getrusage=lambda who: used, RUSAGE_SELF=0)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "resource", fake)
    assert peak_mib() == 3.0


def test_bytes_of_windows(monkeypatch):
    info = SimpleNamespace(peak_wset=5 * 2**20)
    process = SimpleNamespace(memory_info=lambda: info)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_mib() == 5.0
