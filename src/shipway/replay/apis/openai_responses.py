"""OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses and its streaming events.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.openai import UNMATCHED, text
from shipway.replay.apis.openai import error as error
from shipway.replay.apis.openai import place as place
from shipway.replay.apis.openai import streams as streams
from shipway.replay.apis.provider import Call, ConversionError, ErrorEventError, Events, LastMessage
from shipway.replay.matching import canonical as canon

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shipway.replay.exchange import Request

_CALL_ID = re.compile(r"call_[0-9a-f]{24}_(.+)")


def owns(path: str) -> bool:
    return path.endswith("/responses")


def error_event(status: int, message: str) -> str:
    told = error(status, message)["error"]
    event = {"type": "error", "sequence_number": 0, **told, "code": told["code"] or told["type"]}
    return sse.frame(event, "error")


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    ids = canon.Ids()
    kept = {key: canon.settle(value) for key, value in body.items() if key not in UNMATCHED}
    if isinstance(body.get("previous_response_id"), str):
        kept["previous_response_id"] = ids.rename(body["previous_response_id"])
    if isinstance(body.get("tools"), list):
        kept["tools"] = sorted(kept["tools"], key=canon.text)
    if isinstance(body.get("input"), list):
        kept["input"] = [_item(item, ids) for item in body["input"]]
    return kept


def _item(item: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(item)
    if not isinstance(item, dict):
        return settled
    for key in ("id", "call_id"):
        if isinstance(item.get(key), str):
            settled[key] = ids.rename(item[key])
    if item.get("type") == "function_call_output":
        settled["output"] = canon.settle_result(item.get("output"))
    return settled


def tools(body: Any) -> frozenset[str]:
    return frozenset(str(tool.get("name", tool.get("type", ""))) for tool in body.get("tools") or ())


def last_message(body: Any) -> LastMessage | None:
    asked = body.get("input") if isinstance(body, dict) else None
    if isinstance(asked, str):
        return LastMessage(asked)
    if not isinstance(asked, list) or not all(isinstance(item, dict) for item in asked):
        return None
    names = {
        item.get("call_id"): str(item.get("name")) for item in asked if item.get("type") == "function_call"
    }
    results = {}
    for item in _results(asked):
        called = str(item.get("call_id"))
        results[names.get(called) or _called(called)] = text(item.get("output"))
    question: dict[str, Any] = next((item for item in reversed(asked) if item.get("role") == "user"), {})
    return LastMessage(text(question.get("content")), results)


def _results(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The outputs of functions at the end."""
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            return
        yield item


def _called(call_id: str) -> str:
    """The function that one of our own calls was for: after previous_response_id, only the id comes back."""
    found = _CALL_ID.fullmatch(call_id)
    return found[1] if found else ""


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    body = request.body
    asked = canon.text(canonical(body))
    seed = canon.digest(asked, say)
    output = [_said(seed, say)] if say else []
    output += [_called_for(canon.digest(seed, str(number)), call) for number, call in enumerate(calls)]
    sent, written = canon.count(asked), canon.count(canon.text(output))
    usage = {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + written,
    }
    echoed = {
        key: body.get(key)
        for key in ("instructions", "max_output_tokens", "previous_response_id", "temperature")
    }
    return {
        "id": f"resp_{seed[:32]}",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        **echoed,
        "metadata": body.get("metadata") or {},
        "model": body.get("model", ""),
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "usage": usage,
    }


def _said(seed: str, say: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": say, "annotations": [], "logprobs": []}
    message = {"id": f"msg_{seed[:32]}", "type": "message", "status": "completed", "role": "assistant"}
    return message | {"content": [content]}


def _called_for(seed: str, call: Call) -> dict[str, Any]:
    return {
        "id": f"fc_{seed[:32]}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{seed[32:56]}_{call.tool}",
        "name": call.tool,
        "arguments": canon.text(call.input),
    }


# -- A response and its stream -------------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    events = (event | {"sequence_number": number} for number, event in enumerate(_stream(answer)))
    return sse.paced(sse.frame(event, event["type"]) for event in events)


def _stream(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = answer | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        for event in _item_events(item):
            yield event | {"output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{answer['status']}", "response": answer}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """A message or a call before its first delta; items of other kinds come complete."""
    empty: Any = {"message": {"content": []}, "function_call": {"arguments": ""}}.get(item["type"])
    return item | empty | {"status": "in_progress"} if empty else item


def _item_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if item["type"] == "function_call":
        for piece in sse.pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": piece}
        yield {
            "type": "response.function_call_arguments.done",
            "name": item["name"],
            "arguments": item["arguments"],
        }
    for index, part in enumerate(item["content"] if item["type"] == "message" else ()):
        empty = part | {"text": ""} if part["type"] == "output_text" else part
        yield {"type": "response.content_part.added", "content_index": index, "part": empty}
        if part["type"] == "output_text":
            yield from _text_events(index, part["text"])
        yield {"type": "response.content_part.done", "content_index": index, "part": part}


def _text_events(index: int, text: str) -> Iterator[dict[str, Any]]:
    for piece in sse.pieces(text):
        yield {"type": "response.output_text.delta", "content_index": index, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", "content_index": index, "text": text, "logprobs": []}


def to_body(events: Events) -> Any:
    for event in sse.values(events):
        match event["type"]:
            case "response.completed" | "response.incomplete":
                return event["response"]
            case "response.failed":
                raise ErrorEventError(500, {"error": event["response"]["error"]})
            case "error":
                raise ErrorEventError(500, {"error": event})
    raise ConversionError("the recorded stream ends without response.completed")
