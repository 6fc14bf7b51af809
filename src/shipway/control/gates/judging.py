"""A gate put together from what is kept: the same rows give the same judgement, in any process.

In: a gate's plan, the outcomes that came since it began, and what happened to it in between (its share was
changed, evals were reported), each in the order in which it was committed. Out: a Judgement, and the evidence
over time. Each look reads what is new since the last; after a restart that is everything once more.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.control.gates import watermarks
from shipway.control.http.answers import RETRY_S, Refused
from shipway.control.outcomes import rows
from shipway.gate import Calibration, Conversations, Gate, GatePlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.control.store.database import Database, Transaction
    from shipway.gate import Judgement, Point

_PATIENCE_S = 3.0  # while another thread looks
_AT_ONCE = 2000  # outcomes of one look into the database
_EVENTS = """
SELECT id, after, kind, document, at FROM main.gate_event
WHERE deployment = :deployment AND canary = :canary AND id > :last ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a gate, after the outcome of the number `after`: `share` with a share, or `pairs` with
    scores of the evals, each case as [stable's, the canary's]."""

    id: int
    after: int
    kind: str
    document: Any
    at: float


class Judging:
    """One gate. Calls come from any thread, and wait for each other."""

    def __init__(self, deployment: int, plan: GatePlan, begins: int) -> None:
        self._deployment, self._plan = deployment, plan
        self._gate, self._conversations = Gate(plan), Conversations(plan.idle_s)
        self._number, self._last = begins, 0
        self._watermark = 0.0
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def look(self, database: Database) -> tuple[Judgement, tuple[Point, ...]]:
        """What is known now. Raises Refused while another thread takes long for it."""
        if not self._lock.acquire(timeout=_PATIENCE_S):  # else all threads may end up here after a start
            message = f"what judges {self._plan.canary} is being put together"
            raise Refused(503, "not_yet", message, retry_after=str(RETRY_S))
        try:
            while self._read(database):
                pass
            return self._gate.judge(self._watermark), self._gate.points
        finally:
            self._lock.release()

    def _read(self, database: Database) -> bool:
        """Take one more portion of what is new; whether there may be more."""
        with database.read() as transaction:
            events = self._happened(transaction)
            kept = rows.after(transaction, self._deployment, self._number, _AT_ONCE)
            watermark = watermarks.read(transaction, self._deployment) or 0.0
        self._events += events
        self._last = events[-1].id if events else self._last
        for one in kept:
            self._happen(before=one.number)
            self._close(one.watermark)
            self._conversations.add(one.outcome)
            self._number = one.number
        if len(kept) == _AT_ONCE:
            return True
        self._happen()
        self._close(watermark)
        return False

    def _happened(self, transaction: Transaction) -> list[Event]:
        values = {"deployment": self._deployment, "canary": self._plan.canary, "last": self._last}
        rows = transaction.rows(_EVENTS, **values)
        return [Event(row[0], row[1], row[2], json.loads(row[3]), row[4]) for row in rows]

    def _happen(self, before: float = float("inf")) -> None:
        """What happened before the outcome of this number came."""
        while self._events and self._events[0].after < before:
            event = self._events.pop(0)
            if event.kind == "share":
                self._gate.share(event.document, event.at)
            elif event.kind == "pairs":
                for stable, canary in event.document:
                    self._gate.see_pair(stable, canary, event.at)

    def _close(self, watermark: float) -> None:
        if watermark > self._watermark:
            self._watermark = watermark
            for conversation in self._conversations.close(watermark):
                self._gate.see(conversation)


def encode(plan: GatePlan) -> str:
    """A plan as it is kept."""
    return json.dumps(dataclasses.asdict(plan))


def decode(text: str) -> GatePlan:
    """A plan that was kept."""
    data = json.loads(text)
    judges = {name: Calibration(**judge) for name, judge in data.pop("judges").items()}
    return GatePlan(**data, judges=judges)


def document(judgement: Judgement) -> dict[str, Any]:
    """A judgement as JSON."""
    return dataclasses.asdict(judgement)


def points(found: Iterable[Point]) -> list[dict[str, Any]]:
    """The evidence over time as JSON."""
    return [dataclasses.asdict(point) for point in found]
