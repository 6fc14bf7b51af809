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
    """Both arms against stable's own beginning."""

    __slots__ = ("_arms", "_count", "_reference", "_sum", "floor")

    def __init__(self, reference: int) -> None:
        self._reference = reference
        self._count = 0
        self._sum = 0.0
        self.floor: float | None = None
        """The least mean that is no incident, once the reference is known."""
        self._arms = {
            canary: Process(1.0, late=True, most=10.0 * enough)
            for canary, enough in ((False, STABLE), (True, CANARY))
        }

    def see(self, canary: bool, score: float) -> None:
        if self.floor is not None:
            self._arms[canary].see(self.floor - score)
        elif not canary:
            self._count += 1
            self._sum += score
            if self._count == self._reference:
                self.floor = self._floor()

    def _floor(self) -> float:
        mean = self._sum / self._count
        return max(0.0, mean - SLACK - 2.0 * sqrt(mean * (1.0 - mean) / self._count))

    @property
    def degraded(self) -> bool:
        """Until both arms are well again: capital is bounded, so that it is lost soon."""
        return self._arms[False].evidence >= STABLE and self._arms[True].evidence >= CANARY
