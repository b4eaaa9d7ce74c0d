"""Built, found, verified and fetched: the way of one release that was trained."""

import hashlib
import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.build import build, everything_of
from learned_optimization.baselines.release.fetch import fetch, look_at
from learned_optimization.baselines.release.manifest import (
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.packing import pack, unpack
from learned_optimization.baselines.release.thin import NUM_KEPT, thinned_of
from learned_optimization.baselines.release.verify import verify
from learned_optimization.baselines.results.archives import list_archived_tasks
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    ResultError,
    UnknownNameError,
)
from tests.baselines.release.trained import (
    TASK,
    build_short,
    find_releases,
    short_set,
)

SET = "ShortSGD_30_R2"


@pytest.fixture(scope="module")
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


def own_archive(trained: Path) -> Path:
    return trained / "baseline_archives" / TASK / f"{SET}.npz"


def test_a_release_says_where_it_comes_from(trained, released):
    [archive] = read_manifest(str(released / "short")).archives
    assert archive.pair == (TASK, SET)
    assert (archive.num_configs, archive.num_seeds, archive.num_steps) == (3, 2, 30)
    assert (archive.evaluations, archive.of_evaluations) == (NUM_KEPT, 31)
    assert archive.seeds == (0, 1)
    assert archive.command == f"lopt sweep {TASK} {SET}"
    assert any(version.startswith("jax==") for version in archive.versions)
    assert "cpu" in archive.hardware
    file = released / "short" / archive.file
    assert archive.num_bytes == file.stat().st_size
    with np.load(own_archive(trained)) as whole:
        thin = unpack(file.read_bytes(), str(file))
        assert set(whole) <= set(thin)
        for key in (k for k in whole if k.startswith("final/") or whole[k].ndim == 2):
            np.testing.assert_array_equal(whole[key], thin[key])
        at = np.searchsorted(whole["eval/xs"][0, 0], thin["eval/xs"][0, 0])
        losses = whole["eval/test/loss"][..., at]
        np.testing.assert_allclose(thin["eval/test/loss"], losses, rtol=2**-8)


def test_readers_find_it_where_there_is_no_archive_of_ones_own(
    trained, released, monkeypatch
):
    with pytest.raises(MissingArchiveError):
        utils.load_archive(TASK, SET)
    find_releases(monkeypatch, released)
    assert list_archived_tasks() == [TASK]
    assert utils.list_hparam_sets_for_task(TASK) == [SET]
    thinned = thinned_of(utils.load_archive(TASK, SET))
    assert thinned is not None
    assert thinned.evaluations == 31
    [row] = status([TASK], [short_set()])
    assert row.archive == "release"
    # One's own comes first, unless a release is asked for alone.
    own = Path(utils.get_baseline_archive_path(TASK, SET))
    own.parent.mkdir(parents=True)
    shutil.copy(own_archive(trained), own)
    assert thinned_of(utils.load_archive(TASK, SET)) is None
    with places.only(str(released / "short")):
        assert thinned_of(utils.load_archive(TASK, SET)) is not None
    [row] = status([TASK], [short_set()])
    assert row.archive == "yes"
    utils.delete_archive(TASK, SET)
    assert utils.list_hparam_sets_for_task(TASK) == [SET]
    with pytest.raises(ResultError, match="no archive"):
        utils.delete_archive(TASK, SET)


def test_a_fetched_release_comes_before_that_of_the_package(
    released, monkeypatch, tmp_path
):
    find_releases(monkeypatch, released)
    fetch(str(released / "short"), name="mine")
    assert [r.name for r in places.releases()] == ["mine", "short"]
    found = places.find(TASK, SET)
    assert found is not None
    assert not found.release.is_packaged


def test_a_damaged_release_is_left_out_and_a_damaged_archive_refused(
    released, monkeypatch
):
    find_releases(monkeypatch, released)
    bad = released / "bad"
    bad.mkdir()
    (bad / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"a release is left out: .*bad"):
        assert [r.name for r in places.releases()] == ["short"]
    shutil.rmtree(bad)
    file = released / "short" / TASK / f"{SET}.npz.xz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    with pytest.raises(ResultError, match="sha256"):
        utils.load_archive(TASK, SET)
    file.write_bytes(content)
    utils.load_archive(TASK, SET)


