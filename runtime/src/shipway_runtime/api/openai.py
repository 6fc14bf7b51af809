"""OpenAI's Responses format: what a request may ask for, and what a response looks like.

In: a parsed body; a turn. Out: `Request` with an `Ask`; response objects as dictionaries. Errors: ApiError
400 naming the field. Pure functions, no I/O. Items are input.py's and items.py's.
Source: https://platform.openai.com/docs/api-reference/responses

Fields that tune a model (model, temperature, max_output_tokens, reasoning, …) are accepted and belong to
the agent: it chose its model. Those about OpenAI's own service (include, truncation, service_tier, user, …)
are accepted and have no effect. Fields that ask for another kind of answer are refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..contract import CONVERSATION_HEADER, parse_response_id
from ..turn import Ask, Turn, TurnError
from . import input  # noqa: A004 - OpenAI's word for it
from .errors import ApiError
from .input import refuse

if TYPE_CHECKING:
    from ..telemetry.tally import Tally
    from .items import Item

REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "background": ((False,), "ask with stream instead, and POST …/cancel to end it"),
    "tools": (([],), "the agent has its own"),
    "prompt": ((), "the agent has its own"),
}
"""What cannot be had: name -> values that ask for nothing, and what to do instead."""

CONVERSATION = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512  # of metadata, as OpenAI has it

Status = Literal["in_progress", "completed", "failed", "incomplete", "cancelled"]


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: the turn it asks for, whether it wants events, and what the response repeats."""

    ask: Ask
    stream: bool
    echo: Mapping[str, Any]


def parse(body: Any, header: str | None = None, tenant: str | None = None) -> Request:
    """Read the body of POST /v1/responses, sent by `tenant`. `header` names the conversation as well."""
    if not isinstance(body, dict):
        refuse("body", "an object", body)
    for name, (nothing, instead) in REFUSED.items():
        value = body.get(name)
        if value is not None and not any(value == v and type(value) is type(v) for v in nothing):
            message = f"{name}: not supported here; {instead}"
            raise ApiError(400, message, code="unsupported_parameter", param=name)
    if "messages" in body and "input" not in body:
        message = "input is missing; `messages` are Chat Completions', and may be sent as `input`"
        raise ApiError(400, message, code="missing_required_parameter", param="input")
    _plain_text(body)
    conversation, previous = _place(body, header)
    instructions = _optional(body, "instructions", str)
    store = _optional(body, "store", bool) is not False
    ask = Ask(input.messages(body.get("input")), conversation, previous, instructions, store, tenant)
    echo = {
        "instructions": instructions,
        "previous_response_id": body.get("previous_response_id"),
        "metadata": metadata(body),
    }
    return Request(ask, bool(_optional(body, "stream", bool)), echo)


def conversation_id(value: Any, param: str) -> str:
    """A conversation's name as clients give it. Response ids hold it, hence the narrow alphabet."""
    if not isinstance(value, str) or not CONVERSATION.fullmatch(value):
        refuse(param, "1 to 128 letters, digits, hyphens and underscores", value)
    return value


def metadata(body: dict[str, Any]) -> dict[str, str]:
    """Up to 16 short texts by name."""
    given: dict[str, Any] = _optional(body, "metadata", dict) or {}
    fits = (isinstance(v, str) and len(v) <= MAX_VALUE and len(k) <= MAX_KEY for k, v in given.items())
    if len(given) > MAX_PAIRS or not all(fits):
        expected = f"at most {MAX_PAIRS} texts of {MAX_VALUE} characters, names of {MAX_KEY}"
        refuse("metadata", expected, given)
    return given


def _plain_text(body: dict[str, Any]) -> None:
    format = (_optional(body, "text", dict) or {}).get("format")  # noqa: A001 - OpenAI's word for it
    if format is not None and not (isinstance(format, dict) and format.get("type") == "text"):
        message = "text.format: not supported here; the agent decides what its answers look like"
        raise ApiError(400, message, code="unsupported_parameter", param="text.format")


def _place(body: dict[str, Any], header: str | None) -> tuple[str | None, int | None]:
    """Which conversation, and which of its turns to continue."""
    given, named = body.get("conversation"), None
    if given is not None:
        named = conversation_id(given.get("id") if isinstance(given, dict) else given, "conversation")
    if header is not None:
        conversation_id(header, CONVERSATION_HEADER)
        if named not in (None, header):
            message = f"conversation differs from {CONVERSATION_HEADER}"
            raise ApiError(409, message, code="conversation_mismatch", param="conversation", repeatable=False)
    previous = _optional(body, "previous_response_id", str)
    if previous is None:
        return named or header, None
    if named:
        raise ApiError(400, "give conversation or previous_response_id, not both", param="conversation")
    place = parse_response_id(previous)
    if place is None or header not in (None, place[0]):
        whose = "this conversation" if header else "this agent"
        message = f"{previous[:200]} is not a response of {whose}"
        raise ApiError(404, message, code="previous_response_not_found", param="previous_response_id")
    return place


def _optional(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        refuse(name, {str: "a text", bool: "true or false", dict: "an object"}[kind], value)
    return value


# -- What goes back -----------------------------------------------------------------------------------


def response(
    turn: Turn,
    model: str,
    echo: Mapping[str, Any],
    status: Status,
    output: list[Item],
    error: TurnError | None = None,
) -> dict[str, Any]:
    """The response object, with what there is of the answer."""
    over = status == "completed"
    return document(turn.id, int(turn.started), turn.context.conversation, model, status, output) | {
        "error": failure(error) if error else None,
        "completed_at": int(time.time()) if over else None,
        "usage": usage(turn.tally) if over else None,
        **echo,
    }


def document(
    identity: str,
    created: int,
    conversation: str,
    model: str,
    status: Status,
    output: list[Item],
) -> dict[str, Any]:
    """A response object by what is known of every response; the rest is as if nothing had been asked for."""
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "conversation": {"id": conversation},
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def failure(error: TurnError) -> dict[str, Any]:
    """What a response that failed says. OpenAI has a closed list of codes; ours is the type."""
    code = "rate_limit_exceeded" if error.status == 429 else "server_error"
    return {"code": code, "message": str(error), "type": error.code}


def usage(tally: Tally) -> dict[str, Any]:
    """Token counts; zeros where the agent does not report them."""
    return {
        "input_tokens": tally.input,
        "input_tokens_details": {"cached_tokens": tally.cached, "cache_write_tokens": 0},
        "output_tokens": tally.output,
        "output_tokens_details": {"reasoning_tokens": tally.reasoning},
        "total_tokens": tally.input + tally.output,
    }
