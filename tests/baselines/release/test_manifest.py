"""Manifests: written and read alike, and refused where they say what cannot be."""

import json
from dataclasses import replace

import pytest

from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    read_manifest,
    write_manifest,
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
    assert got.without([OTHER.pair]).archives == (ARCHIVE,)
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
        ({"name": ""}, "'name' is ''"),
        ({"archives": 3}, "not iterable"),
        ({"archives": ["T"]}, "an archive is 'T'"),
        ({"archives": [{"file": "../T/S.npz"}]}, "'../T/S.npz' is no path within"),
        ({"archives": [{"file": "/etc/passwd"}]}, "no path within"),
        ({"archives": [{"file": "gs://b/x.npz"}]}, "no path within"),
        ({"archives": [{"task": "../T"}]}, "'../T' is no name"),
        ({"archives": [{"sha256": "abc"}]}, "sha256 of T/S_1_R2.npz.xz is 'abc'"),
        ({"archives": [{"num_bytes": -1}]}, "num_bytes of T/S_1_R2.npz.xz is -1"),
        ({"archives": [{"num_seeds": "5"}]}, "num_seeds of T/S_1_R2.npz.xz is '5'"),
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
