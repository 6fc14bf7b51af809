"""How others decide about a canary, as their documents say it; and shipway's gate itself.

In: one conversation after the other: whether it is the canary's, and its score in [0, 1]. Out: `see` says
whether the canary goes back now.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from math import erfc, exp, sqrt
from typing import Any, ClassVar, Protocol

from gate_worlds import STABLE

from shipway.gate import Calibration, Conversation, Gate, GatePlan
from shipway_runtime.contract import Outcome

ALPHA = 0.05
MARGIN = 0.02
WINDOW = 50
"""Conversations of the canary between two looks of the methods that look at windows."""


class Method(Protocol):
    def see(self, canary: bool, score: float) -> bool: ...


def conversation(canary: bool, score: float, **fields: Any) -> Conversation:
    """A closed conversation of one turn, which has this live score."""
    revision = "canary" if canary else "stable"
    values = {"status": "ok", "score": score} | fields
    turn = Outcome("c", 1, revision, None, 0.0, 0.0, 1.0, latency_s=1.0, **values)
    return Conversation((None, "c"), revision, 0.0, 1.0, (turn,))


_MADE = {(arm, score): conversation(arm, score) for arm in (False, True) for score in (0.0, 1.0)}


class Ours:
    """The real Gate, looked at after every conversation of the canary."""

    def __init__(self, judge: Calibration | None = None) -> None:
        judges = {"live": judge} if judge else {}
        self._gate = Gate(GatePlan("canary", "stable", None, {"live": MARGIN}, ALPHA, judges))

    def see(self, canary: bool, score: float) -> bool:
        self._gate.see(_MADE.get((canary, score)) or conversation(canary, score))
        return canary and self._gate.failed


class OursByThree:
    """The same with three metrics under one alpha: the live score, and two by which the arms are equal."""

    _made: ClassVar = {
        (arm, score, ok, calls_ok): conversation(
            arm, score, status="ok" if ok else "error", tool_calls=1, tool_errors=int(not calls_ok)
        )
        for arm in (False, True)
        for score in (0.0, 1.0)
        for ok in (False, True)
        for calls_ok in (False, True)
    }

    def __init__(self, seed: int) -> None:
        names = ("live", "errors", "tools")
        self._gate = Gate(GatePlan("canary", "stable", None, dict.fromkeys(names, MARGIN), ALPHA))
        self._chance = random.Random(f"three {seed}").random  # noqa: S311

    def see(self, canary: bool, score: float) -> bool:
        ok, calls_ok = self._chance() < STABLE, self._chance() < STABLE
        self._gate.see(self._made[canary, score, ok, calls_ok])
        return canary and self._gate.failed


class _Windows(ABC):
    """What looks at a window of the canary at a time, with stable's conversations beside it."""

    def __init__(self) -> None:
        self._scores: dict[bool, list[float]] = {False: [], True: []}

    def see(self, canary: bool, score: float) -> bool:
        self._scores[canary].append(score)
        if len(self._scores[True]) < WINDOW:
            return False
        stable, self._scores = self._scores[False], {False: [], True: self._scores[True]}
        own, self._scores[True] = self._scores[True], []
        return self.back(stable, own)

    @abstractmethod
    def back(self, stable: list[float], canary: list[float]) -> bool:
        """Whether the scores of these two windows say that the canary is worse."""


class Threshold(_Windows):
    """Argo Rollouts and Flagger: a success condition, and how many failed measurements are too many."""

    def __init__(self, least: float, limit: int = 2) -> None:
        super().__init__()
        self._least, self._limit, self._failed = least, limit, 0

    def back(self, stable: list[float], canary: list[float]) -> bool:
        self._failed += sum(canary) / len(canary) < self._least
        return self._failed > self._limit


class ZTest(_Windows):
    """Two proportions, one-sided, each window at alpha."""

    def back(self, stable: list[float], canary: list[float]) -> bool:
        n, m = len(stable), len(canary)
        if not n:
            return False
        pooled = (sum(stable) + sum(canary)) / (n + m)
        deviation = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        loss = sum(stable) / n - sum(canary) / m
        return deviation > 0 and erfc(loss / deviation / sqrt(2)) / 2 < ALPHA


class MannWhitney(_Windows):
    """Kayenta: ranks, two-sided at 98 %, corrected for ties and continuity; the canary's are lower."""

    def back(self, stable: list[float], canary: list[float]) -> bool:
        n, m = len(stable), len(canary)
        ranks, ties = _ranks(stable + canary)
        u = sum(ranks[n:]) - m * (m + 1) / 2
        total = n + m
        variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
        if variance <= 0:
            return False
        z = (n * m / 2 - u - 0.5) / sqrt(variance)
        return erfc(z / sqrt(2)) / 2 < 0.01


def _ranks(values: list[float]) -> tuple[list[float], float]:
    """Mid-ranks, and the sum of t^3 - t over ties."""
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    below, rank = 0, {}
    for value in sorted(counts):
        rank[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    return [rank[value] for value in values], sum(count**3 - count for count in counts.values())


class Sprt:
    """Mixture SPRT on differences beyond the margin, with an estimated variance: as A/B platforms do."""

    def __init__(self, spread: float = 0.1) -> None:
        self._spread = spread**2
        self._stable = [0, 0.0]
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def see(self, canary: bool, score: float) -> bool:
        if not canary:
            self._stable[0] += 1
            self._stable[1] += score
            return False
        if not self._stable[0]:
            return False
        loss = self._stable[1] / self._stable[0] - score - MARGIN
        self._stable = [0, 0.0]
        self._count += 1
        self._sum += loss
        self._squares += loss * loss
        n = self._count
        mean = self._sum / n
        if n < 20 or mean <= 0:
            return False
        variance = max(self._squares / n - mean * mean, 1e-6)
        wide = variance + n * self._spread
        exponent = min(self._spread * self._sum**2 / (2 * variance * wide), 700.0)
        return sqrt(variance / wide) * exp(exponent) >= 1 / ALPHA


PEERS = {
    "threshold .90, thrice": lambda: Threshold(0.90),
    "threshold .85, thrice": lambda: Threshold(0.85),
    "z-test per window": ZTest,
    "Mann-Whitney per window": MannWhitney,
    "mixture SPRT": Sprt,
}
