"""One request of a client while it is answered: in one piece, or as a stream when something comes before.

In: the work that gives the answer, and what the server says meanwhile. Out: a Reply. Nobody knows beforehand
whether a server will report progress, write to the log or ask its client something: what comes first decides.
A stream also begins after some silence, so that its pings keep the connection open.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..eras import log_level
from ..exchange import STREAM_HEADERS, Reply, json_reply
from ..framing import PING, PING_INTERVAL, event
from ..messages import CANCELLED, INTERNAL_ERROR, Json, RpcError, encode, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from ..eras import Era
    from ..exchange import Request

log = logging.getLogger("shipway.relay")

_BACKLOG = 1000  # messages kept for a client that does not read
_SILENCE: Json = {}


class Delivery:
    """`json` and `events`: what the client takes. `level`: what a modern client wants to see of the log."""

    def __init__(self, message: Json, era: Era, *, json: bool, events: bool) -> None:
        self.message, self.era = message, era
        self.level = log_level(message) if era == "modern" else None
        self._json, self._events = json or not events, events
        self._inbox: asyncio.Queue[Json | None] = asyncio.Queue()
        self._work: asyncio.Task[Json] | None = None

    def begin(self, work: Coroutine[Any, Any, Json]) -> asyncio.Task[Json]:
        """Start the work, which gives an object with `result` or `error`, or raises RpcError."""
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(self._end)
        return self._work

    def _end(self, work: asyncio.Task[Json]) -> None:
        if not work.cancelled():
            work.exception()  # seen, also when the client left before its answer came
        self._inbox.put_nowait(None)

    def cancel(self) -> None:
        if self._work:
            self._work.cancel()

    def post(self, message: Json) -> bool:
        """Give the client something before its answer. False when it takes none, or does not read."""
        if not self._events or self._inbox.qsize() >= _BACKLOG or (self._work and self._work.done()):
            return False
        self._inbox.put_nowait(message)
        return True

    async def reply(self, request: Request) -> Reply:
        # Hanging up is how a modern client cancels; a legacy one says so, and may come back for more.
        leaving = asyncio.create_task(self._leave_with(request)) if self.era == "modern" else None
        try:
            first = await self._next()
        finally:
            if leaving:
                leaving.cancel()
        if first is None and self._json:
            answer, status = self._answer()
            return json_reply(answer, status if self.era == "modern" else 200)
        return Reply(200, self._stream(first), STREAM_HEADERS)

    async def whole(self) -> Json:
        """The answer alone: for a batch."""
        await self._next()
        return self._answer()[0]

    async def _leave_with(self, request: Request) -> None:
        await request.disconnected()
        self.cancel()

    async def _next(self) -> Json | None:
        """What comes next: a message, silence, or None at the end."""
        try:
            async with asyncio.timeout(PING_INTERVAL if self._events else None):
                return await self._inbox.get()
        except TimeoutError:
            return _SILENCE

    async def _stream(self, message: Json | None) -> AsyncGenerator[bytes, None]:
        try:
            while message is not None:
                yield PING if message is _SILENCE else event(encode(message))
                message = await self._next()
            yield event(encode(self._answer()[0]))
        finally:
            if self.era == "modern":
                self.cancel()

    def _answer(self) -> tuple[Json, int]:
        """The message that answers, and the HTTP status that modern clients get with it."""
        assert self._work
        number = self.message["id"]
        if self._work.cancelled():
            return RpcError(CANCELLED, "cancelled by the caller").answer(number), 200
        if error := self._work.exception():
            if not isinstance(error, RpcError):
                log.error("%s failed", self.message["method"], exc_info=error)
                error = RpcError(INTERNAL_ERROR, "the relay failed; see its log")
            return error.answer(number), error.status
        answer = self._work.result()
        body = {"jsonrpc": "2.0", "id": number, **answer}
        return body, status_of(_code(answer)) if "error" in answer else 200


def _code(answer: Json) -> int:
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else 0
