"""The releases of the package: small, whole, and what is trained today."""

import pytest

from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.verify import verify

RELEASES = {release.name: release for release in places.packaged()}
MOST_BYTES = 12_000_000

pytestmark = pytest.mark.skipif(not RELEASES, reason="the package has no release yet")


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASES)
def test_every_byte_is_right_and_a_trial_is_the_same(name):
    done = verify(RELEASES[name], num_retrained=1, seed=0)
    assert not done.problems
    assert done.is_good, done.worst


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RELEASES)
def test_forty_trials_are_the_same(name):
    done = verify(RELEASES[name], num_retrained=40, seed=1)
    assert done.is_good, done.worst


def test_they_are_small():
    files = [path for path in places.PACKAGED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    # No file is there that no manifest knows.
    known = {
        f"{r.folder}/{a.file}" for r in RELEASES.values() for a in r.manifest.archives
    }
    archives = {str(path) for path in files if path.name.endswith(".npz.xz")}
    assert archives == known
