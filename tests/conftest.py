"""Shared fixtures: no test reads or writes the user's own results or data."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gin
import pytest

if TYPE_CHECKING:
    import numpy as np

    from learned_optimization.baselines.sets.hparam_set import HParamSet

# Before jax starts: two devices, so that running trials on several is tested
# on every machine; and one compilation serves every test of the session that
# needs the same program, in every worker process.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Removed when the session's first process ends: workers inherit its name.
    _PROGRAMS = tempfile.TemporaryDirectory(
        prefix="lopt-test-", ignore_cleanup_errors=True
    )
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _PROGRAMS.name
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole pages first: begun last, they would be waited for by one process."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every directory the package writes to at the test's own folder."""
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "baselines"))
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", str(tmp_path / "archives"))
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOPT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LOPT_SYNTHETIC_DATA", raising=False)
    monkeypatch.delenv("LOPT_NORMALIZERS_DIR", raising=False)
    # Releases stand in for archives that most tests say are missing.
    monkeypatch.setenv("LOPT_NO_RELEASES", "1")
    monkeypatch.delenv("LOPT_RELEASES_DIR", raising=False)


@pytest.fixture(autouse=True)
def clean_gin() -> Iterator[None]:
    """gin's configuration is global: every test leaves it empty."""
    yield
    gin.clear_config()


@pytest.fixture(autouse=True)
def own_names() -> Iterator[None]:
    """Forget, after a test, the sets, optimizers and tasks that it defines."""
    from learned_optimization.baselines.sets.registry import SETS
    from learned_optimization.optimizers.base import OPTIMIZERS
    from learned_optimization.tasks.registry import TASKS

    with SETS.temporarily(), OPTIMIZERS.temporarily(), TASKS.temporarily():
        yield


@pytest.fixture
def small_set() -> "HParamSet":
    """Return `tiny_set`, known by its name for the length of a test."""
    from learned_optimization.baselines.hparam_sets import add_hparam_set
    from tests.tiny import tiny_set

    return add_hparam_set(tiny_set())


@pytest.fixture
def handmade() -> "dict[str, dict[str, np.ndarray]]":
    """Return what archives of `exporting.exported` hold, by their sets' names."""
    from tests.baselines.exporting.exported import register, write_both

    register()
    return write_both()
