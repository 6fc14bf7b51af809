"""The GET stream of a legacy session, which stays open for its client while the server comes and goes.

mcp 1.x gives its stream up for good when two attempts in a row fail. So the client's end is kept here, and
the server's end is connected again, with the session behind it if the server has forgotten it.

In: a client's GET. Out: events as they are on the wire, and pings while there are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..framing import PING, PING_INTERVAL, EventSplitter, TooLong
from ..messages import RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2

    from ..exchange import Request
    from .upstream import Upstream

log = logging.getLogger("shipway.relay")

Show = Callable[[bytes], bytes]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two attempts, doubling
_STABLE = 5.0  # a stream that lived this long is connected again without a longer pause
_PATIENCE = 5.0  # seconds that a client waits for the first headers
_BACKLOG = 8  # events that wait for the client; then the server waits
_ID = re.compile(rb"^id: ?([^\r\n]+)", re.MULTILINE)


def is_stream(response: httpx2.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return bool(response.status_code == 200 and kind.startswith("text/event-stream"))


class Streams:
    """All standing streams of one server."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._standing: set[Standing] = set()

    async def connect(self, request: Request, patience: float) -> httpx2.Response | None:
        """What the server says to the client's GET; None when it does not come now, as it may later.

        Some servers send no headers before the first event. Raises nothing for a server that is away.
        """
        with contextlib.suppress(TimeoutError, RpcError):
            async with asyncio.timeout(min(_PATIENCE, patience)):
                response = await self._upstream.listen(request, None)
                if response.status_code < 500:
                    return response
                await response.aclose()
        return None

    async def keep(
        self, request: Request, response: httpx2.Response | None, show: Show
    ) -> AsyncGenerator[bytes, None]:
        """The client's stream, from the first connection on, which may still have to be made."""
        standing = Standing(self._upstream, request, show)
        self._standing.add(standing)
        try:
            async with contextlib.aclosing(standing.listen(response)) as events:
                async for event in events:
                    yield event
        finally:
            self._standing.discard(standing)

    async def end(self) -> None:
        """Hang up on every client, and let go of the server first."""
        readers = [standing.reader for standing in self._standing if standing.reader]
        for reader in readers:
            reader.cancel()
        if readers:
            await asyncio.wait(readers)
        for standing in self._standing:
            standing.ended.set()


class Standing:
    """One stream. `show` gives an event as the client may see it."""

    def __init__(self, upstream: Upstream, request: Request, show: Show) -> None:
        self.ended = asyncio.Event()
        self.reader: asyncio.Task[None] | None = None
        self._upstream = upstream
        self._request = request
        self._show = show
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue(_BACKLOG)
        self._last: tuple[str, str] | None = None  # the session at the server, and its last event's id

    async def listen(self, response: httpx2.Response | None) -> AsyncGenerator[bytes, None]:
        reader = self.reader = asyncio.create_task(self._read(response))
        ended = asyncio.create_task(self.ended.wait())
        try:
            yield PING  # so that headers leave at once
            while not self.ended.is_set():
                got = asyncio.ensure_future(self._outbox.get())
                await asyncio.wait({got, ended}, timeout=PING_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
                if not got.done():
                    got.cancel()
                    yield PING
                elif (event := got.result()) is None:
                    return
                else:
                    yield event
        finally:
            reader.cancel()
            ended.cancel()
            await asyncio.wait({reader, ended})

    async def _read(self, response: httpx2.Response | None) -> None:
        """Pass on what comes from the server, connection after connection, until it offers none."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                response = response or await self._upstream.listen(self._request, self._last)
                if not is_stream(response) and response.status_code < 500:
                    await response.aclose()
                    await self._outbox.put(None)
                    return
                await self._pass(response)
            except (self._upstream.connection_errors, RpcError, TooLong) as error:
                log.debug("the stream of %s is connected again: %s", self._upstream.url, error)
            response = None
            if self._upstream.session_of(self._request) is None:  # its client has closed it
                await self._outbox.put(None)
                return
            pause = _FIRST_PAUSE if time.monotonic() - began > _STABLE else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _pass(self, response: httpx2.Response) -> None:
        splitter, session = EventSplitter(self._upstream.limit), self._upstream.session_of(self._request)
        try:
            if not is_stream(response):
                return
            async for chunk in response.aiter_bytes():
                for raw in splitter.feed(chunk):
                    if session and (match := _ID.search(raw)):
                        self._last = session, match[1].decode("latin-1")
                    await self._outbox.put(self._show(raw))
        finally:
            await response.aclose()
