"""Files are whole or absent; folders that cannot be written are found at once."""

import os

import pytest

from learned_optimization import filesystem
from learned_optimization.errors import ResultError


def test_write_then_read(tmp_path):
    path = tmp_path / "deep" / "file.bin"
    filesystem.write_whole(path, lambda file: file.write(b"abc"))
    with filesystem.open_to_read(path) as file:
        assert file.read() == b"abc"
    assert filesystem.exists(path)
    assert os.listdir(path.parent) == ["file.bin"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def interrupted(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filesystem.write_whole(path, interrupted)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_an_interrupted_write_to_a_store_leaves_nothing():
    def interrupted(file):
        file.write(b"half")
        raise OSError("gone")

    with pytest.raises(ResultError, match=r"cannot write memory://.*: gone"):
        filesystem.write_whole("memory://lopt-fs/half.bin", interrupted)
    assert not filesystem.exists("memory://lopt-fs/half.bin")


def test_a_folder_appears_when_it_is_filled(tmp_path):
    path = tmp_path / "deep" / "folder"

    def fill(hidden):
        assert not path.exists()
        filesystem.write_whole(f"{hidden}/sub/file", lambda file: file.write(b"abc"))

    filesystem.write_folder(path, fill)
    assert (path / "sub" / "file").read_bytes() == b"abc"
    assert os.listdir(path.parent) == ["folder"]
    with pytest.raises(ResultError, match="something already"):
        filesystem.write_folder(path, fill)
    (tmp_path / "empty").mkdir()
    filesystem.write_folder(tmp_path / "empty", lambda hidden: None)
    assert os.listdir(tmp_path / "empty") == []


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def interrupted(hidden):
        filesystem.write_whole(f"{hidden}/file", lambda file: file.write(b"abc"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filesystem.write_folder(tmp_path / "folder", interrupted)
    assert os.listdir(tmp_path) == []
    with pytest.raises(ResultError, match="not on this machine"):
        filesystem.write_folder("memory://folder", lambda hidden: None)


def test_list_files(tmp_path):
    for name in ("b.x", "a.x", "c.y"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.x").mkdir()
    assert filesystem.list_files(tmp_path, ".x") == [
        str(tmp_path / "a.x"),
        str(tmp_path / "b.x"),
    ]
    assert filesystem.list_files(tmp_path / "none") == []


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    filesystem.write_whole("~/x/file", lambda file: file.write(b"1"))
    assert (tmp_path / "x" / "file").exists()
    assert filesystem.join("~/x", "y", "z") == f"{tmp_path}/x/y/z"


def test_memory_urls():
    path = "memory://lopt-fs/a/b.bin"
    filesystem.write_whole(path, lambda file: file.write(b"abc"))
    assert filesystem.list_files("memory://lopt-fs/a", ".bin") == [path]
    filesystem.remove_file(path)
    filesystem.remove_file(path)
    assert not filesystem.exists(path)


def test_check_writable(tmp_path):
    filesystem.check_writable(tmp_path / "new" / "deep")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match=r"cannot write below .*file/sub"):
        filesystem.check_writable(tmp_path / "file" / "sub")
