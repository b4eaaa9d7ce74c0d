"""Manifests: written and read alike, and refused where they say what cannot be."""

import json
from dataclasses import fields, replace

import pytest

from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    read_manifest,
    write_manifest,
)
from learned_optimization.baselines.release.manifest_fields import (
    OF_ARCHIVES,
    OF_RELEASES,
)
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    MissingFileError,
    NewerSchemaError,
)

ARCHIVE = ReleasedArchive(
    task="T",
    hparam_set="S_1_R2",
    file="T/S_1_R2.npz.xz",
    sha256="0" * 64,
    num_bytes=10,
    num_configs=3,
    num_seeds=2,
    num_steps=1000,
    evaluations=25,
    of_evaluations=101,
    seeds=(0, 1),
    versions=("jax==1.0",),
    hardware="2 x cpu",
    date="2026-01-02",
    command="lopt sweep T S_1_R2",
    whole_sha256="1" * 64,
)
OTHER = replace(ARCHIVE, task="A")


def test_it_is_read_as_it_was_written(tmp_path):
    manifest = Manifest("r", command="lopt release build").with_archive(ARCHIVE)
    manifest = manifest.with_archive(OTHER)
    write_manifest(str(tmp_path), manifest)
    got = read_manifest(str(tmp_path))
    assert got == manifest
    assert got.archives == (OTHER, ARCHIVE)
    assert got.num_trials == 12
    assert got.num_bytes == 20
    assert got.of("T", "S_1_R2") == ARCHIVE
    assert got.of("T", "other") is None
    assert ARCHIVE.is_thin
    # A line of its own for each archive, so that a change is seen in review.
    lines = (tmp_path / "manifest.json").read_text().splitlines()
    assert sum('"task"' in line for line in lines) == 2


def test_an_archive_takes_the_place_of_one_of_its_task_and_set():
    manifest = Manifest("r", (ARCHIVE, OTHER))
    newer = replace(ARCHIVE, sha256="2" * 64)
    assert manifest.with_archive(newer).archives == (OTHER, newer)
    with pytest.raises(LoptError, match="S_1_R2 on T is there twice"):
        Manifest("r", (ARCHIVE, ARCHIVE))


