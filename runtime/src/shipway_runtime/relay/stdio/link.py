"""JSON-RPC with one server process, from its start to its end, for every client at once.

In: requests of any client, each with ids of its own; lines from the server. Out: lines for the server,
whose ids and progress tokens are the relay's; answers; notifications. What the server asks of its client
(sampling, elicitation, roots) goes to `Client.asked`, each question in a task of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..messages import (
    INTERNAL_ERROR,
    Json,
    NotSent,
    RpcError,
    Unavailable,
    answer_to,
    decode,
    encode,
    is_request,
    meta_of,
    notification,
    request,
)

if TYPE_CHECKING:
    from ..framing import Line
    from .child import Child

log = logging.getLogger("shipway.relay")

Notify = Callable[[Json], object]


class Client(Protocol):
    """What a server finds at the other end: the relay, on behalf of its clients."""

    def notified(self, message: Json) -> None:
        """A notification, except of progress."""

    async def asked(self, method: str, params: Json | None) -> Json:
        """The client's result. Raises RpcError when there is none."""


_MOST_QUESTIONS = 64  # of one server at a time
_ANSWER_ID = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?(\d+),')


@dataclass(frozen=True, slots=True)
class _Pending:
    answer: asyncio.Future[Json]
    progress: Notify | None
    token: Any  # the client's own progress token


class Link:
    """The conversation with one process. `heard` is when it last said something (monotonic seconds)."""

    def __init__(self, child: Child, client: Client) -> None:
        self.child = child
        self.heard = time.monotonic()
        self._client = client
        self._pending: dict[int, _Pending] = {}
        self._questions: dict[Any, asyncio.Task[None]] = {}
        self._ids = itertools.count(1)
        self._ended = False

    @property
    def busy(self) -> int:
        """Requests without an answer so far."""
        return len(self._pending)

    async def request(self, method: str, params: Json | None = None, progress: Notify | None = None) -> Json:
        """The answer: an object with `result` or `error`. When cancelled, the server is told.

        Raises NotSent when the process has ended, and Unavailable when it ends first.
        """
        if self._ended:
            raise NotSent(f"MCP server {self.child.name!r} has closed its output")
        number = next(self._ids)
        meta = meta_of(params)
        token = meta.get("progressToken")
        if token is not None:
            params = {**(params or {}), "_meta": {**meta, "progressToken": number}}
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[number] = _Pending(answer, progress, token)
        try:
            self.child.write(encode(request(number, method, params)))
            await self.child.drain()
            return await answer
        except asyncio.CancelledError:
            self.notify("notifications/cancelled", {"requestId": number, "reason": "the caller gave up"})
            raise
        finally:
            del self._pending[number]

    def notify(self, method: str, params: Json | None = None) -> None:
        """Tell the server something, without waiting for it to read."""
        self._write(encode(notification(method, params)))

    async def read(self) -> None:
        """Serve what the server writes, until it closes its stdout; then every request fails."""
        try:
            async for line in self.child.lines():
                self._receive(line)
        finally:
            self._ended = True
            for question in self._questions.values():
                question.cancel()
            for pending in self._pending.values():
                if not pending.answer.done():
                    name = self.child.name
                    pending.answer.set_exception(Unavailable(f"MCP server {name!r} ended during the call"))

    def _receive(self, line: Line) -> None:
        if line.cut:
            self._refuse_long(line.text)
            return
        if not line.text.strip():
            return
        try:
            message = decode(line.text)
        except RpcError:
            log.warning("[%s] not JSON-RPC on stdout, ignored: %s", self.child.name, _excerpt(line.text))
            return
        self.heard = time.monotonic()
        if is_request(message):
            self._take_question(message)
        elif "method" in message:
            self._route(message)
        elif (pending := self._pending.get(message.get("id", -1))) and not pending.answer.done():
            pending.answer.set_result(message)

    def _route(self, message: Json) -> None:
        params = message.get("params") or {}
        if message["method"] == "notifications/cancelled" and params.get("requestId") in self._questions:
            self._questions[params["requestId"]].cancel()
        elif message["method"] == "notifications/progress":
            number = params.get("progressToken")
            pending = self._pending.get(number) if isinstance(number, int) else None
            if pending and pending.progress:
                pending.progress({**message, "params": {**params, "progressToken": pending.token}})
        else:
            self._client.notified(message)

    def _take_question(self, message: Json) -> None:
        number = message["id"]
        if message["method"] == "ping":
            self._write(encode(answer_to(number, {})))
        elif len(self._questions) < _MOST_QUESTIONS and number not in self._questions:
            self._questions[number] = task = asyncio.create_task(self._answer(message))
            task.add_done_callback(lambda _: self._questions.pop(number, None))
        else:
            error = RpcError(INTERNAL_ERROR, f"{len(self._questions)} questions wait for an answer already")
            self._write(encode(error.answer(number)))

    async def _answer(self, message: Json) -> None:
        try:
            answer = answer_to(
                message["id"], await self._client.asked(message["method"], message.get("params"))
            )
        except RpcError as error:
            answer = error.answer(message["id"])
        self._write(encode(answer))

    def _refuse_long(self, start: bytes) -> None:
        log.warning("[%s] a message above the size limit on stdout, ignored", self.child.name)
        match = _ANSWER_ID.match(start)
        pending = self._pending.get(int(match[1])) if match else None
        if pending and not pending.answer.done():
            pending.answer.set_exception(Unavailable(f"the answer of {self.child.name!r} is too large"))

    def _write(self, line: bytes) -> None:
        """Write without waiting; a server that is gone or does not read misses nothing that matters."""
        try:
            self.child.write(line)
        except Unavailable as error:
            log.debug("[%s] %s", self.child.name, error)


def _excerpt(text: bytes) -> str:
    return text[:200].decode(errors="replace")
