"""Archives that are added to one folder at once: none is lost."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from learned_optimization.baselines.release.adding import add
from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    read_manifest,
)
from learned_optimization.errors import LoptError, MissingFileError
from tests.baselines.release.test_manifest import ARCHIVE


def archive_of(task: str) -> tuple[ReleasedArchive, bytes]:
    content = task.encode()
    digest = hashlib.sha256(content).hexdigest()
    file = f"{task}/S_1_R2.npz.xz"
    return replace(ARCHIVE, task=task, file=file, sha256=digest), content


def test_several_at_once_lose_nothing(tmp_path):
    folder = tmp_path / "r"

    def begin() -> Manifest:
        try:
            manifest = read_manifest(str(folder))
        except MissingFileError:
            manifest = Manifest("r")
        # Long enough for the others to do the same.
        time.sleep(0.01)
        return manifest

    tasks = [f"T{i}" for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(add, str(folder), *archive_of(t), begin) for t in tasks
        ]:
            done.result()
    assert {a.task for a in read_manifest(str(folder)).archives} == set(tasks)
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == {"manifest.json", "S_1_R2.npz.xz"}


def test_what_is_refused_leaves_everything_as_it_was(tmp_path):
    def begin() -> Manifest:
        raise LoptError("another release is there.")

    with pytest.raises(LoptError, match="another release"):
        add(str(tmp_path), *archive_of("T"), begin)
    assert not list(tmp_path.iterdir())


def test_a_store_is_added_to_without_a_lock():
    archive, content = archive_of("T")
    add("memory://r", archive, content, lambda: Manifest("r"))
    assert read_manifest("memory://r").archives == (archive,)
