"""Variables that cannot be used: what is disposable is done without, the rest is said.

No value of any `LOPT_*` variable leads to anything but an answer, one warning for each
kind of thing kept, or one error that names the variable, the value and what is allowed.
"""

import errno
import os
import re
import shutil
import sqlite3
import warnings
from collections import Counter
from pathlib import Path

import jax
import pytest

import learned_optimization
from learned_optimization import cache, filesystem
from learned_optimization.baselines import layout
from learned_optimization.baselines.release.places import releases, releases_dir
from learned_optimization.baselines.results import index, remembered
from learned_optimization.baselines.speedups.specs import own_folder
from learned_optimization.baselines.sweeps.checkpoints import _seconds
from learned_optimization.cache import CacheWarning, cache_dir, local_copy
from learned_optimization.errors import LoptError
from learned_optimization.npz.limits import max_read_bytes
from learned_optimization.optimizers.opt_list import load_opt_list
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.locations import data_dir
from learned_optimization.tasks.datasets.tokenizers import get_sentencepiece
from learned_optimization.training.backend import keep_compiled
from learned_optimization.training.strategy import Strategy
from learned_optimization.training.strategy_choice import Remembered
from tests.baselines.files import write
from tests.cli.running import lopt_here

VALUES = {
    "blank": "  ",
    "text": "lots",
    "negative": "-1",
    "not a number": "nan",
    "infinite": "1e999",
    "many digits": "9" * 5_000,
    "very long": "x" * 100_000,
    "a file": "FILE",
    "below a file": "FILE/folder",
    "a pipe": "PIPE",
    "a link to itself": "LOOP",
    "a link to nowhere": "NOWHERE",
    "not UTF-8": os.fsdecode(b"/tmp/\xff\xfe"),
    "nobody's home": "~no-such-user/x",
    "an unknown store": "odd://bucket/x",
    "half a URL": "://",
    "control characters": "\x1b[31m\n/x",
}


def read_checkpoint_seconds():
    return _seconds(os.environ["LOPT_CHECKPOINT_SECONDS"])


def checked(get):
    layout.check_roots()
    return get()


READ = {
    "LOPT_BASELINE_DIR": lambda: checked(layout.get_root_baseline_dir),
    "LOPT_BASELINE_ARCHIVES_DIR": lambda: checked(layout.get_baseline_archive_rootdir),
    "LOPT_DATA_DIR": data_dir,
    "LOPT_NORMALIZERS_DIR": own_folder,
    "LOPT_RELEASES_DIR": releases_dir,
    "LOPT_NO_RELEASES": releases,
    "LOPT_OPT_LIST": load_opt_list,
    "LOPT_OPT_LIST_URL": load_opt_list,
    "LOPT_SENTENCEPIECE_MODEL": lambda: get_sentencepiece("x", [], "", Path("/x")),
    "LOPT_SYNTHETIC_DATA": lambda: fashion_mnist(2, 8).is_synthetic,
    "LOPT_CHECKPOINT_SECONDS": read_checkpoint_seconds,
    "LOPT_MAX_READ_BYTES": max_read_bytes,
    "LOPT_CACHE_DIR": cache_dir,
}
ROOTS = ("LOPT_BASELINE_DIR", "LOPT_BASELINE_ARCHIVES_DIR")
FOLDERS = [name for name in READ if name.endswith("_DIR") and "CACHE" not in name]


