"""Streams of an agent's answer, many at once or one after another.

In: a running server. Out: seconds from a request to the first piece of the answer; streams that stay open
while something else is measured. Raw sockets: a client library would be half of what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from servers import NEW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servers import Call, Server

WORD = b"pong"
PATIENCE_S = 60.0
AT_ONCE = 50  # streams that are being opened


def request(call: Call, text: str) -> bytes:
    """The whole HTTP request that asks `text`."""
    body = json.dumps(call.body(text)).replace(NEW, uuid.uuid4().hex).encode()
    head = (
        f"POST {call.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def first_piece(server: Server) -> float:
    """Seconds from sending a request, on a connection of its own, to the agent's first word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            began = time.perf_counter()
            writer.write(request(server.stream, "ping"))
            await _word(reader)
            return time.perf_counter() - began
    finally:
        await _close(writer)


@asynccontextmanager
async def held(server: Server, number: int) -> AsyncIterator[None]:
    """`number` streams, each of which has given its first word and stays open."""
    slots = asyncio.Semaphore(AT_ONCE)
    writers: list[asyncio.StreamWriter] = []

    async def hold() -> None:
        async with slots:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(writer)
            writer.write(request(server.stream, "hold"))
            await _word(reader)

    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(hold() for _ in range(number)))
        yield
    finally:
        await asyncio.gather(*map(_close, writers))


async def _word(reader: asyncio.StreamReader) -> None:
    """Return when the agent's word has come. The request's echo does not hold it, and no header does."""
    seen = b""
    while WORD not in seen:
        more = await reader.read(65536)
        if not more:
            raise RuntimeError(f"the stream ended before the first word: {seen[-500:]!r}")
        seen = seen[-len(WORD) :] + more if len(seen) > 1_000_000 else seen + more
        if seen.startswith(b"HTTP/1.1 ") and not seen.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"no stream: {seen[:500]!r}")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
