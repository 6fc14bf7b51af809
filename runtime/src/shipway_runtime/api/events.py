"""Server-Sent Events: an answer that comes bit by bit.

In: blocks of encoded events, as they come. Out: a stream that stays alive while nothing comes, and that is
told of a drain. Comment lines carry both: every parser must skip them, so no client can trip over them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from .exchange import encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.types import Send

    from ..turn import Turn

KEEP_ALIVE_S = 15.0  # proxies cut streams on which nothing comes, many after 60 s, some after 30
KEEP_ALIVE = b": keep-alive\n\n"

DRAIN_NOTICE = b": shipway.drain\n\n"
"""One that looks (and an access log) sees that this is the last answer from here. An event of our own would
reach SDKs that raise for types they do not know."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


def encode_event(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    """One event: `event:` where it has a name, and `data:` as JSON on one line."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {encode(data)}\n\n".encode("utf-8", "replace")


class EventStream:
    """One answer of events. Who reads slowly makes `write` wait, so that nothing piles up."""

    def __init__(self, send: Send, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._send, self._keep_alive_s = send, keep_alive_s
        self._open = self._quiet = True
        self._comments: set[asyncio.Task[None]] = set()

    async def write(self, block: bytes) -> None:
        self._quiet = False
        await self._send({"type": "http.response.body", "body": block, "more_body": True})

    async def comment(self, line: bytes) -> None:
        """Say something beside the events; from any task."""
        if self._open:
            await self._send({"type": "http.response.body", "body": line, "more_body": True})

    @contextlib.asynccontextmanager
    async def running(self, headers: Mapping[str, str]) -> AsyncIterator[None]:
        """Begin, and keep alive while the block runs."""
        raw = [*HEADERS, *((name.encode(), value.encode()) for name, value in headers.items())]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        self._wait()
        try:
            yield
        finally:
            self._open = False
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._keep_alive_s, self._tick)

    def _tick(self) -> None:
        if self._quiet and not self._comments:
            task = asyncio.create_task(self.comment(KEEP_ALIVE))
            self._comments.add(task)
            task.add_done_callback(self._comments.discard)
        self._quiet = True
        self._wait()


async def send_events(
    blocks: AsyncGenerator[bytes, None], turn: Turn, send: Send, headers: Mapping[str, str]
) -> None:
    """Send blocks of events as they come. The end is `send_end`'s."""
    stream = EventStream(send)
    async with stream.running(headers), contextlib.aclosing(blocks):
        turn.tell = lambda: stream.comment(DRAIN_NOTICE)
        async for block in blocks:
            await stream.write(block)


async def send_end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})
