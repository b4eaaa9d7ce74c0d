"""Texts about files, remembered from process to process in a database.

The database is a help and no more: it may be deleted, damaged, locked or full, before
it is opened and at any statement. Then nothing is remembered, which is said once, and
what is damaged is deleted, so that it is made again. Each text is stored with a digest:
damage that SQLite does not see is seen here.
"""

from __future__ import annotations

import hashlib
import socket
import sqlite3
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from learned_optimization.cache import cache_dir

# Others write for some milliseconds. Who holds it for longer has a fault.
_SECONDS_TO_WAIT = 2.0
# What passes by itself: the database is whole, and stays. A full disk is not among
# them, since SQLite says that of some damage too.
_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
)
# Beside the database: what SQLite would roll back into the next one.
_JOURNALS = ("-journal", "-wal", "-shm")
_DIGEST_BYTES = 16

_Row = tuple[str, str, str]
_Texts = dict[str, tuple[str, str]]

_said: set[str] = set()


class _DamagedError(Exception):
    """The database holds what nobody stored there."""


class Remembered:
    """Texts of one kind by the keys of files, each with the file's stamp.

    Args:
      path: the database; a new one is made where there is none.
      kind: what the texts are.
      version: of the texts; those of another version are forgotten.
    """

    def __init__(self, path: Path, kind: str, version: int):
        self._path, self._kind = path, kind.encode()
        self._db: sqlite3.Connection | None = None
        with self._whatever_happens():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path, version)

    def below(self, folder: str) -> _Texts:
        """Return stamp and text of everything whose key is below that of a folder."""
        with self._whatever_happens():
            if self._db is not None:
                return self._below(self._db, folder)
        return {}

    def of(self, key: str) -> tuple[str, str] | None:
        """Return stamp and text of a key."""
        with self._whatever_happens():
            if self._db is not None:
                return self._select(self._db, "path = ?", key).get(key)
        return None

    def _select(self, db: sqlite3.Connection, where: str, *keys: str) -> _Texts:
        rows = db.execute(
            "select path, stamp, content, digest from texts "
            f"where kind = ? and {where}",
            (self._kind, *map(_as_bytes, keys)),
        ).fetchall()
        return dict(self._checked(row) for row in rows)

    def _below(self, db: sqlite3.Connection, folder: str) -> _Texts:
        # '0' is the character behind '/'.
        return self._select(db, "path > ? and path < ?", f"{folder}/", f"{folder}0")

    def _checked(self, row: tuple[Any, ...]) -> tuple[str, tuple[str, str]]:
        if not all(isinstance(value, bytes) for value in row):
            raise _DamagedError("a row holds other types")
        path, stamp, content, digest = row
        if digest != self._digest(path, stamp, content):
            raise _DamagedError("a row does not fit its digest")
        return _as_text(path), (_as_text(stamp), _as_text(content))

    def _digest(self, *values: bytes) -> bytes:
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for value in (self._kind, *values):
            digest.update(len(value).to_bytes(8, "big") + value)
        return digest.digest()

    def store(self, rows: Iterable[_Row]) -> None:
        """Store key, stamp and text, in place of what is there of a key."""
        with self._whatever_happens():
            if self._db is not None and (rows := list(rows)):
                self._insert(self._db, rows)
                self._db.commit()

    def _insert(self, db: sqlite3.Connection, rows: Iterable[_Row]) -> None:
        values = [tuple(map(_as_bytes, row)) for row in rows]
        db.executemany(
            "insert or replace into texts values (?, ?, ?, ?, ?)",
            [(self._kind, *row, self._digest(*row)) for row in values],
        )

    def forget(self, keys: Iterable[str]) -> None:
        """Forget what is stored of some keys."""
        values = [(self._kind, _as_bytes(key)) for key in keys]
        with self._whatever_happens():
            if self._db is not None and values:
                self._db.executemany(
                    "delete from texts where kind = ? and path = ?", values
                )
                self._db.commit()

    def check(self, folder: str, rows: Iterable[_Row]) -> None:
        """Make the database anew if it loses what is stored below a folder.

        Damage to the order of keys is silent: a walk over the keys of a folder ends
        before some of them, and what is stored again may come to lie behind it again.

        Args:
          folder: as in `below`.
          rows: as in `store`, which stored them.
        """
        wanted = {key: (stamp, text) for key, stamp, text in rows}
        with self._whatever_happens():
            if self._db is not None and wanted:
                # Until the end of this, no other process forgets any of them.
                self._db.execute("begin immediate")
                if lost := wanted.items() - self._below(self._db, folder).items():
                    self._insert(self._db, ((key, *values) for key, values in lost))
                    if wanted.items() - self._below(self._db, folder).items():
                        raise _DamagedError("its keys are out of order")
                self._db.commit()

    @contextmanager
    def _whatever_happens(self) -> Iterator[None]:
        try:
            yield
        # A damaged database makes SQLite and Python raise errors of many classes.
        except Exception as error:
            self.close()
            if not _passes(error):
                _delete(self._path)
            if str(self._path) not in _said:
                _said.add(str(self._path))
                warnings.warn(
                    "the index in LOPT_CACHE_DIR cannot be used this time "
                    f"({error}): all files are opened",
                    stacklevel=5,
                )

    def close(self) -> None:
        """Close the database; nothing is remembered any more."""
        if self._db is not None:
            db, self._db = self._db, None
            with suppress(sqlite3.Error):
                db.close()


@contextmanager
def remembered(kind: str, version: int) -> Iterator[Remembered]:
    """Open what is remembered of a kind, within the block."""
    # SQLite must not be shared over a network.
    path = cache_dir() / "index" / f"{socket.gethostname()}.sqlite"
    texts = Remembered(path, kind, version)
    try:
        yield texts
    finally:
        texts.close()


def _connect(path: Path, version: int) -> sqlite3.Connection:
    if path.exists() and not path.is_file():
        # Opening a pipe would wait.
        raise _DamagedError(f"{path} is no file")
    db = sqlite3.connect(path, timeout=_SECONDS_TO_WAIT, isolation_level="IMMEDIATE")
    try:
        # What is lost in a power failure is read again from the files.
        db.execute("pragma synchronous = off")
        if _version(db) != version:
            _make(db, version)
    except BaseException:
        with suppress(sqlite3.Error):
            db.close()
        raise
    return db


def _make(db: sqlite3.Connection, version: int) -> None:
    db.execute("begin immediate")
    # Another process may have made it while this one waited.
    if _version(db) != version:
        db.execute("drop table if exists texts")
        db.execute(
            "create table texts "
            "(kind, path, stamp, content, digest, primary key (kind, path))"
        )
        db.execute(f"pragma user_version = {version}")
    db.commit()


def _version(db: sqlite3.Connection) -> int:
    return db.execute("pragma user_version").fetchone()[0]


def _passes(error: Exception) -> bool:
    # The low byte is the error; the rest tells more of it.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _PASSING


def _delete(path: Path) -> None:
    for name in (path, *(path.with_name(path.name + end) for end in _JOURNALS)):
        with suppress(OSError):
            name.unlink()


# Names of files need not be UTF-8, and are text with halves of characters then.
def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _as_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")
