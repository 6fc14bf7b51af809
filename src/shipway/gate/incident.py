"""A shared incident: both arms are worse than stable was at first, so that the cause is not the canary's
alone.

In: scores of both arms by one metric, the first of stable's being the reference. Out: `degraded`. A
database that is down makes both arms fail: neither is going back a cure then, nor is going on safe.
"""

from __future__ import annotations

from math import sqrt

from shipway.gate.betting import Process

SLACK = 0.05
"""A loss against the reference that is no incident: days and hours differ."""

STABLE, CANARY = 1000.0, 20.0
"""Evidence from which an arm counts as degraded; stable says it first, the canary has less to say it with."""


class Incident:
    """Both arms against stable's own beginning, `reference` conversations of it."""

    __slots__ = ("_canary", "_count", "_reference", "_stable", "_sum", "floor")

    def __init__(self, reference: int) -> None:
        self._reference = reference
        self._count = 0
        self._sum = 0.0
        self._stable: Process | None = None
        self._canary: Process | None = None
        self.floor: float | None = None
        """The least mean that is no incident, once the reference is known."""

    def refer(self, score: float) -> None:
        """One score of stable's, of which the first ones make the reference."""
        if self.floor is not None:
            return
        self._count += 1
        self._sum += score
        if self._count == self._reference:
            mean = self._sum / self._count
            self.floor = max(0.0, mean - SLACK - 2.0 * sqrt(mean * (1.0 - mean) / self._count))
            self._stable = Process(1.0 - self.floor, late=True, most=10.0 * STABLE)
            self._canary = Process(1.0 - self.floor, late=True, most=10.0 * CANARY)

    def see(self, stable: float, canary: float) -> None:
        """The arms' means over the same few minutes."""
        if self.floor is not None and self._stable and self._canary:
            self._stable.see(self.floor - stable)
            self._canary.see(self.floor - canary)

    @property
    def degraded(self) -> bool:
        """Until one of them is well again: capital is bounded here, so that it is lost soon."""
        if self._stable is None or self._canary is None:
            return False
        return self._stable.evidence >= STABLE and self._canary.evidence >= CANARY
