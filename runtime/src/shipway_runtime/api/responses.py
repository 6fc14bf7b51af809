"""POST /v1/responses: one turn in OpenAI's Responses format, as JSON or as events.

In: a request as `openai.parse` reads it. Out: a response object, or its events in OpenAI's order, each with
`sequence_number`. A client that leaves cancels its turn. Errors in OpenAI's shape; once events have begun,
as the event `response.failed`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..contract import CONVERSATION_HEADER
from ..turn import Turn, TurnError
from . import openai
from .callers import caller
from .events import encode_event, send_end, send_events
from .exchange import cancelled_when_gone, headers_of, read_json, send_json
from .items import Items

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from ..turns import Turns
    from .items import Event

RAW_CONVERSATION_HEADER = CONVERSATION_HEADER.encode()


class Responses:
    """The endpoint. `model` is what responses name as their model where the turn has none, `label` whose
    tools the agent's own are; `body_limit` is in bytes."""

    def __init__(self, turns: Turns, *, model: str, label: str, body_limit: int) -> None:
        self._turns, self._model, self._label, self._body_limit = turns, model, label, body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = headers_of(scope)
        body = await read_json(given, receive, self._body_limit)
        named = given.get(RAW_CONVERSATION_HEADER, b"").decode("latin-1")
        request = openai.parse(body, named, caller(scope).tenant)
        if request.stream:
            async with cancelled_when_gone(receive), self._turns.begin(request.ask) as turn:
                await send_events(self._events(turn, request.echo), turn, send, _headers(turn))
            await send_end(send)
        else:
            document: dict[str, Any] = {}
            async with cancelled_when_gone(receive), self._turns.begin(request.ask) as turn:
                document = await self._complete(turn, request.echo)
            await send_json(send, document, headers=_headers(turn))

    def _name(self, turn: Turn) -> str:
        return turn.context.model.name if turn.context.model else self._model

    async def _complete(self, turn: Turn, echo: Mapping[str, Any]) -> dict[str, Any]:
        items = Items(turn.id, self._label)
        async for piece in turn.pieces():
            items.take(piece)
        items.end()
        return openai.response(turn, self._name(turn), echo, "completed", items.output)

    async def _events(self, turn: Turn, echo: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        items, numbered = Items(turn.id, self._label), Numbered()

        def response(status: openai.Status, error: TurnError | None = None) -> dict[str, Any]:
            return {"response": openai.response(turn, self._name(turn), echo, status, items.output, error)}

        begun = response("in_progress")
        yield numbered.encode([("response.created", begun), ("response.in_progress", begun)])
        try:
            async with contextlib.aclosing(turn.pieces()) as pieces:
                async for piece in pieces:
                    if events := items.take(piece):
                        yield numbered.encode(events)
        except TurnError as error:
            items.break_off()
            yield numbered.encode([("response.failed", response("failed", error))])
            return
        ended = items.end()
        yield numbered.encode([*ended, ("response.completed", response("completed"))])


class Numbered:
    """Events of one stream, numbered from 0."""

    def __init__(self) -> None:
        self._next = 0

    def encode(self, events: Iterable[Event]) -> bytes:
        """All of them in one block, which is one write."""
        encoded = []
        for kind, data in events:
            encoded.append(encode_event({"type": kind, "sequence_number": self._next, **data}, kind))
            self._next += 1
        return b"".join(encoded)


def _headers(turn: Turn) -> dict[str, str]:
    return {CONVERSATION_HEADER: turn.context.conversation}
