"""The replay as an ASGI app.

In: a `Tape`; requests of unmodified SDKs. Out: recorded and scripted answers, with `x-shipway-replay` naming
their file; one line on stderr for each, and a miss in full. GET /healthz answers `ok`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shipway.replay.exchange import Request
from shipway.replay.player import Answer, Player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request as HttpRequest

    from shipway.replay.provider import Events
    from shipway.replay.tape import Tape

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_OURS = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "date", "keep-alive", "server"}
    | {"transfer-encoding", "set-cookie"}
)
"""Headers of a recording that are not replayed: they describe its connection, not its answer."""


def create_app(tape: Tape, *, speed: float | None) -> Starlette:
    """The app for one tape. `speed` None answers at once; 1.0 is the recorded pace, 2.0 twice as fast."""
    if speed is not None and speed <= 0:
        raise ValueError(f"speed: expected a number above 0, saw {speed}")
    player = Player(tape)

    async def replay(http: HttpRequest) -> Response:
        request = Request(http.method, http.url.path, _json(await http.body()))
        answer = player.answer(request)
        print(_log_line(request, answer), file=sys.stderr, flush=True)
        return _response(answer, speed)

    async def healthz(_: HttpRequest) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/healthz", healthz), Route("/{path:path}", replay, methods=_METHODS)])


def _json(body: bytes) -> Any:
    """The body as JSON; text that is none is compared as text."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _log_line(request: Request, answer: Answer) -> str:
    line = f"replay: {request.method} {request.path} {answer.status} {answer.source or 'miss'}"
    return f"{line}\n{answer.note}" if answer.note else line


def _response(answer: Answer, speed: float | None) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OURS}
    if answer.source:
        headers["x-shipway-replay"] = quote(answer.source, safe="/:")
    if answer.events is None:
        return JSONResponse(answer.body, answer.status, headers)
    stream = _play(answer.events, speed)
    return StreamingResponse(stream, answer.status, headers, media_type="text/event-stream")


async def _play(events: Events, speed: float | None) -> AsyncIterator[str]:
    started = time.monotonic()
    for offset_ms, text in events:
        if speed is not None:
            await asyncio.sleep(max(0.0, started + offset_ms / 1000 / speed - time.monotonic()))
        yield text
