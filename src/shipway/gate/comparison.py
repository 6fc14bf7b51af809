"""Two revisions by one metric: conversations of both arms -> evidence of harm, and evidence of none.

In: conversations, in one order. Out: the two processes, the arms' means, whether both arms have degraded.

Scores of both arms are buffered until the canary has one and stable has one: the difference of their means
is one bet. Both arms of a bet are of the same minutes, so that what changes for both changes nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.gate.betting import Process
from shipway.gate.incident import Incident
from shipway.gate.judgement import Arm
from shipway.gate.metrics import METRICS, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.gate.metrics import Metric
    from shipway_runtime.contract import Outcome


RECENT = 50
"""Bets that `Arm.recent` is about."""


class _Mean:
    __slots__ = ("count", "missing", "recent", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.recent: float | None = None
        self.missing = 0

    def see(self, score: float) -> None:
        self.count += 1
        self.sum += score

    def lately(self, mean: float) -> None:
        self.recent = mean if self.recent is None else self.recent + (mean - self.recent) / RECENT

    def take(self) -> float:
        """The mean, after which it is empty again."""
        mean = self.sum / self.count
        self.count, self.sum = 0, 0.0
        return mean

    @property
    def arm(self) -> Arm:
        mean = self.sum / self.count if self.count else None
        return Arm(self.count, mean, self.recent, self.missing)


class Comparison:
    """By the metric `name`; the canary may be `margin` worse."""

    def __init__(self, name: str, margin: float) -> None:
        self.name = name
        self.margin = margin
        self.harm = Process(1.0 + margin, late=True)
        self.fine = Process(1.0)
        self._incident = Incident(REFERENCE)
        self.limit: float | None = None if self.metric.limit else 0.0
        self._amounts: list[float] = []
        self._references = 0
        self._arms = {canary: _Mean() for canary in (False, True)}
        self._buffers = {canary: _Mean() for canary in (False, True)}

    def see(self, canary: bool, turns: Sequence[Outcome], history: bool = False) -> None:
        """One conversation. `history`: it is of before the canary, and makes references alone."""
        if self.limit is None:
            self._refer(canary, turns, history)
            return
        score = self.metric.score(turns, self.limit)
        if score is None:
            self._arms[canary].missing += not history
            return
        if not canary:
            self._incident.refer(score)
        if not history:
            self.compare(canary, score)

    def compare(self, canary: bool, score: float) -> None:
        """One score, in [0, 1]."""
        self._arms[canary].see(score)
        self._buffers[canary].see(score)
        if canary and self._buffers[False].count:
            self._bet(self._buffers[False].take(), self._buffers[True].take())

    def see_pair(self, before: float, after: float) -> None:
        """One case that both answered: stable's score and the canary's."""
        self._arms[False].see(before)
        self._arms[True].see(after)
        self._bet(before, after)

    def _bet(self, stable: float, canary: float) -> None:
        """Two means that can be compared: a bet either way on what the canary has lost."""
        loss = stable - canary
        self.harm.see(loss - self.margin)
        self.fine.see(self.margin - loss)
        self._incident.see(stable)
        self._arms[False].lately(stable)
        self._arms[True].lately(canary)

    def _refer(self, canary: bool, turns: Sequence[Outcome], history: bool) -> None:
        """Until the limit is frozen, stable's conversations make it, and the canary's wait for it in vain."""
        amounts = self.metric.amounts(turns) if self.metric.amounts else []
        self._arms[canary].missing += not amounts and not history
        if canary or not amounts or not self.metric.limit:
            return
        self._amounts += amounts
        self._references += 1
        if self._references == REFERENCE:
            self.limit = self.metric.limit(sorted(self._amounts))
            self._amounts.clear()

    @property
    def degraded(self) -> bool:
        """Both arms are worse than stable was at first."""
        return self._incident.degraded(self._arms[True].recent)

    @property
    def metric(self) -> Metric:
        """Looked up, not kept: so that a gate can be pickled."""
        return METRICS[self.name]

    @property
    def stable(self) -> Arm:
        return self._arms[False].arm

    @property
    def canary(self) -> Arm:
        return self._arms[True].arm
