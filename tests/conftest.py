"""Shared fixtures: no test reads or writes the user's own results or data."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gin
import pytest

if TYPE_CHECKING:
    import numpy as np

    from learned_optimization.baselines.hparam_set import HParamSet

# Before jax starts: two devices, so that running trials on several is tested
# on every machine; and one compilation serves every test of the session that
# needs the same program, in every worker process.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="lopt-test-")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points every directory the package writes to at the test's own folder."""
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "baselines"))
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(tmp_path / "archives"))
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOPT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LOPT_SYNTHETIC_DATA", raising=False)
    monkeypatch.delenv("LOPT_NORMALIZERS_DIR", raising=False)


@pytest.fixture(autouse=True)
def clean_gin() -> Iterator[None]:
    """gin's configuration is global: every test leaves it empty."""
    yield
    gin.clear_config()


@pytest.fixture(autouse=True)
def own_sets() -> Iterator[None]:
    """Sets that a test defines are forgotten after it."""
    name = "learned_optimization.baselines.hparam_sets"
    before = dict(sys.modules[name]._BY_NAME) if name in sys.modules else None
    yield
    if name in sys.modules:
        module = sys.modules[name]
        kept = module.PACKAGED_SET_NAMES if before is None else before
        for added in module._BY_NAME.keys() - set(kept):
            del module._BY_NAME[added]


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch) -> "HParamSet":
    """`tiny_set`, registered for the length of a test."""
    from learned_optimization.baselines import hparam_sets
    from tests.tiny import tiny_set

    small = tiny_set()
    monkeypatch.setitem(hparam_sets._BY_NAME, small.name, small)
    return small


@pytest.fixture
def handmade(monkeypatch: pytest.MonkeyPatch) -> "dict[str, dict[str, np.ndarray]]":
    """What the archives of `tests.baselines.exported` hold, by their sets' names."""
    from tests.baselines.exported import register, write_both

    register(monkeypatch)
    return write_both()
