"""What tenants have used: a bucket for requests, windows for tokens and dollars.

In: amounts and a clock. Out: whether there is room, and when there will be. Pure but for what it counts, and
without a lock: the main loop alone counts. A limit is no part of a meter: it is shown at each look, so a
limit that changes applies at once to what was used under the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..conversations.budgets import begin

if TYPE_CHECKING:
    from .merge import Rate

SOON_S = 1.0
"""When to come back where turns in flight hold what is left: one of them may need less than it reserved."""


class Bucket:
    """Requests: an amount at once, then as they drain. It counts what is in it, not what is left."""

    __slots__ = ("_at", "_full")

    def __init__(self, now: float) -> None:
        self._full, self._at = 0.0, now

    def look(self, rate: Rate, now: float) -> float:
        """Seconds until there is room for one more; 0 when there is. `now` never goes back."""
        amount, seconds = rate
        full = self._full - (now - self._at) * amount / seconds
        self._full, self._at = (full if full > 0 else 0.0), now
        over = self._full + 1 - amount
        # What was put in and drained again comes back with a rounding error; nobody is to wait for that.
        return over * seconds / amount if over > 1e-9 else 0.0

    def put(self) -> None:
        """One more; after a look that found room for it."""
        self._full += 1

    @property
    def used(self) -> float:
        """Requests in it at the last look."""
        return self._full


class Window:
    """An amount in each span of `seconds`, which all begin at the epoch: a day is a day of UTC."""

    __slots__ = ("_reserved", "_seconds", "_start", "_used")

    def __init__(self, seconds: int) -> None:
        self._seconds, self._start = seconds, -1
        self._used = self._reserved = 0.0

    def look(self, rate: Rate, need: float, now: float) -> float:
        """Seconds until `need` may fit; 0 when it fits. One larger than the limit needs all of it."""
        amount = rate[0]
        start = self.begin(now)
        need = min(need, amount)
        if self._used >= amount or self._used + need > amount:
            return start + self._seconds - now
        return SOON_S if self._used + self._reserved + need > amount else 0.0

    def begin(self, now: float) -> int:
        """When the window of this moment began; what was used in an earlier one is over."""
        if (start := begin(self._seconds, now)) != self._start:
            self._start, self._used = start, 0.0
        return start

    def reserve(self, need: float) -> None:
        """Hold `need` for a turn; a negative one gives it back."""
        self._reserved += need

    def use(self, amount: float, now: float) -> None:
        """Count what a turn has used."""
        self.begin(now)
        self._used += amount

    def know(self, used: float, now: float) -> None:
        """What a store knows of this window: of other replicas, and of before a restart."""
        self.begin(now)
        self._used = max(self._used, used)

    def document(self) -> dict[str, float]:
        """As GET /policy shows it."""
        return {"used": round(self._used, 6), "reserved": round(self._reserved, 6)}
