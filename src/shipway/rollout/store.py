"""Rollouts on disk: the state and what led to it, in one transaction: neither is there without the other.

In: a plan, states, events. Out: the rollout that goes on, and the audit trail. Errors: RolloutError where one
goes on already, or where the file cannot be used. SQLite; one process writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan import codec
from shipway.plan.rollout import RolloutPlan
from shipway.rollout.state import Asked, Seen, State
from shipway.rollout.traffic.split import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shipway.rollout.state import Event
    from shipway.rollout.traffic.split import Slot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rollout (
    id INTEGER PRIMARY KEY, plan TEXT NOT NULL, state TEXT NOT NULL, begun REAL NOT NULL, ended REAL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_at_a_time ON rollout (ended IS NULL) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS happened (
    rollout INTEGER NOT NULL REFERENCES rollout, at REAL NOT NULL, who TEXT NOT NULL, words TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS slot (name TEXT PRIMARY KEY, revision TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout as it is remembered."""

    id: int
    plan: RolloutPlan
    state: State


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the audit trail: when, by whom (`shipway` where by itself), and what."""

    at: float
    who: str
    words: str


class Store:
    """The rollouts of one deployment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_SCHEMA)

    def begin(self, plan: RolloutPlan, state: State, by: str) -> Rollout:
        """Remember a new rollout. Raises RolloutError while another one goes on."""
        words = f"{state.canary} is rolled out over {state.stable}"
        with self._open() as database:
            try:
                cursor = database.execute(
                    "INSERT INTO rollout (plan, state, begun) VALUES (?, ?, ?)",
                    (codec.encode(plan), codec.encode(state), state.since),
                )
            except sqlite3.IntegrityError:
                going = self.current()
                name = going.state.canary if going else "another revision"
                raise RolloutError(
                    f"a rollout of {name} goes on; wait for it, or end it: shipway rollout abort"
                ) from None
            number = cursor.lastrowid or 0
            _write(database, number, Happened(state.since, by, words))
        return Rollout(number, plan, state)

    def current(self) -> Rollout | None:
        """The rollout that goes on, if one does."""
        return self._find("WHERE ended IS NULL")

    def last(self) -> Rollout | None:
        """The newest rollout, whether or not it has ended."""
        return self._find("")

    def save(self, rollout: Rollout, state: State, event: Event) -> Rollout:
        """Remember what followed from an event. Nothing is written where nothing has changed."""
        if state == rollout.state:
            return rollout
        with self._open() as database:
            database.execute(
                "UPDATE rollout SET state = ?, ended = ? WHERE id = ?",
                (codec.encode(state), state.since if state.ended else None, rollout.id),
            )
            for line in _lines(rollout.state, state, event):
                _write(database, rollout.id, line)
        return Rollout(rollout.id, rollout.plan, state)

    def history(self, rollout: Rollout) -> tuple[Happened, ...]:
        """What has happened, oldest first."""
        with self._open() as database:
            rows = database.execute(
                "SELECT at, who, words FROM happened WHERE rollout = ? ORDER BY rowid", (rollout.id,)
            ).fetchall()
        return tuple(Happened(*row) for row in rows)

    def place(self, stable: str, canary: str) -> tuple[Slot, Slot]:
        """Which of a router's places is whose: each keeps its own, a new one takes the one that is left."""
        with self._open() as database:
            known: dict[str, Slot] = dict(database.execute("SELECT revision, name FROM slot").fetchall())
            first = known.get(stable) or _other(known.get(canary, SLOTS[1]))
            second = known.get(canary) or _other(first)
            if {stable: first, canary: second}.items() - known.items():
                database.executemany(
                    "INSERT OR REPLACE INTO slot VALUES (?, ?)", ((first, stable), (second, canary))
                )
        return first, second

    def _find(self, which: str) -> Rollout | None:
        with self._open() as database:
            row = database.execute(
                f"SELECT id, plan, state FROM rollout {which} ORDER BY id DESC LIMIT 1"  # noqa: S608 - our own words
            ).fetchone()
        return (
            Rollout(row[0], codec.decode(RolloutPlan, row[1]), codec.decode(State, row[2])) if row else None
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, which is on the disk when this ends without an error."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=10.0)) as database, database:
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise RolloutError(f"{self._path}: {error}") from None


def _other(slot: Slot) -> Slot:
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def _lines(before: State, after: State, event: Event) -> Iterator[Happened]:
    """What people would want to read of a change; a look that changed nothing they care about is none."""
    who = event.by if isinstance(event, Asked) else "shipway"
    told = {notice.number for notice in before.notices}
    for notice in after.notices:
        if notice.number not in told:
            yield Happened(notice.at, who, notice.words)
    if before.phase != after.phase and after.told == before.told and isinstance(event, (Asked, Seen)):
        yield Happened(event.now, who, after.phase)


def _write(database: sqlite3.Connection, rollout: int, line: Happened) -> None:
    database.execute("INSERT INTO happened VALUES (?, ?, ?, ?)", (rollout, line.at, line.who, line.words))
