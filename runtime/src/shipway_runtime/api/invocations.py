"""POST /invocations and GET /ping: the contract of Amazon Bedrock AgentCore's runtime.

In: `{"prompt": …}`, or any JSON, which the agent then gets as text. Out: `{"response": …}`; with
`Accept: text/event-stream` the pieces of text, each a JSON string in `data:`. AgentCore's session header, or
ours, names the conversation. Tool calls are not told of: the contract has no shape for them.
Source: https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-http-protocol-contract.html
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from ..contract import CONVERSATION_HEADER
from ..turn import Ask, Turn, TurnError
from . import openai
from .callers import caller
from .errors import ApiError
from .events import encode_event, send_end, send_events
from .exchange import cancelled_when_gone, headers_of, read_json, send_json, to_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Receive, Scope, Send

    from ..turns import Turns

SESSION_HEADER = "x-amzn-bedrock-agentcore-runtime-session-id"


class Invocations:
    """The endpoint. `body_limit` is in bytes."""

    def __init__(self, turns: Turns, *, body_limit: int) -> None:
        self._turns, self._body_limit = turns, body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = headers_of(scope)
        stream = b"text/event-stream" in given.get(b"accept", b"")
        body = await read_json(given, receive, self._body_limit)
        ask = Ask([{"role": "user", "content": _prompt(body)}], _place(given), tenant=caller(scope).tenant)
        async with cancelled_when_gone(receive), self._turns.begin(ask) as turn:
            headers = {CONVERSATION_HEADER: turn.context.conversation}
            if stream:
                await send_events(_events(turn), turn, send, headers)
            else:
                async for _ in turn.pieces():
                    pass
        if stream:
            await send_end(send)
        else:
            await send_json(send, {"response": turn.text, "status": "success"}, headers=headers)

    async def ping(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HealthyBusy keeps AgentCore from ending a session that is idle on the wire."""
        status = "HealthyBusy" if len(self._turns) else "Healthy"
        await send_json(send, {"status": status, "time_of_last_update": int(self._turns.changed)})


def _prompt(body: Any) -> str:
    prompt = body.get("prompt") if isinstance(body, dict) else body
    if isinstance(prompt, str):
        return prompt
    try:
        return to_text(body)
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply", code="invalid_json") from None


def _place(headers: Mapping[bytes, bytes]) -> str | None:
    """The conversation. AgentCore's sessions may have names that response ids cannot hold."""
    if session := headers.get(SESSION_HEADER.encode(), b"").decode("latin-1"):
        fits = openai.CONVERSATION.fullmatch(session)
        return session if fits else hashlib.sha256(session.encode()).hexdigest()
    if named := headers.get(CONVERSATION_HEADER.encode(), b"").decode("latin-1"):
        return openai.conversation_id(named, CONVERSATION_HEADER)
    return None


async def _events(turn: Turn) -> AsyncGenerator[bytes, None]:
    try:
        async with contextlib.aclosing(turn.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield encode_event(piece)
    except TurnError as error:
        yield encode_event({"error": ApiError.of(error).document()})
