"""The replay as an ASGI app.

In: an `Answerer`; requests of unmodified SDKs. Out: its answers, with `x-shipway-replay` naming their file;
one line on stderr for each, and a miss in full. GET /healthz answers `ok`; HEAD and OPTIONS are answered here
and leave no line.

Plain ASGI: a stream is one `send` a chunk, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shipway.replay.apis.gemini_framing import Framed
from shipway.replay.exchange import Request
from shipway.replay.traffic import Incoming
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from starlette.types import ASGIApp, Receive, Scope, Send

    from shipway.replay.apis.provider import Events
    from shipway.replay.traffic import Answer, Answerer

HEADER = contract.REPLAY_HEADER
FAULT_HEADER = "x-shipway-fault"
TRANSPORT = "shipway.transport"
_OURS = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "date", "keep-alive", "server"}
    | {"transfer-encoding", "set-cookie"}
)
"""Headers of a recording that are not replayed: they describe its connection, not its answer."""


def create_app(answerer: Answerer) -> ASGIApp:
    """The app that asks `answerer` for everything but its own health, and whether it is there."""
    answerer = Framed(answerer)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            await _send(scope, send, 200, {"content-type": "text/plain"}, b"ok")
            return
        if scope["method"] in ("HEAD", "OPTIONS"):  # how clients look whether a server is there
            await _send(scope, send, 200, {"allow": "GET, POST, HEAD, OPTIONS"}, b"")
            return
        incoming = await _receive(scope, receive)
        answer = await answerer.answer(incoming)
        print(_log_line(incoming.request, answer), file=sys.stderr, flush=True)
        await _while_there(receive, _answer(scope, send, answer), bool(answer.delay_s or answer.speed))

    return app


async def _while_there(receive: Receive, sending: Coroutine[Any, Any, None], takes_time: bool) -> None:
    """Send; a client that leaves ends an answer that takes its time."""
    if not takes_time:
        await sending
        return
    task = asyncio.create_task(sending)
    gone = asyncio.create_task(_gone(receive))
    gone.add_done_callback(lambda _: task.cancel())
    try:
        await asyncio.wait((task,))
    finally:
        gone.cancel()
        task.cancel()
    if not task.cancelled():
        task.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _receive(scope: Scope, receive: Receive) -> Incoming:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    content = b"".join(parts)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    target = f"{path}?{query}" if query else path
    return Incoming(Request(scope["method"], scope["path"], _json(content)), target, headers, content)


def _json(body: bytes) -> Any:
    """The body as JSON; text that is none is compared as text."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _log_line(request: Request, answer: Answer) -> str:
    line = f"replay: {request.method} {request.path} {answer.status} {answer.source or 'miss'}"
    line += f", fault {answer.fault}" if answer.fault else ""
    return f"{line}\n{answer.note}" if answer.note else line


# -- Sending -------------------------------------------------------------------------------------------------


async def _answer(scope: Scope, send: Send, answer: Answer) -> None:
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    if not answer.status:
        await _cut(scope)
        return
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OURS}
    if answer.source:
        headers[HEADER] = quote(answer.source, safe="/:")
    if answer.fault:
        headers[FAULT_HEADER] = quote(answer.fault, safe="/: ()=")
    kind = next((v for name, v in answer.headers.items() if name.lower() == "content-type"), None)
    if (chunks := _chunks(answer)) is not None:
        await _stream(scope, send, answer, headers | {"content-type": kind or "text/event-stream"}, chunks)
        return
    content = answer.content if answer.content is not None else json.dumps(answer.body).encode()
    await _send(scope, send, answer.status, headers | {"content-type": kind or "application/json"}, content)


async def _send(scope: Scope, send: Send, status: int, headers: dict[str, str], content: bytes) -> None:
    await send(_start(status, headers | {"content-length": str(len(content))}))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


async def _stream(
    scope: Scope, send: Send, answer: Answer, headers: dict[str, str], chunks: AsyncIterator[bytes]
) -> None:
    await send(_start(answer.status, headers))
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if answer.cut:
        await _cut(scope)
        return
    await send({"type": "http.response.body"})


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _cut(scope: Scope) -> None:
    """Break the connection. server.py puts it into the scope; elsewhere an answer ends unfinished."""
    if extension := scope.get("extensions", {}).get(TRANSPORT):
        extension["transport"].abort()
        await asyncio.sleep(0)  # until the server has seen it, which otherwise takes the answer for forgotten


def _chunks(answer: Answer) -> AsyncIterator[bytes] | None:
    if answer.live is not None:
        return (chunk async for _, chunk in answer.live)
    return None if answer.events is None else _play(answer.events, answer.speed)


async def _play(events: Events, speed: float | None) -> AsyncIterator[bytes]:
    started = time.monotonic()
    for offset_ms, text in events:
        if speed is not None:
            await asyncio.sleep(max(0.0, started + offset_ms / 1000 / speed - time.monotonic()))
        yield text.encode()
