"""Shared fixtures: no test reads or writes the user's own results or data."""

import os
from pathlib import Path

import pytest

# Before jax starts: two devices, so that running trials on several is tested
# on every machine.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points every directory the package writes to at the test's own folder."""
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "baselines"))
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(tmp_path / "archives"))
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LOPT_SYNTHETIC_DATA", raising=False)
