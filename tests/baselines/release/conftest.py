"""A release that was trained once, for all tests of releases."""

import shutil
from pathlib import Path

import pytest

from tests.baselines.release.trained import build_short, short_set


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archives that were trained, and a release of them."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BASELINE", "BASELINE_ARCHIVES", "DATA", "CACHE"):
            patch.setenv(f"LOPT_{name}_DIR", str(folder / name.lower()))
        patch.setenv("LOPT_NO_RELEASES", "1")
        build_short(folder / "releases" / "short")
    return folder


@pytest.fixture
def released(trained: Path, tmp_path: Path) -> Path:
    """A copy of the release, in a folder of releases."""
    shutil.copytree(trained / "releases", tmp_path / "releases")
    short_set()
    return tmp_path / "releases"
