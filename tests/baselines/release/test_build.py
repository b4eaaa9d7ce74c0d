"""Building a release, and finding what one has."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines import utils
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.build import build, everything_of
from learned_optimization.baselines.release.fetch import fetch
from learned_optimization.baselines.release.manifest import (
    read_manifest,
)
from learned_optimization.baselines.release.packing import unpack
from learned_optimization.baselines.release.thin import NUM_KEPT, thinned_of
from learned_optimization.baselines.results.archives import list_archived_tasks
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import get_hparam_set
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    ResultError,
)
from tests.baselines.archives import write_of_set
from tests.baselines.release.trained import SET, TASK, find_releases, short_set


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


def test_a_folder_that_cannot_be_looked_into_is_left_out(released, monkeypatch):
    find_releases(monkeypatch, released)
    (released / "odd").mkdir()
    look = filesystem.info

    def refuse(path):
        if "odd" in str(path):
            raise ResultError(f"cannot look at {path}: Permission denied.")
        return look(path)

    monkeypatch.setattr(filesystem, "info", refuse)
    with pytest.warns(UserWarning, match=r"a release is left out: .*Permission denied"):
        assert [r.name for r in places.releases()] == ["short"]
    assert places.damaged() == []


@pytest.mark.parametrize("where", [100, 0, -2000])
def test_a_damaged_unpacked_copy_is_unpacked_again(
    released, monkeypatch, tmp_path, where
):
    find_releases(monkeypatch, released)
    losses = utils.load_archive(TASK, SET)["final/test/loss"]
    [copy] = (tmp_path / "cache" / "releases").iterdir()
    content = bytearray(copy.read_bytes())
    content[where] ^= 1
    copy.write_bytes(bytes(content))
    np.testing.assert_array_equal(
        utils.load_archive(TASK, SET)["final/test/loss"], losses
    )
    copy.write_bytes(bytes(content)[:500])
    np.testing.assert_array_equal(
        utils.load_archive(TASK, SET)["final/test/loss"], losses
    )


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


@pytest.mark.parametrize("damage", [lambda c: c[:100], lambda c: c[:-1] + b"x", None])
def test_a_damaged_archive_is_built_again(tmp_path, damage):
    adam, *_ = write_own()
    folder = str(tmp_path / "r")
    build([(TASK, adam)], folder, "r")
    path = Path(folder, TASK, f"{adam.name}.npz.xz")
    content = path.read_bytes()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(content))
    seen = []
    build([(TASK, adam)], folder, "r", on_archive=lambda _, there: seen.append(there))
    build([(TASK, adam)], folder, "r", on_archive=lambda _, there: seen.append(there))
    assert seen == [False, True]
    assert path.read_bytes() == content


def test_nothing_is_trained_while_a_store_does_not_answer(tmp_path, monkeypatch):
    adam, *_ = write_own()
    folder = str(tmp_path / "r")
    build([(TASK, adam)], folder, "r")
    own_path(adam.name).unlink()

    def refuse(path, archive):
        raise ResultError(f"cannot read {path}: 503.")

    monkeypatch.setattr(
        "learned_optimization.baselines.release.build.read_checked", refuse
    )
    with pytest.raises(LoptError, match=r"cannot read .*: 503"):
        build([(TASK, adam)], folder, "r", train=lambda *_: pytest.fail("trained"))


def test_an_archive_of_a_set_that_has_changed_is_built_again(tmp_path):
    adam, *_ = write_own()
    folder = str(tmp_path / "r")
    build([(TASK, adam)], folder, "r")
    own_path(adam.name).unlink()
    changed = replace(adam, opt_names=(*adam.opt_names[:-1], "Adam_lr9"))

    def train(task, hparam_set):
        write_of_set(task, hparam_set)

    build([(TASK, changed)], folder, "r", train=train)
    [archive] = read_manifest(folder).archives
    content = Path(folder, archive.file).read_bytes()
    assert "Adam_lr9" in unpack(content, archive.file)["opt_name"]


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


THREE = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LionLR_1000_R5"]


def write_own() -> list[HParamSet]:
    """Write archives of three sets, and return the sets."""
    sets = [get_hparam_set(name) for name in THREE]
    for hparam_set in sets:
        write_of_set(TASK, hparam_set)
    return sets


def own_path(name: str) -> Path:
    return Path(utils.get_baseline_archive_path(TASK, name))


def test_what_another_process_adds_meanwhile_stays(tmp_path):
    folder = str(tmp_path / "r")
    adam, sgdm, lion = write_own()

    def meanwhile(archive, is_there):
        if archive.hparam_set == adam.name:
            build([(TASK, sgdm)], folder, "r", "the other command")

    pairs = [(TASK, adam), (TASK, lion)]
    manifest = build(pairs, folder, "r", "a command", on_archive=meanwhile)
    assert manifest == read_manifest(folder)
    assert sorted(a.hparam_set for a in manifest.archives) == sorted(THREE)
    assert manifest.command == "a command\nthe other command"
    # What another has built in the meantime is not trained again.
    own_path(sgdm.name).unlink()
    build([(TASK, sgdm)], folder, "r", train=lambda *_: pytest.fail("trained"))


def test_one_that_cannot_be_built_does_not_take_the_others_with_it(tmp_path):
    sets = write_own()
    own_path(THREE[0]).unlink()
    own_path(THREE[1]).write_bytes(b"half of one")
    problems = []

    def fail(task, hparam_set):
        raise LoptError("trials failed.")

    folder = str(tmp_path / "r")
    pairs = [(TASK, s) for s in sets]
    build(pairs, folder, "r", train=fail, on_problem=problems.append)
    assert [a.hparam_set for a in read_manifest(folder).archives] == [THREE[2]]
    failed, damaged = map(str, problems)
    assert failed == f"{THREE[0]} on {TASK}: trials failed."
    assert damaged.startswith(f"{THREE[1]} on {TASK}: cannot read ")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "SGDLR_1000_R5"}, "its configurations are not those of AdamLR"),
        ({"num_steps": 2000}, "its steps are not those of AdamLR_1000_R5"),
        ({"repetitions": 4}, "its seeds are not those of AdamLR_1000_R5: it has [0, 1"),
        ({"first_seed": 5}, "its seeds are not those of AdamLR_1000_R5: it has [5, 6"),
    ],
)
def test_an_archive_of_other_trials_than_its_set_is_refused(tmp_path, change, problem):
    adam = get_hparam_set("AdamLR_1000_R5")
    other = get_hparam_set(change.pop("name", adam.name))
    write_of_set(TASK, replace(other, **change, name=adam.name))
    with pytest.raises(LoptError) as error:
        build([(TASK, adam)], str(tmp_path / "r"), "r")
    assert problem in str(error.value)
    assert not (tmp_path / "r" / "manifest.json").exists()


def test_no_release_has_a_name_that_no_folder_can_have(tmp_path):
    with pytest.raises(LoptError, match="cannot be called 'my release': choose"):
        build([], str(tmp_path / "my release"), "my release")
    assert not (tmp_path / "my release").exists()


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
