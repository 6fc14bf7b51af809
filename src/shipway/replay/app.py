"""The replay as an ASGI app.

In: an `Answerer`; requests of unmodified SDKs. Out: its answers, with `x-shipway-replay` naming their file;
one line on stderr for each, and a miss in full. GET /healthz answers `ok`; HEAD and OPTIONS are answered here
and leave no line.

Plain ASGI: a stream is one `send` a chunk, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shipway.replay.apis.gemini_framing import Framed
from shipway.replay.exchange import Request
from shipway.replay.secrecy import NONE
from shipway.replay.traffic import BrokenError, Incoming
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from starlette.types import ASGIApp, Receive, Scope, Send

    from shipway.replay.apis.provider import Events
    from shipway.replay.secrecy import Secrets
    from shipway.replay.traffic import Answer, Answerer, Live

HEADER = contract.REPLAY_HEADER
FAULT_HEADER = "x-shipway-fault"
TRANSPORT = "shipway.transport"
_LARGE = 262_144  # bytes of a request
_BOUNDARY = re.compile(r"^multipart/[^;]*;.*?boundary=\"?([^\";]{1,70})", re.IGNORECASE)
_OURS = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "date", "keep-alive", "server"}
    | {"transfer-encoding", "set-cookie"}
)
"""Headers of a recording that are not replayed: they describe its connection, not its answer."""


def create_app(answerer: Answerer, secrets: Secrets = NONE) -> ASGIApp:
    """The app that asks `answerer` for all but its own health. It compares requests without `secrets`."""
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
        incoming = await _receive(scope, receive, secrets)
        await _while_there(receive, respond(incoming, scope, send))

    async def respond(incoming: Incoming, scope: Scope, send: Send) -> None:
        answer = await answerer.answer(incoming)
        if answer.live is None:  # a recorder says at its end what became of it
            print(_log_line(incoming.request, answer), file=sys.stderr, flush=True)
        await _answer(scope, send, answer)

    return app


async def _while_there(receive: Receive, responding: Coroutine[Any, Any, None]) -> None:
    """Respond; a client that leaves ends it."""
    task = asyncio.create_task(responding)
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


async def _receive(scope: Scope, receive: Receive, secrets: Secrets) -> Incoming:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    content = b"".join(parts)
    if len(content) > _LARGE:  # streams that are on their way do not wait for it
        return await asyncio.to_thread(_incoming, scope, content, secrets)
    return _incoming(scope, content, secrets)


def _incoming(scope: Scope, content: bytes, secrets: Secrets) -> Incoming:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    query = scope["query_string"].decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    target = f"{path}?{query}" if query else path
    hidden = secrets.with_keys(headers, target)
    body = _body(content, headers.get("content-type", ""))
    if hidden.find(content):
        body = hidden.hide(body)
    return Incoming(Request(scope["method"], hidden.hide(scope["path"]), body), target, headers, content)


def _body(body: bytes, kind: str) -> Any:
    """The body as JSON; what is none is compared as text, a form without the boundary that is its own."""
    if found := _BOUNDARY.search(kind):
        body = body.replace(found[1].encode(), b"boundary")
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
    if answer.live is not None:
        await _pass_on(scope, send, answer, answer.live)
        return
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OURS}
    if answer.source:
        headers[HEADER] = quote(answer.source, safe="/:")
    if answer.fault:
        headers[FAULT_HEADER] = quote(answer.fault, safe="/: ()=")
    kind = next((v for name, v in answer.headers.items() if name.lower() == "content-type"), None)
    if answer.events is not None:
        headers |= {"content-type": kind or "text/event-stream"}
        await _stream(scope, send, answer, headers, _play(answer.events, answer.speed))
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


async def _pass_on(scope: Scope, send: Send, answer: Answer, live: Live) -> None:
    """Chunks as they come. Whatever ends this closes `live`; where it breaks, the connection breaks."""
    async with contextlib.aclosing(live):
        await send(_start(answer.status, dict(answer.headers)))
        try:
            async for _, chunk in live:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except BrokenError:
            await _cut(scope)
            return
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


async def _play(events: Events, speed: float | None) -> AsyncIterator[bytes]:
    started = time.monotonic()
    for offset_ms, text in events:
        if speed is not None:
            await asyncio.sleep(max(0.0, started + offset_ms / 1000 / speed - time.monotonic()))
        yield text.encode(errors="surrogateescape")
