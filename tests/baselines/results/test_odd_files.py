"""Odd things with names of results: each is one bad file, and the good ones count.

To open a pipe waits for ever, so each test has a thread of its own, and a time.
"""

import io
import os
import pickle
import socket
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import archiving, selecting
from learned_optimization.baselines.results.archives import list_hparam_sets_for_task
from learned_optimization.baselines.results.files import load_baseline_results_from_dir
from learned_optimization.baselines.results.format import (
    SCHEMA_VERSION,
    read_result,
)
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.status import status
from learned_optimization.baselines.sweeps.sweep import missing_trials, set_trials
from learned_optimization.errors import FileContentError, ResultError
from learned_optimization.npz import write_npz
from tests.baselines.files import TASK, result, write_set
from tests.cli.running import lopt_here

SECONDS = 100


def in_time(function: Callable[[], Any]) -> Any:
    """Return what a function does, or fail when it takes too long."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), f"it still waits after {SECONDS} s"
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, trap: str):
        self.trap = trap

    def __reduce__(self):
        return os.mkdir, (self.trap,)


def bytes_of(**changes: Any) -> bytes:
    path = "sound.tmp"
    write_npz(path, {**result("SGD_lr0.01", 0), **changes})
    return Path(path).read_bytes()


def numpy_bytes(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zip_bytes(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def npy(descr: str, shape: tuple[int, ...], content: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    return head + content


XS = ("eval/xs.npy", npy("'<i8'", (1,), bytes(8)))
MAX = np.uint64(2**64 - 1)


def bomb() -> bytes:
    """A file of nine kilobytes whose status is a text of eight megabytes."""
    status = ("status.npy", npy("'<U2000000'", (), bytes(8_000_000)))
    return zip_bytes(XS, status, method=zipfile.ZIP_DEFLATED)


CONTENTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"#!/bin/sh\necho hello\n",
    "zeros": lambda: bytes(100_000),
    "half": lambda: bytes_of()[:1000],
    "one-byte-less": lambda: bytes_of()[:-1],
    "pickle": lambda: pickle.dumps(Malicious("trap")),
    "pickle-inside": lambda: zip_bytes(
        XS, ("seed.npy", pickle.dumps(Malicious("trap")))
    ),
    "objects": lambda: numpy_bytes(
        **{"eval/xs": np.arange(3), "seed": np.array([Malicious("trap")], dtype=object)}
    ),
    "other-keys": lambda: numpy_bytes(x=np.zeros(3)),
    "newer": lambda: bytes_of(schema_version=np.int64(SCHEMA_VERSION + 1)),
    "newest": lambda: bytes_of(schema_version=MAX),
    "schema-nan": lambda: bytes_of(schema_version=np.float64(np.nan)),
    "schema-negative": lambda: bytes_of(schema_version=np.int64(-3)),
    "schema-text": lambda: bytes_of(schema_version="2"),
    "seed-max": lambda: bytes_of(seed=MAX),
    "seed-negative": lambda: bytes_of(seed=np.int64(-1)),
    "seed-float": lambda: bytes_of(seed=np.float64(0.5)),
    "seed-list": lambda: bytes_of(seed=np.arange(3)),
    "seed-text": lambda: bytes_of(seed="0"),
    "diverged-max": lambda: bytes_of(diverged_from=MAX),
    "diverged-list": lambda: bytes_of(diverged_from=np.arange(2)),
    "status-unknown": lambda: bytes_of(status="fine"),
    "half-of-a-character": lambda: bytes_of(opt_config="SGD\ud800"),
    "text-bomb": bomb,
    "huge-shape": lambda: zip_bytes(XS, ("seed.npy", npy("'<i8'", (10**15,)))),
    "huge-empty-shape": lambda: zip_bytes(
        XS, ("seed.npy", npy("'<i8'", (0, 10**15, 10**15)))
    ),
    "code": lambda: zip_bytes(XS, ("seed.npy", npy("__import__('os').abort()", ()))),
    "many-members": lambda: zip_bytes(*((f"{i}.npy", b"") for i in range(10_001))),
    "twice": lambda: bytes_of() + bytes_of()[-2000:],
}


def unnamed(folder: bytes) -> None:
    for name in (
        b"\xff\xfe",
        b"line\nend",
        b"\x1b[31mred",
        b"\xe2\x80\xae",
        b"x" * 240,
    ):
        Path(os.fsdecode(folder + b"/" + name + b".curves")).write_bytes(b"")


def socket_at(path: Path) -> None:
    # Longer paths have no sockets.
    before = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


def huge_and_sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def folder_with_a_result(path: Path) -> None:
    path.mkdir()
    (path / "inside.curves").write_bytes(bytes_of())


THINGS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": socket_at,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "circle": lambda path: path.symlink_to(path.name),
    "nowhere": lambda path: path.symlink_to("nothing"),
    "to-a-pipe": lambda path: path.symlink_to("pipe.curves"),
    "sparse": huge_and_sparse,
    "folder": folder_with_a_result,
}


def make_odd_files(folder: Path) -> set[str]:
    """Put every kind of odd file into a folder; return their paths."""
    before = set(folder.iterdir())
    for name, make in CONTENTS.items():
        (folder / f"{name}.curves").write_bytes(make())
    for name, put in THINGS.items():
        put(folder / f"{name}.curves")
    unnamed(os.fsencode(folder))
    return {str(path) for path in set(folder.iterdir()) - before}


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_set: Any) -> set[str]:
    """Paths of odd files among the good ones of a whole set."""
    monkeypatch.chdir(tmp_path)
    good = write_set(small_set)
    made = make_odd_files(Path(good[0]).parent)
    assert len(made) >= 40
    return made


def test_each_is_one_bad_file_and_others_count(odd: set[str], small_set: Any) -> None:
    entries = in_time(lambda: trial_entries(utils.get_root_baseline_dir()))
    bad = {entry.path: entry.problem for entry in entries if entry.status == "bad"}
    assert bad.keys() == odd
    assert all(bad.values())
    assert len(entries) == len(odd) + 9
    # From the index they are the same.
    again = in_time(lambda: trial_entries(utils.get_root_baseline_dir()))
    assert again == entries

    for check in (False, True):
        [row] = in_time(lambda c=check: status([TASK], [small_set], check=c))
        assert (row.counts["done"], row.bad) == (9, len(odd))
        assert {path for path, _ in row.bad_files} == odd
    missing, unreadable = in_time(lambda: missing_trials(set_trials(TASK, small_set)))
    assert missing == []
    assert set(unreadable) == odd
    assert in_time(lambda: archiving.archive(TASK, small_set))
    bad_ones = in_time(lambda: selecting.files_of(TASK, [], ["bad"]))
    # rm deletes files; a folder is for a person to look at.
    assert {f.path for f in bad_ones} == {p for p in odd if not Path(p).is_dir()}
    for arguments in (["status", "-v"], ["status", "--json"], ["status", "--check"]):
        done = in_time(lambda a=arguments: lopt_here(*a))
        assert done.returncode == 0
    assert not Path("trap").exists()


def test_each_named_alone_is_a_typed_error(odd: set[str]) -> None:
    for path in sorted(odd):
        with pytest.raises(FileContentError) as error:
            in_time(lambda p=path: read_result(p))
        assert error.value.path == path
        assert error.value.problem
    folder = os.path.dirname(min(odd))
    with pytest.raises(ResultError) as error:
        in_time(lambda: load_baseline_results_from_dir(folder))
    # Listing one folder, those in it are not looked at.
    assert f"{len(odd) - 1} of {len(odd) + 2} result files" in str(error.value)
    with pytest.raises(ResultError):
        in_time(lambda: load_baseline_results_from_dir(folder, clear_bad_files=True))
    assert not Path("trap").exists()


def test_an_odd_archive_does_not_hide_the_others(odd: set[str], small_set: Any) -> None:
    path = Path(archiving.archive(TASK, small_set))
    made = make_odd_files(path.parent)
    for name in made:
        os.rename(name, name.removesuffix(".curves") + ".npz")
    assert small_set.name in in_time(lambda: list_hparam_sets_for_task(TASK))
    [row] = in_time(lambda: status([TASK], [small_set]))
    assert row.archive == "yes"
    done = in_time(lambda: lopt_here("plot", TASK, small_set.name))
    assert done.returncode == 0, done.stderr
    assert not Path("trap").exists()


def test_damaged_ones_go_to_quarantine_and_the_others_stay(
    odd: set[str], small_set: Any
) -> None:
    folder = Path(min(odd)).parent
    (folder / f"{'y' * 248}.curves").write_bytes(b"")
    done = in_time(
        lambda: archiving.maybe_get_hparam_set(
            TASK, small_set.name, small_set, clear_bad_files=True
        )
    )
    assert done["train/loss"].shape == (3, 3, 21)
    entries = in_time(lambda: trial_entries(str(folder)))
    left = {Path(e.path).stem: e.problem for e in entries if e.status == "bad"}
    no_files = THINGS.keys() - {"sparse"}
    assert left.keys() == {*no_files, "newer", "newest"}
    quarantined = {path.name for path in (folder / ".quarantine").iterdir()}
    assert len(quarantined) == 2 * (len(odd) + 1 - len(left))
    assert not Path("trap").exists()
