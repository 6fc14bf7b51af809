"""Conversations in one SQLite file on the agent's volume, or in memory where there is none.

In: statements. Out: their rows. Errors: StartError for a file that cannot be used, StoreError afterwards.

Statements run on the main loop: with a write-ahead log and synchronous = NORMAL a turn costs some tens of
microseconds, less than handing it to a thread would. What takes longer does not happen there: the log is
moved into the file by a thread, because that waits for the disk; and where another process is writing (two of
them share the file during a restart) the turn waits, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import StartError
from . import schema, statements
from .store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .database import Row

FILE = "shipway.db"
MOVE_AFTER = 1000  # transactions in the log; each is some pages of 4 kB
BUSY_S = 5.0  # for which another process may write

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    sqlite3.SQLITE_FULL: "the volume is full; make it larger, or delete conversations",
    sqlite3.SQLITE_READONLY: "the volume is read-only, or not writable for this user",
    sqlite3.SQLITE_CANTOPEN: "[storage] path must be a volume that user 65532 can write",
    sqlite3.SQLITE_BUSY: "another process holds the file; two may share it for a restart, and no more",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; put a backup in its place, or move it away to begin afresh",
    sqlite3.SQLITE_NOTADB: "something else is there; move it away",
}

T = TypeVar("T")


class Sqlite:
    """The database. `directory` None keeps everything in memory, for as long as the process lives."""

    add: tuple[str, ...] = (statements.COUNT_TURN, statements.ADD)

    def __init__(self, directory: Path | None, versions: Sequence[schema.Version] = schema.VERSIONS) -> None:
        self._directory, self._versions = directory, versions
        self._place = ":memory:" if directory is None else str(directory / FILE)
        self._db: sqlite3.Connection | None = None
        self._log: tuple[int, int] | None = None
        self._broken: StoreError | None = None
        self._written = 0  # since the log was last moved
        self._moving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        try:
            if self._directory is not None:
                self._directory.mkdir(parents=True, exist_ok=True)
            self._db = _open(self._place, self._versions)
        except OSError as error:
            hint = _HINTS[sqlite3.SQLITE_CANTOPEN]
            raise StartError(
                f"conversations cannot be kept in {self._place}: {error.strerror}; {hint}"
            ) from None
        except sqlite3.Error as error:
            raise StartError(f"conversations cannot be kept in {self._place}: {_say(error)}") from None
        except StoreError as error:
            raise StartError(f"{self._place}: {error}") from None
        self._log = self._find_log()

    async def fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        return await self._patiently(lambda db: db.execute(statement, values).fetchall())

    async def change(self, values: Mapping[str, Any], *wanted: str) -> int:
        if self._moving and self._written > 2 * MOVE_AFTER:
            # A log that is never left alone never begins again.
            await asyncio.wait([self._moving])
        count = await self._patiently(lambda db: _change(db, {"now": time.time(), **values}, wanted))
        self._written += 1
        if self._written >= MOVE_AFTER and self._directory is not None and not self._moving:
            self._written = 0
            self._moving = asyncio.create_task(asyncio.to_thread(self._move))
            self._moving.add_done_callback(self._moved)
        return count

    async def probe(self) -> None:
        if self._broken:
            raise self._broken
        if self._log != self._find_log():
            raise StoreError(
                f"{self._place}-wal was removed or replaced while it was in use: what it held is lost, and "
                "so is what is written now; restart this process"
            )
        if not await self.change({"version": self._versions[-1].number}, statements.PROBE):
            raise StoreError(f"{self._place} was taken over by a newer shipway-runtime; run a newer one")

    async def close(self) -> None:
        if self._moving:
            await asyncio.wait([self._moving])
        if self._db:
            self._db.close()

    async def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives. SQLite itself would wait for another process with the main loop standing."""
        if self._db is None:
            raise StoreError(f"{self._place} is not open")
        end = time.monotonic() + BUSY_S
        while True:
            try:
                return work(self._db)
            except sqlite3.Error as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise self._failed(error) from error
            await asyncio.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - not in step

    def _failed(self, error: sqlite3.Error) -> StoreError:
        failed = StoreError(f"{self._place}: {_say(error)}")
        if _code(error) in _BROKEN:
            self._broken = failed
        return failed

    def _move(self) -> None:
        """Move the log into the file, and begin it again. Only the second step, which has little left to do,
        keeps writers waiting; they wait as for another process."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self._place)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            db.execute("PRAGMA wal_checkpoint(RESTART)")

    def _moved(self, task: asyncio.Task[None]) -> None:
        self._moving = None

    def _find_log(self) -> tuple[int, int] | None:
        """Which file the log is. It stays the same as long as somebody has it open."""
        if self._directory is None:
            return None
        try:
            found = (self._directory / f"{FILE}-wal").stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _change(db: sqlite3.Connection, values: Mapping[str, Any], wanted: Sequence[str]) -> int:
    if len(wanted) == 1:
        return db.execute(wanted[0], values).rowcount
    with _transaction(db):
        count = db.execute(wanted[0], values).rowcount
        for statement in wanted[1:] if count else ():
            db.execute(statement, values)
    return count


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk ends it already
            db.execute("ROLLBACK")
        raise


def _code(error: sqlite3.Error) -> int | None:
    """The primary result code; none for an error of the module itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _say(error: sqlite3.Error) -> str:
    hint = _HINTS.get(_code(error) or 0)
    return f"{error}; {hint}" if hint else str(error)


def _open(place: str, versions: Sequence[schema.Version]) -> sqlite3.Connection:
    """A connection to a file that has every table. At start, and only then, SQLite itself waits."""
    db = sqlite3.connect(place, isolation_level=None, timeout=BUSY_S)  # each statement commits itself
    try:
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        _migrate(db, versions)
        db.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        db.close()
        raise
    return db


def _write_ahead(db: sqlite3.Connection) -> None:
    """Of two processes that do this to a new file at the same time, one fails at once."""
    end = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _migrate(db: sqlite3.Connection, versions: Sequence[schema.Version]) -> None:
    with _transaction(db):
        if not db.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'schema'").fetchone():
            db.execute(schema.SCHEMA)
            db.execute(schema.BEGIN)
        for version in schema.missing(db.execute(schema.FOUND).fetchone(), versions):
            for statement in version.adds:
                db.execute(statement)
            db.execute(schema.REACHED, {"version": version.number, "oldest": version.oldest})
