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
from . import kept, openai, references
from .callers import caller
from .events import send_end, send_events
from .exchange import cancelled_when_gone, encode, headers_of, read_json, send_json
from .items import Items

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from ..conversations.store import Store
    from ..turns import Turns
    from .items import Event

RAW_CONVERSATION_HEADER = CONVERSATION_HEADER.encode()


class Responses:
    """The endpoint. `model` is what responses name as their model where the turn has none, `label` whose
    tools the agent's own are; `body_limit` is in bytes."""

    def __init__(self, turns: Turns, store: Store, *, model: str, label: str, body_limit: int) -> None:
        self._turns, self._store, self._body_limit = turns, store, body_limit
        self._model, self._label = model, label

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = headers_of(scope)
        body = await read_json(given, receive, self._body_limit)
        named, tenant = _named(given), caller(scope).tenant
        if references.are_in(body):
            body = await references.resolve(body, self._store, tenant)
        request = openai.parse(body, named, tenant)
        if request.stream:
            async with cancelled_when_gone(receive), self._turns.begin(request.ask) as turn:
                await send_events(self._answer(turn, request).events(), turn, send, _headers(turn))
            await send_end(send)
        else:
            document: dict[str, Any] = {}
            async with cancelled_when_gone(receive), self._turns.begin(request.ask) as turn:
                document = await self._answer(turn, request).complete()
            await send_json(send, document, headers=_headers(turn))

    def _answer(self, turn: Turn, request: openai.Request) -> Answer:
        model = turn.context.model.name if turn.context.model else self._model
        answer = Answer(turn, request.echo, model, self._label)
        if request.ask.store:
            turn.keep = answer.keep
        return answer


class Answer:
    """The answer of one turn, as a document or as events."""

    def __init__(self, turn: Turn, echo: Mapping[str, Any], model: str, label: str) -> None:
        self._turn, self._echo, self._model = turn, echo, model
        self._items = Items(turn.id, label)
        self._ended: list[Event] = []
        self._completed: dict[str, Any] = {}  # made once: what is kept is what is sent

    async def complete(self) -> dict[str, Any]:
        """The response, once the turn is over. Raises TurnError."""
        async for piece in self._turn.pieces():
            self._items.take(piece)
        return self._complete()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Blocks of events, as the turn goes on."""
        numbered = Numbered()
        begun = {"response": self._document("in_progress")}
        yield numbered.encode([("response.created", begun), ("response.in_progress", begun)])
        try:
            async with contextlib.aclosing(self._turn.pieces()) as pieces:
                async for piece in pieces:
                    if events := self._items.take(piece):
                        yield numbered.encode(events)
        except TurnError as error:
            self._items.break_off()
            yield numbered.encode([("response.failed", {"response": self._document("failed", error)})])
            return
        done = {"response": self._complete()}
        yield numbered.encode([*self._ended, ("response.completed", done)])

    def keep(self, status: str) -> dict[str, Any]:
        """What to keep of the response of a turn that ends so."""
        if status == "ok":
            return kept.keep(self._complete())
        self._items.break_off()
        return kept.keep(self._document("failed"))

    def _complete(self) -> dict[str, Any]:
        if not self._completed:
            self._ended = self._items.end()
            self._completed = self._document("completed")
        return self._completed

    def _document(self, status: openai.Status, error: TurnError | None = None) -> dict[str, Any]:
        return openai.response(self._turn, self._model, self._echo, status, self._items.output, error)


class Numbered:
    """Events of one stream, numbered from 0."""

    def __init__(self) -> None:
        self._next = 0

    def encode(self, events: Iterable[Event]) -> bytes:
        """All of them in one block, which is one write."""
        encoded = []
        for kind, data in events:
            rest = encode(data)[1:]  # no event is without data of its own
            encoded.append(
                f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{self._next},{rest}\n\n'
            )
            self._next += 1
        return "".join(encoded).encode("utf-8", "replace")


def _named(headers: Mapping[bytes, bytes]) -> str | None:
    name = headers.get(RAW_CONVERSATION_HEADER)
    return None if name is None else name.decode("latin-1")


def _headers(turn: Turn) -> dict[str, str]:
    return {CONVERSATION_HEADER: turn.context.conversation}
