"""OpenAI's Responses format: what a request may hold, and what a response and its events look like.

In: a parsed body and headers; a turn. Out: `Request` with an `Ask`; documents as dictionaries. Errors:
ApiError 400 naming the field. Pure functions, no I/O.
Source: https://platform.openai.com/docs/api-reference/responses

Fields that tune a model (model, temperature, max_output_tokens, reasoning, …) are accepted and belong to
the agent: it chose its model. Fields that ask for another kind of answer are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from ..contract import CONVERSATION_HEADER, parse_response_id
from ..turn import Ask, Turn, TurnError
from .errors import ApiError

if TYPE_CHECKING:
    from ..dialogue import Message
    from ..telemetry.tally import Tally

ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
TEXT_PARTS = ("input_text", "output_text", "text")
REFUSED = ("background", "tools", "prompt")
CONVERSATION = re.compile(r"[A-Za-z0-9-]{1,128}")

Status = Literal["in_progress", "completed", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: the turn it asks for, whether it wants events, and what the response repeats."""

    ask: Ask
    stream: bool
    echo: Mapping[str, Any]


def parse(body: Any, headers: Mapping[str, str], tenant: str | None = None) -> Request:
    """Read the body of POST /v1/responses, sent by `tenant`."""
    if not isinstance(body, dict):
        _refuse("body", "an object", body)
    for name in REFUSED:
        if body.get(name):
            raise ApiError(400, f"{name}: not supported here", code="unsupported_parameter", param=name)
    conversation, previous = _place(body, headers)
    instructions = _optional(body, "instructions", str)
    ask = Ask(
        messages=_messages(body.get("input")),
        conversation=conversation,
        previous=previous,
        instructions=instructions,
        store=_optional(body, "store", bool) is not False,
        tenant=tenant,
    )
    echo = {
        "instructions": instructions,
        "previous_response_id": body.get("previous_response_id"),
        "metadata": _optional(body, "metadata", dict) or {},
    }
    return Request(ask, bool(_optional(body, "stream", bool)), echo)


def conversation_id(value: Any, param: str) -> str:
    """A conversation's name as clients give it. Response ids hold it, hence the narrow alphabet."""
    if not isinstance(value, str) or not CONVERSATION.fullmatch(value):
        _refuse(param, "1 to 128 letters, digits and hyphens", value)
    return value


def _place(body: dict[str, Any], headers: Mapping[str, str]) -> tuple[str | None, int | None]:
    """Which conversation, and which of its turns to continue."""
    given = body.get("conversation")
    given = given.get("id") if isinstance(given, dict) else given
    named = None if given is None else conversation_id(given, "conversation")
    if header := headers.get(CONVERSATION_HEADER):
        header = conversation_id(header, CONVERSATION_HEADER)
        if named not in (None, header):
            raise ApiError(400, f"conversation differs from {CONVERSATION_HEADER}", param="conversation")
    previous = _optional(body, "previous_response_id", str)
    if previous is None:
        return named or header or None, None
    if named:
        raise ApiError(400, "give conversation or previous_response_id, not both", param="conversation")
    place = parse_response_id(previous)
    if place is None or header not in (None, "", place[0]):
        message = f"{previous} is not a response of {'this conversation' if header else 'this agent'}"
        raise ApiError(404, message, code="previous_response_not_found", param="previous_response_id")
    return place


def _messages(given: Any) -> list[Message]:
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        _refuse("input", "a text or a list of messages, not empty", given)
    return [_message(item, f"input[{index}]") for index, item in enumerate(given)]


def _message(item: Any, param: str) -> Message:
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        _refuse(param, "a message; other kinds of items are not supported", item)
    role = item.get("role")
    if role not in ROLES:
        _refuse(f"{param}.role", f"one of {', '.join(ROLES)}", role)
    return cast(
        "Message", {"role": ROLES[role], "content": _content(item.get("content"), f"{param}.content")}
    )


def _content(content: Any, param: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        _refuse(param, "a text or a list of parts", content)
    texts = []
    for index, part in enumerate(content):
        text = part.get("text") if isinstance(part, dict) and part.get("type") in TEXT_PARTS else None
        if not isinstance(text, str):
            _refuse(f"{param}[{index}]", "a part of type input_text or output_text", part)
        texts.append(text)
    return "".join(texts)


def _optional(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        _refuse(name, {str: "a text", bool: "true or false", dict: "an object"}[kind], value)
    return value


def _refuse(param: str, expected: str, seen: object) -> NoReturn:
    shown = repr(seen)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    raise ApiError(400, f"{param}: expected {expected}, saw {shown}", code="invalid_type", param=param)


# -- What goes back -----------------------------------------------------------------------------------


def response(
    turn: Turn, model: str, echo: Mapping[str, Any], status: Status, error: TurnError | None = None
) -> dict[str, Any]:
    """The response object, with the answer when it is complete."""
    return {
        "id": turn.id,
        "object": "response",
        "created_at": int(turn.started),
        "status": status,
        "error": {"code": error.code, "message": str(error)} if error else None,
        "incomplete_details": None,
        "model": model,
        "conversation": {"id": turn.context.conversation},
        "output": [item(turn, "completed")] if status == "completed" else [],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "usage": usage(turn.tally) if status == "completed" else None,
        **echo,
    }


def usage(tally: Tally) -> dict[str, Any]:
    """Token counts; zeros where the agent does not report them."""
    return {
        "input_tokens": tally.input,
        "input_tokens_details": {"cached_tokens": tally.cached},
        "output_tokens": tally.output,
        "output_tokens_details": {"reasoning_tokens": tally.reasoning},
        "total_tokens": tally.input + tally.output,
    }


def item(turn: Turn, status: Literal["in_progress", "completed"]) -> dict[str, Any]:
    """The answer as an output item; without content while it is in progress."""
    content = [part(turn.text)] if status == "completed" else []
    return {"id": item_id(turn), "type": "message", "status": status, "role": "assistant", "content": content}


def item_id(turn: Turn) -> str:
    return turn.id.replace("resp_", "msg_", 1)


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}
