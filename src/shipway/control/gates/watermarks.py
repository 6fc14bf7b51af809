"""How far each deployment has been seen: conversations that were due before its watermark are closed.

In: outcomes' times, and the time. Out: the watermark, which only goes up, and is kept, so that a gate closes
the same conversations when it is put together again. It follows the newest outcome, and the clock where none
comes. For a while after a start it stands still: runtimes that have waited for control come one after the
other, and none of them is to be late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipway.control.store.database import StoreError

if TYPE_CHECKING:
    from shipway.control.store.database import Database, Transaction

HOLD_S = 150.0
"""After a start: twice what a runtime rests at most between two attempts to send."""

_READ = "SELECT at FROM main.watermark WHERE deployment = :deployment"
_WRITE = """
INSERT INTO main.watermark (deployment, at) VALUES (:deployment, :at)
ON CONFLICT (deployment) DO UPDATE SET at = excluded.at
"""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """As this process moves them. `held_until` is in seconds since the epoch."""

    held_until: float = field(default=0.0)

    def move(self, transaction: Transaction, deployment: int, at: float, now: float) -> float:
        """Move it up to `at`, if that is not in the future; returns where it was before."""
        found = read(transaction, deployment)
        if found is None or (now >= self.held_until and min(at, now) > found):
            transaction.change(_WRITE, deployment=deployment, at=min(at, now))
        return found if found is not None else 0.0


def begin(database: Database, now: float) -> Watermarks:
    """Those of a process that starts now. Where nothing was kept yet, nobody has waited."""
    try:
        with database.read() as transaction:
            known = bool(transaction.rows("SELECT 1 FROM main.watermark LIMIT 1"))
    except StoreError:  # it is away, and comes back
        known = True
    return Watermarks(now + HOLD_S if known else 0.0)


def read(transaction: Transaction, deployment: int) -> float | None:
    """Where it is; None where nothing has come yet."""
    rows = transaction.rows(_READ, deployment=deployment)
    return float(rows[0][0]) if rows else None
