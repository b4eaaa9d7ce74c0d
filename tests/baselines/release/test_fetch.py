"""Fetching a release: what comes, what is kept, and what is refused."""

import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.build import build
from learned_optimization.baselines.release.fetch import fetch
from learned_optimization.baselines.release.manifest import (
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.offer import look_at
from learned_optimization.baselines.release.verify import verify
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from tests.baselines.release.trained import SET, TASK, find_releases


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
    done = fetch(address, [TASK, SET])
    assert (done.num_new, done.num_kept) == (0, 1)
    # Half of one, as a full disk may have left it, is fetched again.
    path = Path(done.release.folder, TASK, f"{SET}.npz.xz")
    path.write_bytes(path.read_bytes()[:100])
    assert fetch(address).num_new == 1
    assert verify(done.release).is_good
    with pytest.raises(UnknownNameError, match="ShortSGD_30_R2"):
        fetch(address, ["ShortSGD_30_R3"])
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


def moved(release: Path, root: Path, **changes) -> str:
    """Copy a release to a folder of its name below a root, with a changed manifest."""
    folder = root / release.name
    shutil.copytree(release, folder)
    manifest = read_manifest(str(folder))
    write_manifest(str(folder), replace(manifest, **changes))
    return str(folder)


def test_releases_of_one_name_are_not_mixed(released, monkeypatch, tmp_path):
    find_releases(monkeypatch, released / "none")
    one = moved(released / "short", tmp_path / "one")
    two = moved(released / "short", tmp_path / "two", command="another")
    done = fetch(one)
    assert done.release.manifest.source == one
    with pytest.raises(LoptError, match=rf"archives of {one}, not of {two}: choose an"):
        fetch(two)
    assert read_manifest(done.release.folder).command == "a command"
    assert fetch(two, name="other").num_new == 1
    # However the address is written, it is the same.
    monkeypatch.chdir(tmp_path / "one")
    for same in (f"{one}/", f"file://{one}", "short", "./short/", "../one/short"):
        assert fetch(same).num_kept == 1
    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(LoptError, match="choose another name"):
        fetch("short")
    # Nothing is built into what was fetched.
    with pytest.raises(
        LoptError, match=f"has archives of {one}: choose another folder"
    ):
        build([], done.release.folder, "short")


def test_what_an_earlier_version_fetched_is_taken_as_it_is(
    released, monkeypatch, tmp_path
):
    find_releases(monkeypatch, released / "none")
    one = moved(released / "short", tmp_path / "one")
    folder = fetch(one).release.folder
    write_manifest(folder, replace(read_manifest(folder), source=""))
    assert fetch(one).num_kept == 1


def test_a_release_built_here_is_not_overwritten(released, monkeypatch, tmp_path):
    find_releases(monkeypatch, released / "none")
    other = released / "short"
    mine = Path(places.releases_dir()) / "mine"
    shutil.copytree(other, mine)
    manifest = read_manifest(str(mine))
    [archive] = manifest.archives
    line = replace(archive, hardware="mine")
    write_manifest(str(mine), replace(manifest, name="mine", archives=(line,)))
    with pytest.raises(
        LoptError, match=r"was built here, .*choose another name than m"
    ):
        fetch(str(other), name="mine")
    assert read_manifest(str(mine)).archives == (line,)


def test_where_nothing_can_be_had_the_rest_is_left(released, monkeypatch):
    find_releases(monkeypatch, released / "none")
    folder = released / "short"
    manifest = read_manifest(str(folder))
    [archive] = manifest.archives
    more = [replace(archive, hparam_set=name) for name in "ABCDEFGHIJKL"]
    write_manifest(str(folder), replace(manifest, archives=tuple(more)))
    asked = []

    def refuse(folder, archive, content, begin):
        asked.append(archive.hparam_set)
        raise ResultError("cannot write: No space left on device.")

    monkeypatch.setattr("learned_optimization.baselines.release.fetch.add", refuse)
    done = fetch(str(folder))
    assert asked == list("ABCDEFGHIJ")
    assert (len(done.problems), done.num_left) == (10, 2)
    # What is wrong with archives themselves does not stop the others.
    (folder / archive.file).write_bytes(b"x")
    done = fetch(str(folder))
    assert (len(done.problems), done.num_left) == (12, 0)


def test_a_damaged_manifest_is_mended_by_fetching_again(
    released, monkeypatch, tmp_path
):
    find_releases(monkeypatch, released / "none")
    one = moved(released / "short", tmp_path / "one")
    folder = fetch(one).release.folder
    Path(folder, "manifest.json").write_text("{}")
    assert fetch(one).num_new == 1
    assert verify(release := places.releases()[0]).is_good
    assert release.folder == folder


def test_what_another_process_fetches_meanwhile_stays(released, monkeypatch, tmp_path):
    find_releases(monkeypatch, released / "none")
    folder = released / "short"
    manifest = read_manifest(str(folder))
    [archive] = manifest.archives
    names = ("A", "B", "C")
    more = [replace(archive, hparam_set=name) for name in names]
    write_manifest(str(folder), replace(manifest, archives=tuple(more)))

    def meanwhile(done, is_there):
        if done.hparam_set == "A":
            fetch(str(folder), ["C"])

    fetch(str(folder), ["A", "B"], on_archive=meanwhile)
    [release] = places.releases()
    assert [a.hparam_set for a in release.manifest.archives] == list(names)


@pytest.fixture
def several(released) -> str:
    """The address of a release of a task of a suite and one that nobody knows."""
    folder = released / "short"
    manifest = read_manifest(str(folder))
    [archive] = manifest.archives
    mine = replace(archive, task="MyTask", hparam_set="MySet")
    write_manifest(str(folder), manifest.with_archive(mine))
    return str(folder)


def test_names_are_told_apart_by_what_is_offered(several):
    mine, known = ("MyTask", "MySet"), (TASK, SET)
    for names, pairs in [
        ([], {mine, known}),
        (["MyTask"], {mine}),
        (["MySet"], {mine}),
        (["MySet", "MyTask"], {mine}),
        # Of the fourteen tasks of the suite one is there.
        (["laptop"], {known}),
        (["laptop", SET], {known}),
        (["laptop", "MyTask"], {mine, known}),
    ]:
        assert set(look_at(several, names).pairs) == pairs


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["MyTsk"], "unknown task, suite or set 'MyTsk': did you mean MyTask"),
        (["laptp"], "did you mean laptop"),
        (
            ["laptop_heldout"],
            "has no task of the suite laptop_heldout: it has ImageMLP",
        ),
        (["laptop", "MySet"], "on the tasks named"),
        (
            ["laptop", "MyTask", "MySet"],
            "has nothing of MySet on laptop: leave that out",
        ),
    ],
)
def test_names_of_nothing_that_is_there_are_refused(several, names, problem):
    with pytest.raises(LoptError) as error:
        look_at(several, names)
    assert problem in str(error.value)
