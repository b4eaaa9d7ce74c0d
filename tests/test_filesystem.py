"""Files are whole or absent; folders that cannot be written are found at once."""

import errno
import os
import stat

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


REFUSED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
REFUSED_FOR_FOLDERS = REFUSED | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
FAILED = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE}


@pytest.mark.parametrize("code", sorted(REFUSED_FOR_FOLDERS | FAILED))
@pytest.mark.parametrize("at", ["file", "folder", "opening the folder"])
def test_only_a_flush_that_is_refused_is_done_without(tmp_path, monkeypatch, code, at):
    def is_folder(descriptor):
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)

    def fsync(descriptor):
        if at == ("folder" if is_folder(descriptor) else "file"):
            raise OSError(code, os.strerror(code))

    def open_(path, *args):
        if at == "opening the folder" and os.path.isdir(path):
            raise OSError(code, os.strerror(code))
        return real_open(path, *args)

    real_open = os.open
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", open_)
    path = tmp_path / "deep" / "file"
    if code in (REFUSED if at == "file" else REFUSED_FOR_FOLDERS):
        filesystem.write_whole(path, lambda file: file.write(b"abc"))
        assert path.read_bytes() == b"abc"
    else:
        with pytest.raises(ResultError):
            filesystem.write_whole(path, lambda file: file.write(b"abc"))
    assert not list(tmp_path.rglob(".*"))


def test_a_file_overwritten_in_place_is_another(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    (tmp_path / "other").write_bytes(b"two")
    before, status = filesystem.info(path), path.stat()
    # The clock of a file system moves on in steps of some milliseconds.
    while path.stat().st_ctime_ns == status.st_ctime_ns:
        path.write_bytes(b"two")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = filesystem.info(path)
    assert (after.size, after.modified) == (before.size, before.modified)
    assert path.stat().st_ino == status.st_ino
    assert after.stamp != before.stamp
    [walked] = filesystem.walk_files(tmp_path, "file")
    assert walked.stamp == after.stamp


def test_a_store_says_the_same_of_a_file_wherever_it_is_asked():
    path = "memory://lopt-fs-stamps/a"
    filesystem.write_whole(path, lambda file: file.write(b"abc"))
    [walked] = filesystem.walk_files("memory://lopt-fs-stamps", "a")
    assert walked.stamp == filesystem.info(path).stamp
    filesystem.remove_file(path)


def test_links_lead_to_something_new_or_nowhere(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root / "a", root / "b", elsewhere):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    (root / "linked").symlink_to(elsewhere)
    # In circles: to itself, to a folder above, to each other.
    (root / "self").symlink_to(root / "self")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "b").symlink_to(root / "b")
    (root / "b" / "a").symlink_to(root / "a")
    (elsewhere / "back").symlink_to(root)
    (root / "nowhere").symlink_to(tmp_path / "none")
    found = {os.path.relpath(f.path, root) for f in filesystem.walk_files(root, "")}
    assert found == {
        *("a/x", "b/x", "linked/x", "a/b/x", "b/a/x"),
        *("self", "nowhere"),
    }
    assert filesystem.list_folders(root) == ["a", "b", "linked"]
    without = {f.path for f in filesystem.walk_files(root, "x", links=False)}
    assert without == {str(root / "a" / "x"), str(root / "b" / "x")}
    for path, is_behind in {"a/x": False, "self": False, "linked/x": True}.items():
        assert filesystem.is_behind_link(str(root / path), str(root)) == is_behind
    assert filesystem.is_behind_link(str(elsewhere / "x"), str(root))
    # The root itself may be a link.
    (tmp_path / "alias").symlink_to(root)
    alias = str(tmp_path / "alias")
    assert not filesystem.is_behind_link(f"{alias}/a/x", alias)


def test_many_folders_that_link_to_each_other_are_walked(tmp_path):
    folders = [tmp_path / f"{i}" for i in range(7)]
    for folder in folders:
        folder.mkdir()
        (folder / "x").touch()
        for other in folders:
            (folder / other.name).symlink_to(other)
    found = filesystem.walk_files(tmp_path, "x")
    assert len(found) == 7 * (1 + 6 + 6 * 5 + 6 * 5 * 4)


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
@pytest.mark.parametrize("call", ["scandir", "stat", "lstat"])
def test_what_goes_while_it_is_listed_is_gone(tmp_path, monkeypatch, code, call):
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    real = getattr(os, call)

    def gone(path, *args, **kwargs):
        if str(path).startswith(str(tmp_path / "b")):
            raise OSError(code, os.strerror(code))
        return real(path, *args, **kwargs)

    if call == "lstat":
        (tmp_path / "b" / "x").unlink()
        (tmp_path / "b" / "x").symlink_to(tmp_path / "none")
    monkeypatch.setattr(os, call, gone)
    found = [f.path for f in filesystem.walk_files(tmp_path, "")]
    assert sorted(found) == [str(tmp_path / name / "x") for name in "ac"]
    assert filesystem.list_folders(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "path", ["github://a/b", "reference://a/b", "dir://a/b", "zip://a/b", "odd://a/b"]
)
def test_a_store_that_cannot_be_used_is_a_typed_error(path, tmp_path):
    for use in (
        filesystem.exists,
        filesystem.info,
        filesystem.list_files,
        filesystem.check_writable,
        lambda path: filesystem.walk_files(path, ""),
        lambda path: filesystem.write_whole(path, lambda file: None),
    ):
        with pytest.raises(ResultError, match=rf"cannot use .*{path}.*gs://.*s3://"):
            use(path)


def test_what_a_store_cannot_do_is_a_typed_error():
    # fsspec's store of what is in the URL itself, which nobody can list or write to.
    for use in (filesystem.list_files, filesystem.check_writable):
        with pytest.raises(ResultError, match="data://a/b"):
            use("data://a/b")


def test_a_url_of_a_local_file_is_its_path(tmp_path):
    url = f"file://{tmp_path}"
    path = filesystem.join(url, "deep", "x.bin")
    assert path == f"{tmp_path}/deep/x.bin"
    filesystem.write_whole(f"{url}/deep/x.bin", lambda file: file.write(b"abc"))
    assert filesystem.is_local(url)
    assert filesystem.list_files(f"{url}/deep") == [path]
    assert [f.path for f in filesystem.walk_files(url, ".bin")] == [path]
    assert not filesystem.is_behind_link(f"{url}/deep/x.bin", url)
