"""What control does by itself: it moves watermarks, lets gates look, and takes away what is old or left.

In: the database, the gates. Out: nothing; what fails is logged and tried again. Several controls of one
database may all do it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.control import replicas
from shipway.control.gates.gates import Gates
from shipway.control.gates.watermarks import Watermarks
from shipway.control.outcomes import minutes
from shipway.control.store.database import Database, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor


LOOK_S = 5.0  # between two looks at the gates
PRUNE_S = 600.0
_AT_ONCE = 5_000  # rows that one transaction takes away; others wait for it

_OLD = (
    "DELETE FROM main.outcome WHERE id IN (SELECT id FROM main.outcome "
    "WHERE finished < :before AND id <= :begins LIMIT :most)",
    "DELETE FROM main.turn_text WHERE identity IN "
    "(SELECT identity FROM main.turn_text WHERE started < :before LIMIT :most)",
    "DELETE FROM main.deletion WHERE deleted < :before",
)
_JUDGED = "SELECT DISTINCT deployment FROM main.gate WHERE ended IS NULL"
_BEGINS = "SELECT min(begins) FROM main.gate WHERE ended IS NULL"

log = logging.getLogger("shipway.control")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Outcomes and texts are kept for `keep_s` seconds."""

    database: Database
    gates: Gates
    watermarks: Watermarks
    keep_s: float

    async def run(self, threads: Executor) -> None:
        """Go on until cancelled."""
        loop, pruned = asyncio.get_running_loop(), float("-inf")
        began = loop.time()
        while True:
            await loop.run_in_executor(threads, _tried, self.look)
            if loop.time() - pruned > PRUNE_S:
                pruned = loop.time()
                await loop.run_in_executor(threads, _tried, self.prune)
                if pruned - began > replicas.FORGOTTEN_S:  # before that, who is silent may wait for control
                    await loop.run_in_executor(threads, _tried, lambda: self.gates.end_left(time.time()))
            await asyncio.sleep(LOOK_S)

    def look(self, now: float | None = None) -> None:
        """Close what is due, and let each gate that runs see it."""
        at = time.time() if now is None else now
        with self.database.read() as transaction:
            judged = [row[0] for row in transaction.rows(_JUDGED)]
        if judged:
            with self.database.write() as transaction:
                for deployment in judged:
                    self.watermarks.move(transaction, deployment, at, at)
        self.gates.look()

    def prune(self, now: float | None = None) -> int:
        """Take away what is older than it is kept, and not a running gate's; returns how many rows."""
        at = time.time() if now is None else now
        with self.database.write() as transaction:
            replicas.forget(transaction, at)
            minutes.forget(transaction, at)
            begins = transaction.rows(_BEGINS)[0][0]
        bounds = {"before": at - self.keep_s, "begins": 2**62 if begins is None else begins}
        return sum(self._prune(statement, bounds) for statement in _OLD)

    def _prune(self, statement: str, bounds: Mapping[str, float]) -> int:
        total, count = 0, _AT_ONCE
        while count >= _AT_ONCE:
            with self.database.write() as transaction:
                count = transaction.change(statement, **bounds, most=_AT_ONCE)
            total += count
        return total


def _tried(work: Callable[[], object]) -> None:
    try:
        work()
    except StoreError:
        pass  # readiness says so
    except Exception:
        log.exception("upkeep failed")
