"""Connections of the API port: those of slow clients end.

In: uvicorn's own HTTP protocol on httptools. Out: a class of it that waits for headers, and for a client to
read, only so long. uvicorn waits for both without a bound, and one machine could hold every descriptor.
Bodies are bounded where they are read, in exchange.py: another application may take longer ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

HEADERS_LIMIT = 65536
"""Bytes of one request's headers, as h11 has it; httptools has no limit of its own."""


class Bounded(HttpToolsProtocol):
    """One connection."""

    headers_s = 20.0
    """From the connection, or from the first byte after an answer, to the end of the headers."""
    read_s = 60.0
    """For a client to take what fills the connection's buffer."""

    begun = 0
    """Bytes of a request whose headers are not complete."""
    _headers_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers_timer = self._in(self.headers_s, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._headers_came()
            return
        self.begun += len(data)
        if self.begun > HEADERS_LIMIT:
            self.transport.close()
        elif self._headers_timer is None:
            self._headers_timer = self._in(self.headers_s, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self._in(self.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._was_read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        self._was_read()
        super().connection_lost(exc)

    def _in(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, do)

    def _headers_came(self) -> None:
        self.begun = 0
        if self._headers_timer:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _was_read(self) -> None:
        if self._read_timer:
            self._read_timer.cancel()
            self._read_timer = None
