"""Control's database as one SQLite file in a directory.

In: statements. Out: their rows. Errors: StoreError. A write-ahead log, so readers do not wait for the writer;
synchronous = FULL, so what is committed outlives the machine's power.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from shipway.control.store import schema
from shipway.control.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shipway.control.store.database import Row

FILE = "control.db"
BUSY_S = 5.0  # for which another process may write: two share the file while one takes over

_HINTS = {
    sqlite3.SQLITE_FULL: "the volume is full; make it larger, or keep outcomes for a shorter time (--keep)",
    sqlite3.SQLITE_READONLY: "the volume is read-only, or not writable for this user",
    sqlite3.SQLITE_CANTOPEN: "--data must be a directory that this user can write",
    sqlite3.SQLITE_BUSY: "another process holds the file; several controls share PostgreSQL, not a file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; put a backup in its place, or move it away to begin afresh",
    sqlite3.SQLITE_NOTADB: "something else is there; move it away",
}


class Sqlite:
    """The database in `directory`, which is made where it is missing."""

    def __init__(self, directory: Path, versions: Sequence[schema.Version] = schema.VERSIONS) -> None:
        self._directory, self._versions = directory, versions
        self._place = directory / FILE
        self._writer: sqlite3.Connection | None = None
        self._writing = threading.Lock()
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()

    def open(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._place, os.O_RDWR | os.O_CREAT, 0o600))  # texts of conversations are in it
        except OSError as error:
            raise StoreError(
                f"{self._place} cannot be written: {error.strerror}", _HINTS[sqlite3.SQLITE_CANTOPEN]
            ) from None
        self._writer = self._connect()
        with self.write() as transaction:
            _migrate(transaction, self._versions)

    @contextlib.contextmanager
    def read(self) -> Iterator[Statements]:
        with self._failing():
            try:
                db = self._readers.get_nowait()
            except queue.Empty:
                db = self._connect()
            try:
                db.execute("BEGIN")
                yield Statements(db)
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                self._readers.put(db)

    @contextlib.contextmanager
    def write(self) -> Iterator[Statements]:
        with self._failing(), self._writing:
            if self._writer is None:
                raise StoreError(f"{self._place} is not open")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Statements(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk ends it already
                    self._writer.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._writing:
            while not self._readers.empty():
                self._readers.get().close()
            if self._writer:
                self._writer.close()
                self._writer = None

    def _connect(self) -> sqlite3.Connection:
        with self._failing():
            db = sqlite3.connect(self._place, BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
            except BaseException:
                db.close()
                raise
            return db

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = _HINTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
            raise StoreError(f"{self._place}: {error}", hint) from error


class Statements:
    """A transaction on a connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, statement: str, **values: Any) -> list[Row]:
        return self._db.execute(statement, values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        return self._db.execute(statement, values).rowcount

    def change_each(self, statement: str, values: Iterable[Mapping[str, Any]]) -> None:
        self._db.executemany(statement, values)


def _migrate(transaction: Statements, versions: Sequence[schema.Version]) -> None:
    if not transaction.rows("SELECT 1 FROM main.sqlite_master WHERE name = 'schema'"):
        transaction.change(schema.SCHEMA)
        transaction.change(schema.BEGIN)
    [found] = transaction.rows(schema.FOUND)
    for version in schema.missing((found[0], found[1]), versions):
        for statement in version.adds:
            transaction.change(translate(statement))
        transaction.change(schema.REACHED, version=version.number, oldest=version.oldest)


def translate(statement: str) -> str:
    """A statement that makes something, in SQLite's words."""
    return statement.replace("NUMBERED", "INTEGER PRIMARY KEY AUTOINCREMENT").replace("ON main.", "ON ")
