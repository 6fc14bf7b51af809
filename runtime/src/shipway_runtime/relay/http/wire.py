"""Plain HTTP/1.1 to one server: a transport for httpx2 that does nothing else, at half the cost.

In: requests. Out: responses, streamed. Most of what a relayed call costs is its HTTP client, which keeps
pools of many origins, TLS, HTTP/2 and three event loops apart. A sidecar is one origin without any of them.
Errors are httpx2's own. Connections are kept for the next request, a few and not for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING

import h11
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_KEPT, _KEPT_S = 20, 5.0  # idle connections, and how long each; servers close theirs after about as long
_UNREAD = 2**18  # bytes that wait for a slow reader, before the server has to


class _Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.http = h11.Connection(h11.CLIENT)
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._news.set()
        if len(self._data) > _UNREAD and self._transport:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self.ended = True
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    @property
    def usable(self) -> bool:
        """Whether an idle connection can take a request: not closed, and nothing unasked for came."""
        return not (self.ended or self._data)

    async def write(self, data: bytes) -> None:
        assert self._transport
        self._transport.write(data)
        await self._room.wait()

    async def event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next part of the response. Raises httpx2.RemoteProtocolError, also when it breaks off."""
        try:
            while (event := self.http.next_event()) is h11.NEED_DATA:
                self.http.receive_data(await self._read())
        except h11.RemoteProtocolError as error:
            raise httpx2.RemoteProtocolError(str(error)) from None
        if isinstance(event, h11.ConnectionClosed):
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")
        return event

    async def _read(self) -> bytes:
        while not (self._data or self.ended):
            self._news.clear()
            await self._news.wait()
        data = bytes(self._data)
        self._data.clear()
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        if self._transport:
            self._transport.close()


class PlainTransport(httpx2.AsyncBaseTransport):
    """For requests to one `http://` origin, not through a proxy."""

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._idle: deque[tuple[float, _Wire]] = deque()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        wire = self._take() or await self._connect(request.url)
        try:
            body = await request.aread()
            await wire.write(_encode(wire.http, request, body))
            while not isinstance(event := await wire.event(), h11.Response):
                pass  # 100 and its like
        except h11.LocalProtocolError as error:
            wire.close()
            raise httpx2.LocalProtocolError(str(error)) from None
        except BaseException:
            wire.close()
            raise
        body_stream = _Body(self, wire)
        return httpx2.Response(event.status_code, headers=event.headers.raw_items(), stream=body_stream)

    def _take(self) -> _Wire | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            until, wire = self._idle.pop()
            if wire.usable and now < until:
                return wire
            wire.close()
        return None

    async def _connect(self, url: httpx2.URL) -> _Wire:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, wire = await loop.create_connection(_Wire, url.host, url.port or 80)
        except TimeoutError:
            raise httpx2.ConnectTimeout(f"no connection within {self._connect_timeout:g} s") from None
        except OSError as error:
            raise httpx2.ConnectError(os.strerror(error.errno) if error.errno else str(error)) from None
        return wire

    def give_back(self, wire: _Wire) -> None:
        """Keep the connection for the next request, when its response was read to the end."""
        with contextlib.suppress(h11.LocalProtocolError):
            wire.http.start_next_cycle()
            if wire.usable and len(self._idle) < _KEPT:
                self._idle.append((asyncio.get_running_loop().time() + _KEPT_S, wire))
                return
        wire.close()

    async def aclose(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, transport: PlainTransport, wire: _Wire) -> None:
        self._transport, self._wire = transport, wire
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._wire.event(), h11.Data):
            yield bytes(event.data)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.give_back(self._wire)


def _encode(http: h11.Connection, request: httpx2.Request, body: bytes) -> bytes:
    """The whole request in one piece: one write, one segment."""
    head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    parts = [head, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
    return b"".join(data for part in parts if (data := http.send(part)))
