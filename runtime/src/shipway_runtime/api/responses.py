"""POST /v1/responses: one turn in OpenAI's Responses format, as JSON or as events.

In: a request as `openai.parse` reads it. Out: a response object, or its events in OpenAI's order, each with
`sequence_number`. A client that leaves cancels its turn. Errors in OpenAI's shape; once events have begun,
as the event `response.failed`.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from ..contract import CONVERSATION_HEADER
from ..turn import Turn, TurnError
from . import openai
from .callers import caller
from .exchange import cancelled_when_gone, encode_event, errors_answered, read_json, send_events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Receive, Scope, Send

    from ..turns import Turns


class Responses:
    """The endpoint. `model` is what responses name as their model; `body_limit` is in bytes."""

    def __init__(self, turns: Turns, *, model: str, body_limit: int) -> None:
        self._turns, self._model, self._body_limit = turns, model, body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with errors_answered(scope, receive, send):
            body = await read_json(scope, receive, self._body_limit)
            request = openai.parse(body, Headers(scope=scope), caller(scope).tenant)
            async with cancelled_when_gone(receive), self._turns.begin(request.ask) as turn:
                headers = {CONVERSATION_HEADER: turn.context.conversation}
                if request.stream:
                    await send_events(self._events(turn, request.echo), turn, send, headers)
                else:
                    document = await self._complete(turn, request.echo)
                    await JSONResponse(document, headers=headers)(scope, receive, send)

    async def _complete(self, turn: Turn, echo: Mapping[str, Any]) -> dict[str, Any]:
        async for _ in turn.pieces():
            pass
        return openai.response(turn, self._model, echo, "completed")

    async def _events(self, turn: Turn, echo: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        numbers = itertools.count()

        def event(kind: str, **data: Any) -> bytes:
            return encode_event({"type": kind, "sequence_number": next(numbers), **data}, kind)

        def response(status: openai.Status, error: TurnError | None = None) -> dict[str, Any]:
            return openai.response(turn, self._model, echo, status, error)

        at = {"item_id": openai.item_id(turn), "output_index": 0, "content_index": 0}
        yield event("response.created", response=response("in_progress"))
        yield event("response.in_progress", response=response("in_progress"))
        yield event("response.output_item.added", output_index=0, item=openai.item(turn, "in_progress"))
        yield event("response.content_part.added", **at, part=openai.part(""))
        try:
            async with contextlib.aclosing(turn.pieces()) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
        except TurnError as error:
            yield event("response.failed", response=response("failed", error))
            return
        yield event("response.output_text.done", **at, text=turn.text, logprobs=[])
        yield event("response.content_part.done", **at, part=openai.part(turn.text))
        yield event("response.output_item.done", output_index=0, item=openai.item(turn, "completed"))
        yield event("response.completed", response=response("completed"))
