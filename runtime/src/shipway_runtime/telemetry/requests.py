"""HTTP requests of the API port, counted and timed: a thin layer around its application, the user's own too.

In: ASGI. Out: ASGI, unchanged; a histogram for each status, and what is in flight. A request that brings
trace context has it in the log lines that are written for it, and its turn belongs to that trace.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from . import current, w3c
from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from prometheus_client import Metric

    from ..adapters.kinds import AsgiApp

BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Seconds."""
FAILED = 500  # what the server answers for an application that raised
LEFT = 499  # nobody was answered: the client had left. nginx's number, which dashboards know
_KEYS = frozenset(key.encode() for key in w3c.KEYS)


class Requests:
    """An application, and the numbers of its requests. WebSockets are in flight, and not timed."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.in_flight = 0
        self.durations: dict[int, Histogram] = {}

    def collect(self) -> Iterable[Metric]:
        """A source of metrics."""
        from .families import of_requests

        return of_requests(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self.in_flight += 1
        try:
            if any(name in _KEYS for name, _ in scope["headers"]):
                with current.Request(_carried(scope["headers"])):
                    await self._time(scope, receive, send)
            else:
                await self._time(scope, receive, send)
        finally:
            self.in_flight -= 1

    async def _time(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = LEFT, time.perf_counter()

        def note(message: Mapping[str, Any]) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            sent: Awaitable[None] = send(message)
            return sent

        try:
            await self._app(scope, receive, note)
        except Exception:
            status = FAILED if status == LEFT else status
            raise
        finally:
            histogram = self.durations.get(status)
            if histogram is None:
                histogram = self.durations[status] = Histogram(BUCKETS)
            histogram.observe(time.perf_counter() - began)


def _carried(headers: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name in _KEYS:  # lists may come in several headers
            key, text = name.decode(), value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text
    return w3c.context(found)
