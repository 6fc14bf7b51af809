"""One HTTP exchange: the request as it came in through ASGI, and the reply as a value.

In: an ASGI scope and its channels. Out: `Request` for handlers to read; `deliver` sends their `Reply`.
Plain ASGI on purpose: the relay must answer within the first 250 ms of the container's life, and importing a
web framework takes a third of that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from .messages import RpcError, encode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STREAM_HEADERS = {"content-type": "text/event-stream", "cache-control": "no-cache, no-transform"}


class Refused(Exception):
    """A request that is turned away before its JSON-RPC message is looked at."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. A generator as `body` is streamed, and closed when the client hangs up."""

    status: int
    body: bytes | AsyncGenerator[bytes, None] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(message: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, encode(message), {"content-type": "application/json", **(headers or {})})


def error_reply(error: RpcError, request_id: Any, *, modern: bool) -> Reply:
    """A JSON-RPC error. Legacy clients get it with 200: mcp 1.x dies of any status from 400 up."""
    return json_reply(error.answer(request_id), error.status if modern else 200)


class Request:
    """What came in. Header names are in lower case; what is repeated is joined by commas, as HTTP has it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._receive = receive

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises Refused above `limit` bytes or when the client hangs up."""
        if int(self.headers.get("content-length", "0")) > limit:
            raise Refused(413, f"expected at most {limit} bytes of request body")
        chunks, size, more = [], 0, True
        while more:
            part = await self._receive()
            if part["type"] == "http.disconnect":
                raise Refused(400, "the client hung up before its request was complete")
            chunks.append(part.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise Refused(413, f"expected at most {limit} bytes of request body")
            more = part.get("more_body", False)
        return b"".join(chunks)

    async def disconnected(self) -> None:
        """Returns when the client hangs up. Only after the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def deliver(reply: Reply, request: Request, send: Send) -> None:
    """Send a reply; a streamed one until its end or until the client hangs up."""
    stream = reply.body if not isinstance(reply.body, bytes) else None
    headers = dict(reply.headers)
    if isinstance(reply.body, bytes):
        headers["content-length"] = str(len(reply.body))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    if stream is None:
        await send({"type": "http.response.body", "body": reply.body})
    else:
        await first(_pump(stream, send), request.disconnected())


async def _pump(stream: AsyncGenerator[bytes, None], send: Send) -> None:
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def first(work: Awaitable[Any], signal: Awaitable[Any]) -> Any:
    """The result of `work`, which is cancelled when `signal` comes first; then None."""
    tasks = asyncio.ensure_future(work), asyncio.ensure_future(signal)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return None if tasks[0].cancelled() else tasks[0].result()


def parse_accept(request: Request) -> tuple[bool, bool]:
    """Whether the client takes plain JSON, and whether it takes server-sent events."""
    accept = request.headers.get("accept", "*/*")
    everything = "*/*" in accept
    return everything or "application/json" in accept, everything or "text/event-stream" in accept