@pytest.fixture
def set_to(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOPT_OPT_LIST_URL", f"file://{tmp_path}/none")

    def set_to(variable, value):
        for word in ("FILE", "PIPE", "LOOP", "NOWHERE"):
            value = value.replace(word, str(tmp_path / word.lower()))
        monkeypatch.setenv(variable, value)
        return value

    return set_to


def test_these_are_all_variables():
    text = "".join(
        path.read_text()
        for path in Path(learned_optimization.__path__[0]).rglob("*.py")
    )
    assert set(re.findall(r"LOPT_[A-Z_]*[A-Z]", text)) == READ.keys()


def message_of(read) -> str:
    """Return the message of the error that reading a variable raises, if any."""
    try:
        read()
    except LoptError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("variable", READ)
def test_unusable_values_are_said(variable, set_to):
    outcomes = Counter()
    for value in VALUES.values():
        set_to(variable, value)
        cache._said.clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            message = message_of(READ[variable])
        if message:
            outcomes["error"] += 1
            assert variable in message
            assert message.replace("\n", "").isprintable()
            assert not said
        else:
            outcomes["warning" if said else "used"] += 1
            assert len(said) <= 1
    print(variable, dict(outcomes))
    assert outcomes["error" if variable != "LOPT_CACHE_DIR" else "warning"] > 3


@pytest.mark.parametrize("variable", FOLDERS)
def test_what_names_no_folder_is_an_error(variable, set_to):
    on_disk = ("a file", "below a file", "a pipe", "a link to itself")
    for kind in ("not UTF-8", "blank", *(on_disk if variable in ROOTS else ())):
        set_to(variable, VALUES[kind])
        with pytest.raises(LoptError, match=f"{variable} must be a folder.* got "):
            READ[variable]()


@pytest.mark.parametrize("variable", ROOTS)
def test_a_folder_that_must_not_be_read_is_an_error(variable, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(LoptError, match=f"{variable} must be .*Permission denied"):
        READ[variable]()

    stat = os.stat

    def denied(path, *args, **kwargs):
        if str(path) == str(tmp_path):
            raise PermissionError(13, "Permission denied")
        return stat(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", denied)
        message = message_of(READ[variable])
    assert re.match(f"{variable} must be .*Permission denied", message)


@pytest.mark.parametrize("variable", FOLDERS)
def test_usable_folders_are_used(variable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (str(tmp_path), str(tmp_path / "new" / "deep"), "relative"):
        monkeypatch.setenv(variable, value)
        assert os.path.abspath(READ[variable]()) == os.path.abspath(value)
    monkeypatch.setenv(variable, "")
    assert not str(READ[variable]()).startswith(str(tmp_path / "relative"))
    monkeypatch.setenv(variable, "memory://bucket/x")
    if variable == "LOPT_DATA_DIR":
        with pytest.raises(
            LoptError, match=r"LOPT_DATA_DIR .* no folder of this machine"
        ):
            data_dir()
    else:
        assert READ[variable]() == "memory://bucket/x"


def use_everything(remote: str) -> list[str]:
    """Use all that is kept to save time; returns what was said."""
    cache._said.clear()
    remembered._said.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kept = Remembered(str(cache_dir() / "strategies" / "x.json"), {"task": "x"})
        for _ in range(2):
            assert len(index.trial_entries(layout.get_root_baseline_dir())) == 1
            kept.save(Strategy(4), {Strategy(4): 1.0})
            assert kept.load() in (None, Strategy(4))
            with filesystem.open_to_read(local_copy(remote)) as file:
                assert file.read() == b"far away"
            keep_compiled()
    return [str(warning.message) for warning in said]


@pytest.fixture
def remote(monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    monkeypatch.setattr(
        "learned_optimization.training.backend._is_set", lambda: False, raising=True
    )
    path = "memory://lopt-environment/file"
    filesystem.write_whole(path, lambda file: file.write(b"far away"))
    write("SGD_lr0.1", 0)
    yield path
    filesystem.remove_file(path)


@pytest.mark.parametrize("kind", VALUES)
def test_no_cache_stops_anything(kind, set_to, remote, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    set_to("LOPT_CACHE_DIR", VALUES[kind])
    said = use_everything(remote)
    # One for the value itself, or one for each kind of thing.
    assert len(said) in (0, 1, 4)
    assert all("LOPT_CACHE_DIR" in message for message in said)
    if kind in ("a file", "below a file", "a pipe", "a link to itself"):
        assert len(said) == 4
    for word in ("many digits", "very long"):
        shutil.rmtree(tmp_path / VALUES[word], ignore_errors=True)


@pytest.mark.parametrize("code", ["EACCES", "EROFS", "ENOSPC"])
def test_a_cache_that_takes_nothing_is_said_once_a_kind(code, remote, monkeypatch):
    number = getattr(errno, code)

    def fail(path, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("learned_optimization.durable.write", fail)
    connect = sqlite3.connect

    def read_only(path, **kwargs):
        db = connect(":memory:", **kwargs)
        db.execute("pragma query_only = on")
        return db

    monkeypatch.setattr(sqlite3, "connect", read_only)
    said = use_everything(remote)
    assert len(said) == 4
    assert sum(os.strerror(number) in message for message in said) == 3


def test_a_damaged_strategy_is_none(tmp_path):
    kept = Remembered(str(tmp_path / "x.json"), {"task": "x"})
    kept.save(Strategy(8), {Strategy(8): 123.0})
    assert kept.load() == Strategy(8)
    path = Path(kept.path)
    content = path.read_bytes()
    for at in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            assert kept.load() in (None, Strategy(8))
    odd = [b"", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff", content[:-9]]
    for text in odd:
        path.write_bytes(text)
        assert kept.load() is None
    path.write_bytes(content)
    assert Remembered(kept.path, {"task": "y"}).load() is None
    path.unlink()
    os.mkfifo(path)
    assert kept.load() is None


def test_a_copy_that_another_process_deletes_is_gone(remote, monkeypatch):
    first = local_copy(remote)
    real = cache._size_and_time

    def gone(path):
        if path != Path(first):
            path.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(cache, "_size_and_time", gone)
    (Path(first).parent / "older").write_bytes(b"x")
    assert Path(local_copy(remote, again=True)).read_bytes() == b"far away"


def test_warnings_are_of_a_class_that_can_be_silenced(set_to):
    cache._said.clear()
    set_to("LOPT_CACHE_DIR", "gs://bucket/x")
    with pytest.warns(CacheWarning, match=r"'gs://bucket/x' is no LOPT_CACHE_DIR"):
        assert cache_dir() == cache_dir() == Path("~/.cache/lopt").expanduser()


@pytest.mark.parametrize("variable", ROOTS)
def test_commands_say_which_variable_is_a_file(variable, set_to):
    set_to(variable, "FILE")
    task = "ImageMLP_FashionMnist8_Relu32"
    for command in (["status"], ["rm", task], ["rm", task, "--only", "leftovers"]):
        said = lopt_here(*command)
        assert said.returncode == 2, command
        assert f"error: {variable} must be a folder" in said.stderr