def test_none_is_missing(tmp_path):
    with pytest.raises(MissingFileError):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": 0}, "its format is 0"),
        ({"name": ""}, "the name of the release is '', and should be text"),
        ({"name": None}, "the name of the release is None"),
        ({"command": 3}, "the command of the release is 3, and should be text"),
        ({"source": []}, "the source of the release is []"),
        ({"archives": 3}, "its archives are 3, and should be a list"),
        ({"archives": {"T": 1}}, "its archives are {'T': 1}, and should be a list"),
        ({"archives": ["T"]}, "an archive is 'T'"),
        ({"archives": [{"file": "../T/S.npz"}]}, "should be a path within the release"),
        ({"archives": [{"file": "/etc/x.npz"}]}, "should be a path within"),
        ({"archives": [{"file": "gs://b/x.npz"}]}, "should be a path within"),
        ({"archives": [{"file": "manifest.json"}]}, "ends in .npz or .npz.xz"),
        ({"archives": [{"file": "manifest.json/x.npz"}]}, "should be a path within"),
        ({"archives": [{"file": 3}]}, "the file of 3 is 3"),
        ({"archives": [{"task": "../T"}]}, "is '../T', and should be a name"),
        ({"archives": [{"task": ""}]}, "the task of T/S_1_R2.npz.xz is ''"),
        ({"archives": [{"hparam_set": ".hid"}]}, "does not begin with a dot"),
        ({"archives": [{"sha256": "abc"}]}, "sha256 of T/S_1_R2.npz.xz is 'abc'"),
        ({"archives": [{"num_bytes": -1}]}, "num_bytes of T/S_1_R2.npz.xz is -1"),
        ({"archives": [{"num_bytes": 10**30}]}, "and at most 4,294,967,296"),
        ({"archives": [{"num_seeds": "5"}]}, "num_seeds of T/S_1_R2.npz.xz is '5'"),
        ({"archives": [{"num_configs": True}]}, "num_configs of T/S_1_R2.npz.xz is T"),
        ({"archives": [{"num_steps": "many"}]}, "num_steps of T/S_1_R2.npz.xz is 'ma"),
        ({"archives": [{"of_evaluations": 0}]}, "a whole number of at least 1"),
        ({"archives": [{"seeds": 3}]}, "should be a list of whole numbers"),
        ({"archives": [{"seeds": ["a"]}]}, "should be a list of whole numbers"),
        ({"archives": [{"versions": "jax"}]}, "should be a list of texts"),
        ({"archives": [{"hardware": None}]}, "the hardware of T/S_1_R2.npz.xz is None"),
        ({"archives": [{"date": 20260102}]}, "should be a day as YYYY-MM-DD, or empty"),
        ({"archives": [{"command": 1}]}, "the command of T/S_1_R2.npz.xz is 1"),
        ({"archives": [{"whole_sha256": "x"}]}, "64 hexadecimal digits, or empty"),
        ({"archives": [{}, {}]}, "is there twice"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, changes, problem):
    write_manifest(str(tmp_path), Manifest("r", (ARCHIVE,)))
    path = tmp_path / "manifest.json"
    said = json.loads(path.read_text())
    if isinstance(changes.get("archives"), list):
        one = said["archives"][0]
        changed = [one | c if isinstance(c, dict) else c for c in changes["archives"]]
        changes = {"archives": changed}
    path.write_text(json.dumps(said | changes))
    with pytest.raises(DamagedFileError, match=r"manifest\.json") as error:
        read_manifest(str(tmp_path))
    assert problem in str(error.value)


def test_what_is_missing_is_named(tmp_path):
    write_manifest(str(tmp_path), Manifest("r", (ARCHIVE,)))
    path = tmp_path / "manifest.json"
    said = json.loads(path.read_text())
    for name in ("name", "archives"):
        path.write_text(json.dumps({k: v for k, v in said.items() if k != name}))
        with pytest.raises(DamagedFileError, match=f"its {name}"):
            read_manifest(str(tmp_path))
    [archive] = said["archives"]
    del archive["sha256"], archive["num_steps"]
    path.write_text(json.dumps(said))
    with pytest.raises(DamagedFileError, match=r"'T/S_1_R2.npz.xz' lacks sha256, num_"):
        read_manifest(str(tmp_path))
    del archive["file"]
    path.write_text(json.dumps(said))
    with pytest.raises(DamagedFileError, match="an archive lacks file, sha256"):
        read_manifest(str(tmp_path))


def test_every_field_has_a_form():
    assert set(OF_ARCHIVES) == {f.name for f in fields(ReleasedArchive)}
    assert {*OF_RELEASES, "archives"} == {f.name for f in fields(Manifest)}


def test_what_could_not_be_read_again_is_not_made():
    with pytest.raises(
        LoptError, match=r"the hparam_set of T/S_1_R2.npz.xz is '\.hid'"
    ):
        replace(ARCHIVE, hparam_set=".hid")


def test_what_later_versions_add(tmp_path):
    write_manifest(str(tmp_path), Manifest("r", (ARCHIVE,)))
    path = tmp_path / "manifest.json"
    said = json.loads(path.read_text())
    said["archives"][0]["note"] = "new"
    path.write_text(json.dumps(said | {"more": 1}))
    assert read_manifest(str(tmp_path)).archives == (ARCHIVE,)
    path.write_text(json.dumps(said | {"format": 2}))
    with pytest.raises(NewerSchemaError, match="format 2"):
        read_manifest(str(tmp_path))
    for text in ("[]", "{", '{"format": 1, "format": 1}'):
        path.write_text(text)
        with pytest.raises(DamagedFileError):
            read_manifest(str(tmp_path))
