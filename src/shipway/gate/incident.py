"""A shared incident: both arms are worse than stable was at first, so the cause is not the canary alone.

In: stable's first scores by one metric, the reference; then the arms' means over the same few minutes. Out:
`degraded`. When a database is down both arms fail: going back is no cure then, and going on is not safe.
"""

from __future__ import annotations

from math import sqrt

from shipway.gate.betting import Process

SLACK = 0.03
"""A loss against the reference that is no incident: days and hours differ."""

ENOUGH = 20.0
"""Evidence from which stable counts as degraded. A pause costs less than a rollback."""

MOST = 100.0 * ENOUGH
"""More is not kept, so that it is lost soon when stable is well again."""


class Incident:
    """Both arms against stable's own beginning, `reference` conversations of it."""

    __slots__ = ("_count", "_reference", "_stable", "_sum", "floor")

    def __init__(self, reference: int) -> None:
        self._reference = reference
        self._count = 0
        self._sum = 0.0
        self._stable: Process | None = None
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
            self._stable = Process(1.0 - self.floor, late=True, most=MOST)

    def see(self, stable: float) -> None:
        """Stable's mean over a few minutes."""
        if self._stable is not None and self.floor is not None:
            self._stable.see(self.floor - stable)

    def degraded(self, canary: float | None) -> bool:
        """Whether stable is worse than it was, and the canary's recent mean is no better than that."""
        if self._stable is None or self.floor is None or canary is None:
            return False
        return self._stable.evidence >= ENOUGH and canary < self.floor
