"""Connections of the API port: those of slow clients end.

In: uvicorn's own HTTP protocol on httptools. Out: a class of it that waits for headers, and for a
client to read, only so long. uvicorn waits for both without a bound, and one machine could hold every
descriptor. Bodies are bounded where they are read, in exchange.py: another application may take longer ones.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HEADERS_S = 20.0
"""From the connection, or from the first byte after an answer, to the end of the headers."""

HEADERS_LIMIT = 65536
"""Bytes of one request's headers, as h11 has it; httptools has no limit of its own."""

READ_S = 60.0
"""For a client to take what fills the connection's buffer."""


def protocol(headers_s: float = HEADERS_S, read_s: float = READ_S) -> type[asyncio.Protocol]:
    """The protocol class to give to uvicorn."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    base: Any = HttpToolsProtocol

    class Bounded(base):  # type: ignore[misc]
        """One connection."""

        _headers_timer: asyncio.TimerHandle | None = None
        _headers_bytes = 0
        _read_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._headers_timer = self._in(headers_s, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            waiting = self.cycle is None or self.cycle.response_complete
            if not waiting:
                self._stop("_headers_timer")
                self._headers_bytes = 0
                return
            self._headers_bytes += len(data)
            if self._headers_bytes > HEADERS_LIMIT:
                self.transport.close()
            elif self._headers_timer is None:
                self._headers_timer = self._in(headers_s, self.transport.close)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._read_timer = self._in(read_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop("_read_timer")

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop("_headers_timer")
            self._stop("_read_timer")
            super().connection_lost(exc)

        def _in(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
            return asyncio.get_running_loop().call_later(seconds, do)

        def _stop(self, name: str) -> None:
            if timer := getattr(self, name):
                timer.cancel()
                setattr(self, name, None)

    return Bounded
