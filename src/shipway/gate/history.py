"""Evidence over time, for a plot, in a bounded number of points.

In: the evidence after each conversation of the canary. Out: points at even steps; when there are too many,
every second one goes and steps are twice as long.
"""

from __future__ import annotations

from shipway.gate.judgement import Point

POINTS = 256


class History:
    __slots__ = ("_last", "_points", "_seen", "_step")

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._last: Point | None = None
        self._seen = 0
        self._step = 1

    def see(self, at: float, canary: int, evidence: float, metrics: dict[str, float]) -> None:
        """Times of a plot do not go back; conversations that close within the same minute come by their
        start."""
        at = max(at, self._last.at) if self._last else at
        self._last = Point(at, canary, evidence, metrics)
        if self._seen % self._step == 0:
            self._points.append(self._last)
        self._seen += 1
        if len(self._points) >= POINTS:
            del self._points[1::2]
            self._step *= 2

    @property
    def points(self) -> tuple[Point, ...]:
        """The oldest first; the newest is always there."""
        newest = () if self._last is None or self._points[-1] is self._last else (self._last,)
        return (*self._points, *newest)
