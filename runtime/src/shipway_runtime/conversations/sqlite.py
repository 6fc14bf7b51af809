"""Conversations in one SQLite file on the agent's volume, or in memory where there is none.

In and out: as store.py says.

Calls are synchronous on the main loop: with a write-ahead log and synchronous = NORMAL a turn costs some
tens of microseconds and no fsync, less than handing it to a thread would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Any

from ..dialogue import Memory, Past
from ..errors import StartError
from .store import Before, Place, StoreError, Turned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
FILE = "conversations.db"

SCHEMA = """
CREATE TABLE turn (
    tenant       TEXT NOT NULL,     -- "" where callers are not told apart
    conversation TEXT NOT NULL,
    turn         INTEGER NOT NULL,  -- from 1
    previous     INTEGER,           -- the turn it continues; NULL starts afresh
    started      REAL NOT NULL,     -- seconds since the epoch
    status       TEXT NOT NULL,
    messages     TEXT,              -- JSON; NULL for a turn that cannot be continued
    memory       TEXT,              -- JSON, [kind, data]; the framework's own record
    PRIMARY KEY (tenant, conversation, turn)
) WITHOUT ROWID;
"""

LAST = """
SELECT max(turn), max(CASE WHEN messages IS NOT NULL THEN turn END), min(started)
FROM turn WHERE tenant = ? AND conversation = ?
"""

KNOWN = "SELECT messages IS NOT NULL FROM turn WHERE tenant = ? AND conversation = ? AND turn = ?"

HISTORY = """
WITH RECURSIVE chain(turn, previous, messages, memory) AS (
    SELECT turn, previous, messages, memory FROM turn
        WHERE tenant = :tenant AND conversation = :conversation AND turn = :turn
    UNION ALL
    SELECT t.turn, t.previous, t.messages, t.memory FROM turn t JOIN chain c
        ON t.tenant = :tenant AND t.conversation = :conversation AND t.turn = c.previous
)
SELECT messages, memory FROM chain ORDER BY turn
"""


class Conversations:
    """The store. `directory` None keeps everything in memory, for as long as the process lives.

    Raises StartError for a place that cannot be written, or a file that a newer version wrote.
    """

    def __init__(self, directory: Path | None) -> None:
        self._locks: weakref.WeakValueDictionary[Place, asyncio.Lock] = weakref.WeakValueDictionary()
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

    async def close(self) -> None:
        self._db.close()

    def hold(self, place: Place) -> asyncio.Lock:
        lock = self._locks.get(place)
        if lock is None:
            lock = self._locks[place] = asyncio.Lock()
        return lock

    async def before(self, place: Place, previous: int | None) -> Before | None:
        key = _key(place)
        with _reported():
            last, continuable, first_seen = self._db.execute(LAST, key).fetchone()
            if previous is not None and not self._continuable(key, previous):
                return None
            previous = previous or continuable
            past = self._history(key, previous) if previous else ()
        return Before(last or 0, previous, past, first_seen or time.time())

    async def add(self, place: Place, turned: Turned) -> None:
        memory = turned.memory and [turned.memory.kind, turned.memory.data]
        values = (*_key(place), turned.turn, turned.previous, turned.started, turned.status)
        with _reported():
            self._db.execute(
                "INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, _dump(turned.messages), _dump(memory)),
            )

    def _continuable(self, key: tuple[str, str], turn: int) -> bool:
        row = self._db.execute(KNOWN, (*key, turn)).fetchone()
        return bool(row and row[0])

    def _history(self, key: tuple[str, str], turn: int) -> tuple[Past, ...]:
        rows = self._db.execute(HISTORY, {"tenant": key[0], "conversation": key[1], "turn": turn})
        return tuple(
            Past(json.loads(m), Memory(*json.loads(memory)) if memory else None) for m, memory in rows
        )


def _key(place: Place) -> tuple[str, str]:
    return place.tenant or "", place.conversation


def _dump(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _memory(text: str | None) -> Memory | None:
    return Memory(*json.loads(text)) if text else None


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