def test_where_no_cache_can_be_kept_it_is_read_all_the_same(
    released, monkeypatch, tmp_path
):
    find_releases(monkeypatch, released)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOPT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="archives of releases cannot be kept"):
        assert utils.load_archive(TASK, SET)["seed"].shape == (3, 2)


def test_building_goes_on_where_it_was(trained, released, monkeypatch):
    folder = str(released / "short")
    calls = []

    def build_again(train):
        seen = []
        build(
            [(TASK, short_set())],
            folder,
            "short",
            train=train,
            on_archive=lambda archive, is_there: seen.append(is_there),
        )
        return seen

    # Nothing of one's own is there, and nothing is wanted: the release has it.
    assert build_again(lambda *pair: calls.append(pair)) == [True]
    assert not calls
    # An archive that was made again replaces that of the release.
    own = Path(utils.get_baseline_archive_path(TASK, SET))
    own.parent.mkdir(parents=True)
    with np.load(own_archive(trained)) as whole:
        changed = {key: whole[key] for key in whole}
    changed["final/test/loss"] = changed["final/test/loss"] + 1
    utils.write_archive(TASK, SET, changed)
    assert build_again(lambda *pair: calls.append(pair)) == [False]
    assert build_again(lambda *pair: calls.append(pair)) == [True]
    [archive] = read_manifest(folder).archives
    thin = unpack(Path(folder, archive.file).read_bytes(), archive.file)
    np.testing.assert_array_equal(thin["final/test/loss"], changed["final/test/loss"])
    assert not calls


def test_a_build_that_stops_keeps_what_it_has(released, tmp_path):
    def fail(task, hparam_set):
        raise LoptError("stopped")

    own = replace(short_set(), name="Other_30_R2")
    folder = str(released / "short")
    with pytest.raises(LoptError, match="stopped"):
        build([(TASK, own)], folder, "short", train=fail)
    assert len(read_manifest(folder).archives) == 1
    with pytest.raises(LoptError, match="has the release short and not other"):
        build([], folder, "other")


def test_made_up_data_is_not_released(trained, tmp_path):
    with np.load(own_archive(trained)) as whole:
        arrays = {key: whole[key] for key in whole}
    arrays["synthetic_data"] = np.ones_like(arrays["synthetic_data"])
    utils.write_archive(TASK, SET, arrays)
    with pytest.raises(LoptError, match="made-up data"):
        build([(TASK, short_set())], str(tmp_path / "r"), "r")
    assert not (tmp_path / "r" / "manifest.json").exists()


def test_the_whole_release_of_the_laptop_suite():
    pairs = everything_of(get_suite("laptop"))
    laptop = get_suite("laptop").tasks
    short = {(task, s.name) for task, s in pairs if s.num_steps == 1000}
    assert {task for task, _ in short} == set(laptop)
    assert len(short) == len(laptop) * len({name for _, name in short})
    shampoo = {name for _, name in short if name.startswith("Shampoo")}
    assert shampoo == {"Shampoo128SgdEvery10LR_1000_R5"}
    published = {(task, s.name) for task, s in pairs if s.num_steps == 10_000}
    # The sixteen of the published comparison that are no Shampoo.
    assert len({name for _, name in published}) == 16
    assert {task for task, _ in published} == {
        "ImageMLP_FashionMnist8_Relu32",
        "ImageMLP_FashionMnist8_32x32x32x32x32x32_Tanh",
        "ImageMLP_FashionMnist8_64x64_Relu_MSE",
    }
    assert len(pairs) == len(short) + len(published)


def release_at(folder: Path) -> places.Release:
    return places.Release(str(folder), read_manifest(str(folder)), is_packaged=False)


@pytest.mark.slow
def test_trials_trained_again_are_the_same(released):
    done = verify(release_at(released / "short"), num_retrained=6, seed=3)
    assert done.is_good
    assert {(t.opt_name, t.seed) for t in done.retrained} == {
        (name, seed) for name in short_set().opt_names for seed in (0, 1)
    }
    assert done.worst is not None
    assert done.worst.largest <= 1e-3


