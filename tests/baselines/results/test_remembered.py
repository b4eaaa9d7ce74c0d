"""Whatever happens to the index, what is seen is what the files say."""

import errno
import os
import sqlite3
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import index, remembered
from learned_optimization.baselines.results.index import summary_of, trial_entries
from learned_optimization.baselines.results.remembered import Remembered
from learned_optimization.cache import cache_dir
from tests.baselines.files import write

NUM_FILES, NUM_OTHERS = 4, 400
PAGE = 4096


class Index:
    """A few result files and an archive, and the index that knows them."""

    def __init__(self, tmp_path, monkeypatch):
        self.paths = [write("SGD_lr0.1", 2**62 + i) for i in range(NUM_FILES - 2)]
        self.paths += [write("SGD_lr1", 0, diverges_at=7), write("SGD_lr2", 0)]
        Path(self.paths[-1]).write_bytes(b"no zip")
        self._archive = tmp_path / "archive"
        self._archive.write_text("what the archive says")
        self._others = {f"/o/{i}": (f"{i}", f"{i}" * 60) for i in range(NUM_OTHERS)}
        self.opened = Counter()
        read = {p: index.open_entry(index.filesystem.info(p)) for p in self.paths}

        def open_entry(info, whole=False):
            self.opened["file"] += 1
            return read[info.path]

        monkeypatch.setattr(index, "open_entry", open_entry)
        self._want = [read[path] for path in sorted(self.paths)]
        self.look()
        # Enough that the database has pages of every kind.
        with remembered.remembered("trial", index._VERSION) as texts:
            texts.store((key, *values) for key, values in self._others.items())
        self.look()
        [self.file] = (cache_dir() / "index").glob("*.sqlite")
        self.content = self.file.read_bytes()

    def look(self):
        """See what there is, and check that this is what the files say."""
        assert trial_entries(utils.get_root_baseline_dir()) == self._want
        made = []

        def make():
            made.append(1)
            return self._archive.read_text()

        assert summary_of(str(self._archive), make) == "what the archive says"
        self.opened["archive"] += len(made)
        # Of the others some may be forgotten, and none changed.
        with remembered.remembered("trial", index._VERSION) as texts:
            assert texts.below("/o").items() <= self._others.items()

    def look_often(self):
        for _ in range(3):
            self.look()

    def restore(self):
        for path in self.file.parent.iterdir():
            path.rmdir() if path.is_dir() else path.unlink()
        self.file.write_bytes(self.content)
        remembered._said.clear()
        self.opened.clear()

    def damaged(self):
        """Look at a damaged index; returns what became of it."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # What is damaged may be seen only when it is written to.
            self.look_often()
        assert len(said) <= 1, [str(w.message) for w in said]
        self.opened.clear()
        self.look()
        assert self.opened.total() == 0, "it is not made again"
        return "said" if said else "not seen"


@pytest.fixture
def known(tmp_path, monkeypatch):
    return Index(tmp_path, monkeypatch)


def damage(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return a kind of damage, and what it leaves of a database."""
    size, page = len(content), PAGE
    changed = bytearray(content)
    kind = rng.choice(
        ["bytes", "header", "bits", "cut", "zeroed", "swapped", "noise", "longer"]
    )
    first, second = (page * int(n) for n in rng.integers(size // page, size=2))
    if kind in ("bytes", "header"):
        for at in rng.integers(100 if kind == "header" else size, size=8):
            changed[at] = rng.integers(256)
    elif kind == "bits":
        changed[rng.integers(size)] ^= 1 << rng.integers(8)
    elif kind == "cut":
        changed = changed[: rng.integers(size)]
    elif kind == "zeroed":
        changed[first : first + page] = bytes(page)
    elif kind == "swapped":
        changed[first : first + page] = content[second : second + page]
        changed[second : second + page] = content[first : first + page]
    elif kind == "noise":
        changed[first : first + page] = rng.bytes(page)
    else:
        changed += rng.bytes(page)
    return str(kind), bytes(changed)


def damage_many(known, count):
    assert len(known.content) > 20 * PAGE
    outcomes = Counter()
    for number in range(count):
        known.restore()
        kind, content = damage(known.content, np.random.default_rng(number))
        known.file.write_bytes(content)
        outcomes[kind, known.damaged()] += 1
    print(f"{count} damages, 0 errors, 0 wrong answers, {count} made again:")
    for (kind, outcome), n in sorted(outcomes.items()):
        print(f"  {kind:8} {outcome:8} {n}")
    return outcomes


def test_damage_changes_no_answer(known):
    outcomes = damage_many(known, 300)
    assert sum(n for (_, outcome), n in outcomes.items() if outcome == "said") > 100


@pytest.mark.exhaustive
def test_much_damage_changes_no_answer(known):
    damage_many(known, 5_000)


def in_sqlite(*statements):
    def change(file):
        db = sqlite3.connect(file)
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()

    return change


def replaced(make):
    def change(file):
        file.unlink()
        make(file)

    return change


@pytest.mark.parametrize(
    "change",
    {
        "no rows": in_sqlite("delete from texts"),
        "nulls": in_sqlite("update texts set content = null"),
        "numbers": in_sqlite("update texts set stamp = 7, digest = 1e300"),
        "texts": in_sqlite("update texts set content = cast(content as text)"),
        "no text": in_sqlite("update texts set content = cast(x'ff' as text)"),
        "other content": in_sqlite("update texts set content = x'5b5d'"),
        "other stamps": in_sqlite("update texts set stamp = x'30'"),
        "other keys": in_sqlite("update texts set path = path || x'30'"),
        "other digests": in_sqlite("update texts set digest = zeroblob(16)"),
        "rows swapped": in_sqlite(
            "update texts set (content, digest) = (select content, digest from texts "
            "t where t.kind = texts.kind order by path desc limit 1)"
        ),
        "no table": in_sqlite("drop table texts"),
        "other columns": in_sqlite("drop table texts", "create table texts (a, b)"),
        "a view": in_sqlite(
            "drop table texts",
            "create view texts as select 1 kind, 1 path, 1 stamp, 1 content, 1 digest",
        ),
        "a newer version": in_sqlite("pragma user_version = 999999"),
        "damaged schema": in_sqlite(
            "pragma writable_schema = on", "update sqlite_master set sql = 'no'"
        ),
        "a write-ahead log": in_sqlite("pragma journal_mode = wal"),
        "empty": replaced(lambda file: file.touch()),
        "text": replaced(lambda file: file.write_text("no database\n" * 1000)),
        "a pipe": replaced(os.mkfifo),
        "a link to itself": replaced(lambda file: file.symlink_to(file)),
        "a link to nowhere": replaced(lambda file: file.symlink_to("/nowhere/at/all")),
        "a device": replaced(lambda file: file.symlink_to("/dev/null")),
        "a journal": lambda file: Path(f"{file}-journal").write_bytes(b"x" * 999),
        "a log": lambda file: Path(f"{file}-wal").write_bytes(b"x" * 999),
    }.items(),
    ids=lambda item: item[0],
)
def test_another_database_is_made_again(known, change):
    change[1](known.file)
    known.damaged()


def test_keys_out_of_order_are_seen(tmp_path):
    path, kind = tmp_path / "texts.sqlite", "trial"
    rows = [(f"/{folder}/{i:02}", "stamp", "text") for folder in "ab" for i in range(9)]
    known = {key: tuple(values) for key, *values in rows if key.startswith("/b/")}
    texts = Remembered(path, kind, 1)
    texts.store(rows)
    texts.close()
    content = path.read_bytes()
    lost = 0
    for key, *_ in rows:
        # Now it seems to be behind all others, and a walk over a folder ends here; a
        # search for a key may never meet it.
        stored = f"{kind}{key}".encode()
        changed = content.replace(stored, stored.replace(b"/", b"z", 1))
        assert changed != content
        path.write_bytes(changed)
        remembered._said.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for is_checked in (False, True, True):
                texts = Remembered(path, kind, 1)
                new = [r for r in rows if r[0] in known.keys() - texts.below("/b")]
                texts.store(new)
                lost += not is_checked and texts.below("/b") != known
                if is_checked:
                    texts.check("/b", new)
                texts.close()
        texts = Remembered(path, kind, 1)
        assert texts.below("/b") == known
        texts.close()
    assert lost > 0


def test_a_folder_in_its_place_is_left_alone(known):
    known.file.unlink()
    known.file.mkdir()
    with pytest.warns(UserWarning, match="all files are opened") as said:
        known.look_often()
    assert len(said) == 1
    known.file.rmdir()
    assert known.damaged() == "not seen"


def test_a_lock_is_not_waited_for_long_and_costs_nothing(known, monkeypatch):
    monkeypatch.setattr(remembered, "_SECONDS_TO_WAIT", 0.01)
    holder = sqlite3.connect(known.file, isolation_level=None)
    holder.execute("begin exclusive")
    known.opened.clear()
    with pytest.warns(UserWarning, match="database is locked") as said:
        known.look()
    assert len(said) == 1
    assert known.opened["file"] == NUM_FILES
    holder.execute("rollback")
    holder.close()
    known.opened.clear()
    known.look()
    # What was known is known.
    assert known.opened.total() == 0


def coded(code, error: type[sqlite3.Error] = sqlite3.OperationalError):
    made = error(f"code {code}")
    made.sqlite_errorcode = code
    return made


ERRORS = [
    coded(sqlite3.SQLITE_BUSY),
    coded(sqlite3.SQLITE_FULL),
    coded(sqlite3.SQLITE_READONLY),
    coded(sqlite3.SQLITE_IOERR),
    coded(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError),
    sqlite3.InterfaceError("odd"),
    sqlite3.IntegrityError("odd"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    OverflowError("Python int too large"),
    OSError(errno.EROFS, "Read-only file system"),
]


STATES = ("new", "empty")


class Connection:
    """A connection, one of whose calls fails."""

    def __init__(self, real, count):
        self._real, self._count = real, count

    def __getattr__(self, name):
        real = getattr(self._real, name)

        def call(*args):
            self._count(name)
            return real(*args)

        return call


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize(
    "state", ["full", *(pytest.param(s, marks=pytest.mark.slow) for s in STATES)]
)
def test_any_statement_may_fail(known, monkeypatch, error, state):
    connect, nth = sqlite3.connect, 0
    for nth in range(100):
        known.restore()
        if state == "new":
            known.file.unlink()
        elif state == "empty":
            in_sqlite("delete from texts")(known.file)
        calls = []

        def count(name, nth=nth, calls=calls):
            calls.append(name)
            is_error_of_closing = isinstance(error, sqlite3.Error) or name != "close"
            if len(calls) == nth and is_error_of_closing:
                raise error

        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patch.setattr(
                remembered.sqlite3,
                "connect",
                lambda *args, **kw: Connection(connect(*args, **kw), count),
            )
            known.look()
        known.look()
        if len(calls) < nth:
            break
    assert nth > 8
    known.damaged()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_disk_that_takes_nothing(known, monkeypatch, code):
    known.file.unlink()

    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", fail)
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.warns(UserWarning, match=os.strerror(code)) as said:
        known.look_often()
    assert len(said) == 1


def test_names_need_not_be_text(known):
    odd = os.fsdecode(b"\xff\xfe.curves")
    path = os.path.join(os.path.dirname(known.paths[0]), odd)
    os.rename(known.paths[0], path)
    with remembered.remembered("trial", index._VERSION) as texts:
        texts.store([(path, "stamp", "text \ud800")])
    with remembered.remembered("trial", index._VERSION) as texts:
        assert texts.of(path) == ("stamp", "text \ud800")
        assert texts.below(os.path.dirname(path))[path] == ("stamp", "text \ud800")


SAID = """
import sys
from learned_optimization.baselines.results.index import trial_entries
for _ in range(3):
    print(len(trial_entries(sys.argv[1])))
"""


@pytest.mark.slow
def test_it_is_said_once_a_process(known):
    known.file.write_bytes(b"no database" * 1000)
    for expected in (1, 0):
        done = subprocess.run(
            [sys.executable, "-c", SAID, utils.get_root_baseline_dir()],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [str(NUM_FILES)] * 3
        assert done.stderr.count("all files are opened") == expected
