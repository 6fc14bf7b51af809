"""One HTTP exchange: a JSON body in, Server-Sent Events out, and a client that may leave at any moment.

In: ASGI's `receive` and `send`. Out: a parsed body no larger than allowed; a stream that is told of a
drain; a cancelled task when nobody waits for the answer any more. Errors: ApiError 400 and 413.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from ..turn import Turn, TurnError
from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.types import Message, Receive, Scope, Send

WATCH_AFTER_S = 0.02

DRAIN_NOTICE = b": shipway.drain\n\n"
"""A comment line: every parser of event streams must skip it, so no client can trip over it, while one that
looks (and an access log) sees that this is the last answer from here. An event of our own would reach SDKs
that raise for types they do not know."""


async def read_json(scope: Scope, receive: Receive, limit: int) -> Any:
    """The request's body, parsed. `limit` is in bytes."""
    too_large = ApiError(413, f"the body is larger than the {limit} bytes allowed", code="body_too_large")
    if int(Headers(scope=scope).get("content-length") or 0) > limit:
        raise too_large
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise too_large
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None


@contextlib.asynccontextmanager
async def errors_answered(scope: Scope, receive: Receive, send: Send) -> AsyncIterator[None]:
    """Runs its block, and answers what it raises in OpenAI's shape."""
    try:
        yield
    except ApiError as error:
        await error.response()(scope, receive, send)
    except TurnError as error:
        await ApiError.of(error).response()(scope, receive, send)
    except ClientDisconnect:
        pass


@contextlib.asynccontextmanager
async def cancelled_when_gone(receive: Receive) -> AsyncIterator[None]:
    """Runs its block, and cancels it when the client leaves; the block then just ends."""
    task, watcher = asyncio.current_task(), None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if task:
            task.cancel()

    def start() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    # An answer that is there at once needs no watcher, whose task would be a tenth of its cost.
    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, start)
    try:
        yield
    except asyncio.CancelledError:
        if not (gone and task):
            raise
        task.uncancel()
    finally:
        timer.cancel()
        if watcher:
            watcher.cancel()


async def send_events(
    events: AsyncGenerator[bytes, None], turn: Turn, send: Send, headers: Mapping[str, str]
) -> None:
    """Send encoded events as they come."""
    given = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",  # nginx would hold events back
        **headers,
    }
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    turn.tell = lambda: send(_part(DRAIN_NOTICE))
    async with contextlib.aclosing(events):
        async for event in events:
            await send(_part(event))
    turn.tell = None
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def encode_event(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    """One event: `event:` where it has a name, and `data:` as JSON on one line."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