def rewrite(folder: Path, change) -> places.Release:
    """Change the arrays of the release's archive, and let its manifest fit them."""
    release = release_at(folder)
    [archive] = release.manifest.archives
    path = folder / archive.file
    arrays = unpack(path.read_bytes(), str(path))
    change(arrays)
    path.write_bytes(pack(arrays))
    changed = replace(
        archive,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        num_bytes=path.stat().st_size,
    )
    write_manifest(str(folder), release.manifest.with_archive(changed))
    return release_at(folder)


@pytest.mark.slow
def test_a_trial_that_trains_to_other_losses_is_found(released):
    def change(arrays):
        arrays["eval/test/loss"][0, 1, 10] *= 1.02

    done = verify(rewrite(released / "short", change), num_retrained=6)
    assert not done.problems
    assert not done.is_good
    [other] = [trial for trial in done.retrained if not trial.is_same]
    assert (other.opt_name, other.seed, other.key) == (
        "SGD_lr0.001",
        1,
        "eval/test/loss",
    )
    # Two percent, less the rounding to seven bits.
    assert 0.01 < other.largest < 0.02


@pytest.mark.slow
def test_a_final_loss_must_be_exact(released):
    def change(arrays):
        arrays["final/test/loss"] *= np.float32(1.0015)

    done = verify(rewrite(released / "short", change), num_retrained=6)
    different = [trial for trial in done.retrained if not trial.is_same]
    assert len(different) == 6
    assert {trial.key for trial in different} == {"final/test/loss"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a.pop("eval/xs"), "eval/xs"),
        (lambda a: a.update(seed=a["seed"][:1]), "trials"),
        (lambda a: a["eval/xs"].__setitem__((0, 0, 0), 7), "must rise"),
        (lambda a: a.pop("thin/evaluations"), "the manifest says otherwise"),
        (lambda a: a["opt_name"].__setitem__((0, 0), "SGD_lr9"), "not those of"),
    ],
)
def test_what_is_wrong_with_an_archive_is_found(released, change, problem):
    def changed(arrays):
        for key in ("eval/xs", "opt_name"):
            arrays[key] = arrays[key].copy()
        change(arrays)

    done = verify(rewrite(released / "short", changed))
    [found] = done.problems
    assert problem in found.problem
    assert not done.is_good


def test_what_cannot_be_verified_is_said(released):
    release = release_at(released / "short")
    with pytest.raises(LoptError, match="6 trials that can be read, and 7"):
        verify(release, num_retrained=7)
    (released / "short" / TASK / f"{SET}.npz.xz").unlink()
    [found] = verify(release).problems
    assert "no such file" in found.problem


def test_fetching_goes_on_where_it_was(released, monkeypatch):
    find_releases(monkeypatch, released / "none")
    there = fsspec.filesystem("memory")
    there.put(str(released / "short"), "/bucket/short", recursive=True)
    address = "memory://bucket/short"
    offer = look_at(address)
    assert offer.manifest is not None
    assert offer.pairs == ((TASK, SET),)
    done = fetch(address)
    assert (done.num_new, done.num_kept, done.problems) == (1, 0, [])
    assert done.release.folder == f"{places.releases_dir()}/short"
    assert verify(done.release).is_good
    assert utils.list_hparam_sets_for_task(TASK) == [SET]
    done = fetch(address, [TASK], [SET])
    assert (done.num_new, done.num_kept) == (0, 1)
    # Half of one, as a full disk may have left it, is fetched again.
    path = Path(done.release.folder, TASK, f"{SET}.npz.xz")
    path.write_bytes(path.read_bytes()[:100])
    assert fetch(address).num_new == 1
    assert verify(done.release).is_good
    with pytest.raises(UnknownNameError, match="ShortSGD_30_R2"):
        fetch(address, sets=["ShortSGD_30_R3"])
    with pytest.raises(LoptError, match="no manifest of a release and no archives"):
        fetch("memory://bucket/none")
    there.rm("/bucket", recursive=True)


def test_what_has_another_digest_is_never_kept(released, monkeypatch):
    find_releases(monkeypatch, released / "none")
    file = released / "short" / TASK / f"{SET}.npz.xz"
    file.write_bytes(lzma.compress(b"something else"))
    done = fetch(str(released / "short"))
    [problem] = done.problems
    assert "sha256" in problem
    folder = Path(places.releases_dir())
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert places.find(TASK, SET) is None
