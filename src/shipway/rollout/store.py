"""Rollouts on disk: the state and what led to it, in one transaction: neither is there without the other.

In: a plan, states, events. Out: the rollout that goes on, and the audit trail. Errors: RolloutError where one
goes on already, or where the file cannot be used. One process moves them; others may begin one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.rollout import RolloutPlan
from shipway.rollout.database import Database
from shipway.rollout.state import Asked, Seen, State
from shipway.rollout.traffic.split import SLOTS
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
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
CREATE TABLE IF NOT EXISTS pin (conversation TEXT PRIMARY KEY, slot TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout as it is remembered."""

    id: int
    plan: RolloutPlan
    state: State
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the audit trail: when, by whom (`shipway` where by itself), and what."""

    at: float
    who: str
    words: str


class Store:
    """The rollouts of one deployment."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    def begin(self, plan: RolloutPlan, state: State, by: str) -> Rollout:
        """Remember a new rollout. Raises RolloutError while another one goes on."""
        words = f"{state.canary} is rolled out over {state.stable}"
        with self._database.transaction() as database:
            try:
                cursor = database.execute(
                    "INSERT INTO rollout (plan, state, begun) VALUES (?, ?, ?)",
                    (contract.encode(plan), contract.encode(state), state.since),
                )
            except sqlite3.IntegrityError:
                going = self.current()
                name = going.state.canary if going else "another revision"
                raise RolloutError(
                    f"a rollout of {name} goes on; wait for it, or end it: shipway rollout abort"
                ) from None
            number = cursor.lastrowid or 0
            _write(database, number, Happened(state.since, by, words))
        return Rollout(number, plan, state, state.since)

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
        with self._database.transaction() as database:
            database.execute(
                "UPDATE rollout SET state = ?, ended = ? WHERE id = ?",
                (contract.encode(state), state.since if state.ended else None, rollout.id),
            )
            for line in _lines(rollout, state, event):
                _write(database, rollout.id, line)
        return Rollout(rollout.id, rollout.plan, state, rollout.begun)

    def history(self, rollout: Rollout) -> tuple[Happened, ...]:
        """What has happened, oldest first."""
        with self._database.transaction() as database:
            rows = database.execute(
                "SELECT at, who, words FROM happened WHERE rollout = ? ORDER BY rowid", (rollout.id,)
            ).fetchall()
        return tuple(Happened(*row) for row in rows)

    def place(self, stable: str, canary: str) -> tuple[Slot, Slot]:
        """Which of a router's places is whose: each keeps its own, a new one takes the one that is left."""
        with self._database.transaction() as database:
            known: dict[str, Slot] = dict(database.execute("SELECT revision, name FROM slot").fetchall())
            first = known.get(stable) or _other(known.get(canary, SLOTS[1]))
            second = known.get(canary) or _other(first)
            if {stable: first, canary: second}.items() - known.items():
                database.executemany(
                    "INSERT OR REPLACE INTO slot VALUES (?, ?)", ((first, stable), (second, canary))
                )
        return first, second

    def all(self) -> tuple[Rollout, ...]:
        """Every rollout there was, newest first."""
        return self._select("ORDER BY id DESC")

    def pins(self) -> dict[str, Slot]:
        """Where conversations were pinned when that was last kept."""
        with self._database.transaction() as database:
            return dict(database.execute("SELECT conversation, slot FROM pin").fetchall())

    def keep_pins(self, pins: Mapping[str, Slot], gone: Iterable[str]) -> None:
        """Remember these as well, and forget those that are gone."""
        with self._database.transaction() as database:
            database.executemany("DELETE FROM pin WHERE conversation = ?", ((name,) for name in gone))
            database.executemany("INSERT OR REPLACE INTO pin VALUES (?, ?)", pins.items())

    def _find(self, which: str) -> Rollout | None:
        found = self._select(f"{which} ORDER BY id DESC LIMIT 1")
        return found[0] if found else None

    def _select(self, which: str) -> tuple[Rollout, ...]:
        query = f"SELECT id, plan, state, begun FROM rollout {which}"  # noqa: S608 - our own words
        with self._database.transaction() as database:
            rows = database.execute(query).fetchall()
        return tuple(_read(*row) for row in rows)


def _read(number: int, plan: str, state: str, begun: float) -> Rollout:
    return Rollout(
        number, contract.decode(RolloutPlan, plan, "plan"), contract.decode(State, state, "state"), begun
    )


def _other(slot: Slot) -> Slot:
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def _lines(rollout: Rollout, after: State, event: Event) -> Iterator[Happened]:
    """What people would want to read of a change; a look that changed nothing they care about is none."""
    before = rollout.state
    who = event.by if isinstance(event, Asked) else "shipway"
    told = {notice.number for notice in before.notices}
    for notice in after.notices:
        if notice.number not in told:
            yield Happened(notice.at, who, notice.words)
    if before.phase != after.phase and after.told == before.told and isinstance(event, (Asked, Seen)):
        yield Happened(event.now, who, _words(rollout.plan, after))


def _words(plan: RolloutPlan, state: State) -> str:
    """A phase that nobody was told of."""
    words = {
        "evaluating": "the paired suite asks both",
        "stepping": f"{plan.steps[state.step].weight} % of new conversations go to {state.canary}",
        "promoted": f"{state.canary} is stable",
        "aborted": f"{state.stable} stays",
    }
    return words.get(state.phase, state.phase)


def _write(database: sqlite3.Connection, rollout: int, line: Happened) -> None:
    database.execute("INSERT INTO happened VALUES (?, ?, ?, ?)", (rollout, line.at, line.who, line.words))
