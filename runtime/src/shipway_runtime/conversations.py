"""Conversations, in one SQLite file on the agent's volume, or in memory where there is none.

In: turns as they finish. Out: the messages that lead up to a turn. Turns are a tree, not a list: each
knows the turn it continues, so a client may go back to an earlier response and ask something else.

Calls are synchronous on the main loop: with a write-ahead log and synchronous = NORMAL a turn costs some
tens of microseconds and no fsync, less than handing it to a thread would.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Literal, TypedDict

from .errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
FILE = "conversations.db"

SCHEMA = """
CREATE TABLE turn (
    conversation TEXT NOT NULL,
    turn         INTEGER NOT NULL,  -- from 1
    previous     INTEGER,           -- the turn it continues; NULL starts afresh
    started      REAL NOT NULL,     -- seconds since the epoch
    status       TEXT NOT NULL,
    messages     TEXT,              -- JSON; NULL for a turn that cannot be continued
    PRIMARY KEY (conversation, turn)
) WITHOUT ROWID;
"""

HISTORY = """
WITH RECURSIVE chain(turn, previous, messages) AS (
    SELECT turn, previous, messages FROM turn WHERE conversation = :conversation AND turn = :turn
    UNION ALL
    SELECT t.turn, t.previous, t.messages FROM turn t JOIN chain c
        ON t.conversation = :conversation AND t.turn = c.previous
)
SELECT messages FROM chain ORDER BY turn
"""


class Message(TypedDict):
    """One message, as agents see it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Conversations:
    """The store. `directory` None keeps everything in memory, for as long as the process lives.

    Raises StartError for a place that cannot be written, or a file that a newer version wrote.
    """

    def __init__(self, directory: Path | None) -> None:
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
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

    def close(self) -> None:
        self._db.close()

    def lock(self, conversation: str) -> asyncio.Lock:
        """Held for the length of a turn: turns of one conversation run one after another."""
        lock = self._locks.get(conversation)
        if lock is None:
            lock = self._locks[conversation] = asyncio.Lock()
        return lock

    def last(self, conversation: str) -> tuple[int, int | None, float]:
        """Number of the last turn (0: none), the last one to continue from, and when the first began."""
        row = self._db.execute(
            "SELECT max(turn), max(CASE WHEN messages IS NOT NULL THEN turn END), min(started) "
            "FROM turn WHERE conversation = ?",
            (conversation,),
        ).fetchone()
        return row[0] or 0, row[1], row[2] or time.time()

    def continuable(self, conversation: str, turn: int) -> bool:
        """Whether a turn is known and has messages to go on from."""
        row = self._db.execute(
            "SELECT messages IS NOT NULL FROM turn WHERE conversation = ? AND turn = ?", (conversation, turn)
        ).fetchone()
        return bool(row and row[0])

    def history(self, conversation: str, turn: int) -> list[Message]:
        """The messages of a turn and of all that it continues, oldest first."""
        rows = self._db.execute(HISTORY, {"conversation": conversation, "turn": turn})
        return [message for (messages,) in rows for message in json.loads(messages)]

    def add(
        self,
        conversation: str,
        turn: int,
        *,
        previous: int | None,
        started: float,
        status: str,
        messages: list[Message] | None,
    ) -> None:
        """Keep a finished turn. Without `messages` its number is taken, and nothing else is kept."""
        text = None if messages is None else json.dumps(messages, ensure_ascii=False)
        self._db.execute(
            "INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?)",
            (conversation, turn, previous, started, status, text),
        )


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
