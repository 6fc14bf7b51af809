"""Conversations in one SQLite file on the agent's volume, or in memory where there is none.

In: statements. Out: their rows. Errors: StartError for a place that cannot be written or a file that a newer
version wrote, StoreError afterwards.

Calls are synchronous on the main loop: with a write-ahead log and synchronous = NORMAL a turn costs some
tens of microseconds and no fsync, less than handing it to a thread would.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from ..errors import StartError
from .store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .sql import Row

VERSION = 1
FILE = "conversations.db"

SCHEMA = """
CREATE TABLE conversation (
    tenant       TEXT NOT NULL,     -- "" where callers are not told apart
    conversation TEXT NOT NULL,
    started      REAL,              -- seconds since the epoch; NULL while there is nothing in it
    last         INTEGER NOT NULL,  -- number of the last turn, deleted ones included
    metadata     TEXT NOT NULL,     -- JSON
    PRIMARY KEY (tenant, conversation)
) WITHOUT ROWID;
CREATE TABLE turn (
    tenant       TEXT NOT NULL,
    conversation TEXT NOT NULL,
    turn         INTEGER NOT NULL,  -- from 1
    previous     INTEGER,           -- the turn it continues; NULL starts afresh
    started      REAL NOT NULL,     -- seconds since the epoch
    status       TEXT NOT NULL,
    messages     TEXT,              -- JSON; NULL for a turn that cannot be continued
    memory       TEXT,              -- JSON, [kind, data]; the framework's own record
    response     TEXT,              -- JSON; the API's
    PRIMARY KEY (tenant, conversation, turn)
);
CREATE TABLE budget (
    tenant       TEXT NOT NULL,
    seconds      INTEGER NOT NULL,  -- the window's length
    began        INTEGER NOT NULL,  -- seconds since the epoch
    tokens       INTEGER NOT NULL,
    cost         REAL NOT NULL,     -- US dollars
    PRIMARY KEY (tenant, seconds)
) WITHOUT ROWID;
"""


class Sqlite:
    """The database. `directory` None keeps everything in memory, for as long as the process lives."""

    def __init__(self, directory: Path | None) -> None:
        place = ":memory:" if directory is None else str(directory / FILE)
        try:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            self._db = _open(place)
        except (OSError, sqlite3.Error) as error:
            raise StartError(
                f"conversations cannot be kept in {place}: {error}; "
                "[storage] path must be a volume that user 65532 can write"
            ) from None

    async def fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        with _reported():
            return self._db.execute(statement, values).fetchall()

    async def change(self, values: Mapping[str, Any], *wanted: str) -> int:
        with _reported(), self._transaction():
            count = self._db.execute(wanted[0], values).rowcount
            for statement in wanted[1:] if count else ():
                self._db.execute(statement, values)
        return count

    async def check(self) -> str | None:
        return None

    async def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{type(error).__name__}: {error}") from error


def _open(place: str) -> sqlite3.Connection:
    db = sqlite3.connect(place, isolation_level=None)  # each statement commits itself
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        _migrate(db, place)
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, place: str) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)")
    found = db.execute("SELECT version FROM schema").fetchone()
    if found is None:
        db.executescript(f"BEGIN; {SCHEMA} INSERT INTO schema VALUES ({VERSION}); COMMIT;")  # noqa: S608
    elif found[0] > VERSION:
        raise StartError(
            f"{place} was written by a newer version (schema {found[0]}, this one knows {VERSION}); "
            "run that version, or give this one its own volume"
        )
