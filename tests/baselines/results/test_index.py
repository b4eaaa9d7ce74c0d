"""The index never changes what is seen, only how often files are opened."""

import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import format, index
from learned_optimization.baselines.results.index import (
    TrialEntry,
    summary_of,
    trial_entries,
)
from learned_optimization.cache import cache_dir
from learned_optimization.errors import ResultError
from tests.baselines.files import write


@pytest.fixture
def opened(monkeypatch):
    """Paths of the files that were opened."""
    paths = []
    real = index.open_entry

    def open_entry(info, whole=False):
        paths.append(info.path)
        return real(info, whole)

    monkeypatch.setattr(index, "open_entry", open_entry)
    return paths


def entries() -> list[TrialEntry]:
    return trial_entries(utils.get_root_baseline_dir())


def test_entries_say_what_files_say():
    done = write("SGD_lr0.1", 3)
    diverged = write("SGD_lr1", 0, diverges_at=7)
    bad = write("SGD_lr2", 0)
    Path(bad).write_bytes(b"no zip")
    found = {entry.path: entry for entry in entries()}
    assert found.keys() == {done, diverged, bad}
    assert (found[done].seed, found[done].status) == (3, "done")
    assert found[done].opt_config == "SGD_lr0.1"
    assert (found[diverged].status, found[diverged].diverged_from) == ("diverged", 7)
    assert found[bad].status == "bad"
    assert bad in found[bad].problem
    for path, entry in found.items():
        assert entry.size == os.path.getsize(path)
        assert entry.modified == os.path.getmtime(path)


def test_files_of_others_are_judged_by_their_losses():
    losses = np.array([1.0, np.nan, np.nan], np.float32)
    arrays = {"train/loss": losses, "train/xs": np.arange(3), "eval/xs": np.arange(1)}
    folder = utils.get_save_dir("T", "Theirs", 2, 10, 5, 10)
    utils.write_npz(f"{folder}/a.curves", arrays)
    utils.write_npz(f"{folder}/b.curves", {**arrays, "train/loss": np.ones(3)})
    a, b = entries()
    assert (a.seed, a.status, a.diverged_from) == (None, "diverged", 1)
    assert (b.seed, b.status, b.opt_config) == (None, "done", "")


def test_only_what_changed_is_opened_again(opened):
    paths = sorted(write(f"SGD_lr{i}", 0) for i in range(5))
    first = entries()
    assert sorted(opened) == paths
    opened.clear()
    assert entries() == first
    assert opened == []
    # Written again, damaged in place with size and time kept apart from the clock,
    # deleted, and new.
    utils.write_npz(paths[0], {**utils.read_npz(paths[0]), "seed": np.int64(9)})
    Path(paths[1]).write_bytes(b"x" * os.path.getsize(paths[1]))
    os.remove(paths[2])
    new = write("SGD_lr9", 0)
    found = {entry.path: entry for entry in entries()}
    assert sorted(opened) == sorted([paths[0], paths[1], new])
    assert found[paths[0]].seed == 9
    assert found[paths[1]].status == "bad"
    assert found.keys() == {paths[0], paths[1], paths[3], paths[4], new}


def test_a_folder_below_is_a_part_of_the_whole(opened):
    write("SGD_lr0.1", 0)
    write("SGD_lr0.10", 0)
    [one, other] = entries()
    opened.clear()
    assert trial_entries(os.path.dirname(one.path)) == [one]
    assert trial_entries(os.path.dirname(other.path)) == [other]
    assert trial_entries("/nowhere/at/all") == []
    assert opened == []
    # Looking at a part forgets nothing of the rest.
    assert entries() == [one, other]
    assert opened == []


def test_the_index_may_be_deleted_or_damaged(opened):
    write("SGD_lr0.1", 0)
    first = entries()
    [file] = (cache_dir() / "index").glob("*.sqlite")
    file.unlink()
    assert entries() == first
    file.write_bytes(b"this is no database" * 100)
    with pytest.warns(UserWarning, match="all files are opened"):
        assert entries() == first
    assert entries() == first
    assert len(opened) == 4
    opened.clear()
    assert entries() == first
    assert opened == []


def test_a_cache_that_cannot_be_written_is_said(monkeypatch, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    monkeypatch.setenv("LOPT_CACHE_DIR", str(blocked))
    write("SGD_lr0.1", 0)
    with pytest.warns(UserWarning, match="the index in LOPT_CACHE_DIR cannot be used"):
        assert len(entries()) == 1


def test_a_newer_file_is_a_bad_one_until_a_newer_version_reads_it(monkeypatch):
    path = write("SGD_lr0.1", 0, schema_version=np.int64(99))
    write("SGD_lr0.1", 1)
    [newer] = [e for e in entries() if e.status == "bad"]
    assert newer.path == path
    assert "it has schema version 99" in newer.problem
    assert "Install a newer version" in newer.problem
    assert [e.seed for e in entries() if e.status != "bad"] == [1]
    # An index of another schema is made again.
    monkeypatch.setattr(index, "_VERSION", index._VERSION + 1_000)
    monkeypatch.setattr(format, "SCHEMA_VERSION", 99)
    assert [e.status for e in entries()] == ["done", "done"]


def test_what_was_too_large_is_read_once_it_may_be(monkeypatch):
    write("SGD_lr0.1", 0)
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", "20")
    [entry] = entries()
    assert entry.status == "bad"
    assert "20 may be read" in entry.problem
    monkeypatch.delenv("LOPT_MAX_READ_BYTES")
    assert [e.status for e in entries()] == ["done"]


def test_threads_share_the_index():
    for i in range(20):
        write(f"SGD_lr{i}", 0)
    found, errors = [], []

    def look():
        try:
            found.append(entries())
        except sqlite3.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(f == found[0] for f in found)
    assert len(found[0]) == 20


def test_summaries_follow_their_files(tmp_path):
    path = str(tmp_path / "archive.npz")
    made = []

    def make():
        made.append(Path(path).read_text())
        return made[-1]

    Path(path).write_text("one")
    assert summary_of(path, make) == summary_of(path, make) == "one"
    Path(path).write_text("two")
    assert summary_of(path, make) == "two"
    assert made == ["one", "two"]
    os.remove(path)
    with pytest.raises(ResultError, match="no such file"):
        summary_of(path, make)
