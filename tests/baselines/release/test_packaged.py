"""The releases of the package: small, whole, and what is trained today."""

from pathlib import Path

import pytest

from learned_optimization.baselines import normalizers
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.verify import verify
from learned_optimization.baselines.suites.challengers import baseline_sets
from learned_optimization.baselines.suites.registry import get_suite
from tests.cli.running import lopt

RELEASES = {release.name: release for release in places.packaged()}
REPOSITORY = Path(__file__).parents[3]
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


def test_baselines_of_a_challenge_are_there():
    suite = get_suite("laptop")
    there = {a.pair for a in RELEASES["laptop"].manifest.archives}
    needed = {(t, s.name) for t in suite.tasks for s in baseline_sets(suite)}
    assert needed <= there
    assert set(normalizers.speedup_over_adam_1000_normalizer_map()) == set(suite.tasks)


def test_pages_say_what_the_release_has():
    manifest = RELEASES["laptop"].manifest
    archives = manifest.archives
    trials = f"{sum(a.num_trials for a in archives):,} trials"
    heldout = RELEASES["laptop_heldout"].manifest.archives
    megabytes = f"{sum(a.num_bytes for a in archives) / 1e6:.1f} MB"
    short = {a.hparam_set for a in archives if a.num_steps == 1000}
    tasks = get_suite("laptop").tasks
    ranked = [s for s in short if all(manifest.of(task, s) for task in tasks)]
    of_ranked = sum(a.num_trials for a in archives if a.hparam_set in ranked)
    said = {
        "README.md": [
            f"ranks {len(ranked)} sets",
            f"from {of_ranked:,} of the {trials}",
        ],
        "docs/releases.md": [
            f"{len(archives)} archives with {trials}",
            megabytes,
            f"{len(heldout)} archives, {sum(a.num_trials for a in heldout):,} trials, "
            f"{sum(a.num_bytes for a in heldout) / 1e6:.1f} MB",
        ],
    }
    for page, facts in said.items():
        text = " ".join((REPOSITORY / page).read_text().split())
        for fact in facts:
            assert fact in text, f"{page} does not say {fact!r}"


@pytest.mark.slow
def test_a_report_needs_no_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lopt("report", "laptop", LOPT_NO_RELEASES="0")
    assert done.returncode == 0, done.stderr
    assert "Over 14 tasks" in done.stdout
    assert next(Path.cwd().rglob("index.html")).stat().st_size > 1_000_000
