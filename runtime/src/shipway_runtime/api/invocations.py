"""POST /invocations and GET /ping: the contract of Amazon Bedrock AgentCore's runtime.

In: `{"prompt": …}`, or any JSON, which the agent then gets as text. Out: `{"response": …}`; with
`Accept: text/event-stream` the pieces, each a JSON string in `data:`. AgentCore's session header, or ours,
names the conversation.
Source: https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-http-protocol-contract.html
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from ..contract import CONVERSATION_HEADER
from ..turn import Ask, Turn, TurnError
from . import openai
from .callers import caller
from .errors import ApiError
from .exchange import cancelled_when_gone, encode_event, errors_answered, read_json, send_events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ..turns import Turns

SESSION_HEADER = "x-amzn-bedrock-agentcore-runtime-session-id"


class Invocations:
    """The endpoint. `body_limit` is in bytes."""

    def __init__(self, turns: Turns, *, body_limit: int) -> None:
        self._turns, self._body_limit = turns, body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with errors_answered(scope, receive, send):
            given = Headers(scope=scope)
            ask = _ask(await read_json(scope, receive, self._body_limit), given, caller(scope).tenant)
            async with cancelled_when_gone(receive), self._turns.begin(ask) as turn:
                headers = {CONVERSATION_HEADER: turn.context.conversation}
                if "text/event-stream" in given.get("accept", ""):
                    await send_events(_events(turn), turn, send, headers)
                else:
                    async for _ in turn.pieces():
                        pass
                    await JSONResponse({"response": turn.text}, headers=headers)(scope, receive, send)

    async def ping(self, request: Request) -> JSONResponse:
        """HealthyBusy keeps AgentCore from ending a session that is idle on the wire."""
        status = "HealthyBusy" if len(self._turns) else "Healthy"
        return JSONResponse({"status": status, "time_of_last_update": int(self._turns.changed)})


def _ask(body: Any, headers: Headers, tenant: str | None) -> Ask:
    prompt = body.get("prompt") if isinstance(body, dict) else body
    content = prompt if isinstance(prompt, str) else json.dumps(body, ensure_ascii=False)
    name = SESSION_HEADER if SESSION_HEADER in headers else CONVERSATION_HEADER
    conversation = openai.conversation_id(headers[name], name) if name in headers else None
    return Ask([{"role": "user", "content": content}], conversation, tenant=tenant)


async def _events(turn: Turn) -> AsyncGenerator[bytes, None]:
    try:
        async with contextlib.aclosing(turn.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield encode_event(piece)
    except TurnError as error:
        yield encode_event({"error": ApiError.of(error).document()})
